//! Threads whose end is seen: a panic becomes known to the main thread, and the end of a thread is
//! the end of a sender.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{Builder, JoinHandle},
};

use anyhow::Context;
use crossbeam_channel::Sender;

use crate::watchdog;

/// Starts a thread that sends its name to `deaths` when it panics.
pub fn spawn<T: Send + 'static>(
    name: &str,
    deaths: &Sender<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<Option<T>>> {
    let (deaths, own_name) = (deaths.clone(), name.to_owned());
    let body = move |name: &str| {
        watchdog::register(name);
        body()
    };
    Builder::new()
        .name(name.to_owned())
        .spawn(
            move || match catch_unwind(AssertUnwindSafe(|| body(&own_name))) {
                Ok(value) => Some(value),
                Err(_reported_by_the_hook) => {
                    // Full or without a receiver, the process is ending for this reason already.
                    drop(deaths.try_send(own_name));
                    None
                }
            },
        )
        .with_context(|| format!("cannot start thread {name}"))
}
