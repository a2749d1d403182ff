//! A reload: the new configuration is verified whole, and then swapped once.

use anyhow::{anyhow, bail};
use tracing::warn;

use super::{
    machine::{Inputs, Machine},
    plans,
    roots::prepare,
};
use crate::{
    config::{self, Config},
    ledger::{self, Ledger},
    log::Log,
    scheduler::Control,
    stop::replace,
};

impl Machine {
    /// Verifies the new configuration whole, then swaps.
    pub(super) fn reload(
        &mut self,
        old: &Config,
        ledger: &Ledger,
        log: &Log,
    ) -> anyhow::Result<(Config, Vec<String>)> {
        // Held to what `check` holds it to: somebody has just written it, and can mend it.
        let (config, warnings) = config::load_strictly(&old.file)?;
        if config.ledger != old.ledger {
            ledger::inspect(&config.ledger)?;
        }
        let roots = prepare(&config, ledger, &self.roots)?;
        let Some(Inputs {
            plans,
            waiting_plans,
            disposals,
            waiting_disposals,
            asked: _,
            _quit: _,
            control,
            pool: Some(pool),
        }) = &mut self.inputs
        else {
            bail!("a single run keeps its configuration");
        };
        pool.grow(config.workers)?;
        let plan = plans::scheduler(&config, &roots);
        // `settle` first: it has to know a folder before its files come. It never waits for long,
        // so a full channel means that a folder does not answer.
        control
            .try_send(Control::Adopt(plan))
            .map_err(|_full| anyhow!("the last reloads are still waiting for a folder"))?;

        // From here on nothing fails.
        let plan = plans::watch(&config, &roots);
        replace(plans, waiting_plans, plan);
        replace(
            disposals,
            waiting_disposals,
            plans::dispose(&config, &roots),
        );
        pool.shrink(config.workers);
        if config.max_memory != old.max_memory {
            pool.budget.set_limit(plans::memory_of_pictures(&config));
        }
        if let Err(cause) = log.set_level(config.log.level) {
            warn!(cause = format!("{cause:#}"), "the log level stays");
        }
        log.name_folders(&config.folders);
        warn_of_next_start(old, &config);
        self.roots = roots;
        let file = config.file.clone();
        let warnings = warnings.iter().map(|warning| warning.in_file(&file));
        let warnings: Vec<String> = warnings.collect();
        // What waits for the next start is not in force, and the next reload is held against what is.
        let in_force = Config {
            ledger: old.ledger.clone(),
            log: config::Log {
                level: config.log.level,
                ..old.log.clone()
            },
            ..config
        };
        Ok((in_force, warnings))
    }
}

fn warn_of_next_start(old: &Config, new: &Config) {
    if new.ledger != old.ledger {
        warn!(key = "ledger", "takes effect at the next start");
    }
    let but_for_the_level = config::Log {
        level: old.log.level,
        ..new.log.clone()
    };
    if but_for_the_level != old.log {
        warn!(
            key = "log",
            "all but the level takes effect at the next start"
        );
    }
}
