//! The top-level keys that are not about folders: pace, pool, ledger, log and status.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::Level;

use super::{
    home::{Home, default_log_dir},
    model::{Config, LogFormat, Rotation},
    section::{Findings, Section},
    state::Places,
    tree::{Place, Value},
    value,
};
use crate::retry::Backoff;

/// The longest wait that is taken: a year, so that it can safely be added to any instant.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

const SHORT: Duration = Duration::from_millis(100);

/// With less no picture of today's cameras could be done, so it is rather a missing unit.
const LEAST_MEMORY: u64 = 16 << 20;

/// With less the log would be cut into files of a few lines.
const LEAST_LOG: u64 = 64 << 10;

const NO_HOME: &str = "auto needs a home directory, and there is none: name a path";

pub fn read(
    top: &mut Section<'_>,
    config: &mut Config,
    base: &Path,
    findings: &Findings,
) -> Places {
    let workers = config.workers;
    top.set("workers", &mut config.workers, |value| match value {
        Value::Text(text) if text == "auto" => Ok(workers),
        other if value::integer(other).is_some() => {
            let workers = value::whole(1..=1024)(value)?;
            Ok(NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN))
        }
        other => Err(value::wanted("auto or 1..1024", other)),
    });
    top.set(
        "settle",
        &mut config.settle,
        value::duration(Duration::ZERO..=HOUR),
    );
    top.set(
        "settle_closed",
        &mut config.settle_closed,
        value::duration(Duration::ZERO..=HOUR),
    );
    top.set("poll", &mut config.poll, value::duration(SHORT..=LONG));
    top.set(
        "rescan",
        &mut config.rescan,
        value::duration(Duration::from_secs(1)..=LONG),
    );
    top.set(
        "ledger_keep",
        &mut config.ledger_keep,
        value::duration(DAY..=100 * LONG),
    );
    top.set("max_memory", &mut config.max_memory, |value| match value {
        Value::Text(text) if text == "auto" => Ok(None),
        other => {
            value::size(LEAST_MEMORY, "auto, or a size such as 512MB or 2GiB")(other).map(Some)
        }
    });
    read_retry(top.section("retry"), &mut config.retry, findings);

    let ledger = top.get("ledger", ledger).flatten();
    let ledger_given = ledger.is_some();
    config.home = Home::of(&config.file, !ledger_given);
    match ledger.map(|path| value::below(base, &path)) {
        Some(path) => config.ledger = path,
        None => match &config.home.ledger {
            Some(path) => config.ledger.clone_from(path),
            None => findings.add(&top.place_of("ledger"), NO_HOME),
        },
    }
    let log_dir = read_log(top.section("log"), config, base, findings);
    let mut status = top.section("status");
    status.get("listen", listen);
    status.finish();
    Places {
        ledger: top.place_of("ledger"),
        ledger_given,
        log_dir,
    }
}

fn read_retry(mut section: Section<'_>, retry: &mut Backoff, findings: &Findings) {
    let first = section.get("first", value::duration(SHORT..=LONG));
    let max = section.get("max", value::duration(SHORT..=LONG));
    // A wrong one is reported already, and its default says nothing about the other.
    let wrong = section.node("first").is_some() && first.is_none()
        || section.node("max").is_some() && max.is_none();
    retry.first = first.unwrap_or(retry.first);
    retry.max = max.unwrap_or(retry.max);
    if !wrong && retry.max < retry.first {
        let cause = format!(
            "must be at least retry.first, {}, found {}",
            value::spell(retry.first),
            value::spell(retry.max)
        );
        findings.add(&section.place_of("max"), cause);
    }
    section.finish();
}

/// Gives back where the folder stands.
fn read_log(
    mut section: Section<'_>,
    config: &mut Config,
    base: &Path,
    findings: &Findings,
) -> Place {
    let Config { file, log, .. } = config;
    let dir = section.get("dir", value::path_or_auto).flatten();
    match dir
        .map(|path| value::below(base, &path))
        .or_else(|| default_log_dir(file))
    {
        Some(dir) => log.dir = dir,
        None => findings.add(&section.place_of("dir"), NO_HOME),
    }
    let rotations = [
        ("hourly", Rotation::Hourly),
        ("daily", Rotation::Daily),
        ("never", Rotation::Never),
    ];
    section.set("rotation", &mut log.rotation, value::choice(&rotations));
    section.set("keep", &mut log.keep, value::whole(1..=10_000));
    section.set(
        "max_total",
        &mut log.max_total,
        value::size(LEAST_LOG, "a size such as 100MiB or 1GB"),
    );
    let levels = [
        ("trace", Level::TRACE),
        ("debug", Level::DEBUG),
        ("info", Level::INFO),
        ("warn", Level::WARN),
        ("error", Level::ERROR),
    ];
    section.set("level", &mut log.level, value::choice(&levels));
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    section.set("format", &mut log.format, value::choice(&formats));
    section.set("console", &mut log.console, value::switch);
    let dir_at = section.place_of("dir");
    section.finish();
    dir_at
}

/// `None` for "auto".
fn ledger(value: &Value) -> Result<Option<PathBuf>, String> {
    match value {
        Value::Text(text)
            if text.starts_with("postgres://") || text.starts_with("postgresql://") =>
        {
            // The address may have a password in it, so it is not repeated.
            Err("postgres is not supported yet".to_owned())
        }
        other => value::path_or_auto(other),
    }
}

fn listen(value: &Value) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Text(text) if text.parse::<SocketAddr>().is_ok() => value::unsupported(value),
        other => Err(value::wanted(
            "null or an address such as 127.0.0.1:9470",
            other,
        )),
    }
}
