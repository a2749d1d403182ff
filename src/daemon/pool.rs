//! The pool of workers, which a reload makes larger or smaller and nothing else touches.

use std::{num::NonZeroUsize, sync::Arc};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::thread::spawn;
use crate::{
    ledger::Ledger,
    memory::Budget,
    scheduler::Job,
    stop::wake,
    worker::{self, Finished},
};

/// The workers. They live from start to end, over batches and reloads.
pub(super) struct Pool {
    pub(super) jobs: Receiver<Job>,
    pub(super) finished: Sender<Finished>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) budget: Arc<Budget>,
    pub(super) deaths: Sender<String>,
    /// One for each worker: a message sends it home after the job in its hands.
    pub(super) retire: Vec<Sender<()>>,
}

impl Pool {
    /// Starts the workers that are missing.
    pub(super) fn grow(&mut self, workers: NonZeroUsize) -> anyhow::Result<()> {
        while self.retire.len() < workers.get() {
            let name = format!("worker-{}", self.retire.len());
            let (retire_sender, retire) = bounded(1);
            let (jobs, finished) = (self.jobs.clone(), self.finished.clone());
            let (ledger, own_name) = (Arc::clone(&self.ledger), Arc::from(name.as_str()));
            let budget = Arc::clone(&self.budget);
            spawn(&name, &self.deaths, move || {
                worker::run(&own_name, &jobs, retire, &finished, &ledger, &budget);
            })?;
            self.retire.push(retire_sender);
        }
        Ok(())
    }

    /// Sends the last ones home, each after the job in its hands.
    pub(super) fn shrink(&mut self, workers: NonZeroUsize) {
        for retire in self.retire.split_off(workers.get().min(self.retire.len())) {
            // A worker that has ended already needs no message.
            wake(&retire);
        }
    }
}
