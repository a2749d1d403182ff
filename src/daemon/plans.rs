//! What each stage is given of the configuration.

use std::{path::Path, sync::Arc};

use tracing::info;

use crate::{
    config::Config,
    dispose,
    memory::{self, Size},
    root::Root,
    scheduler,
    settle::{PATIENCE, Waits},
    watch,
};

/// Bytes for pictures.
pub fn memory_of_pictures(config: &Config) -> u64 {
    let (bytes, why) = memory::limit(config.max_memory);
    info!(max_memory = %Size(bytes), why, "memory for pictures");
    bytes
}

pub fn dispose(config: &Config, roots: &[Arc<Root>]) -> dispose::Plan {
    dispose::Plan {
        roots: roots.to_vec(),
        retry: config.retry,
    }
}

fn waits(config: &Config) -> Waits {
    Waits {
        settle: config.settle,
        settle_closed: config.settle_closed,
        patience: PATIENCE,
        retry: config.retry,
    }
}

pub fn watch(config: &Config, roots: &[Arc<Root>]) -> watch::Plan {
    watch::Plan {
        roots: roots.to_vec(),
        poll: config.poll,
        rescan: config.rescan,
        ledger_keep: config.ledger_keep,
    }
}

pub fn scheduler(config: &Config, roots: &[Arc<Root>]) -> scheduler::Plan {
    scheduler::Plan {
        roots: roots.to_vec(),
        waits: waits(config),
        config: Arc::<Path>::from(config.file.as_path()),
    }
}
