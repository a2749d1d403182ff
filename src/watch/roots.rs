//! The watched folders, a thread for each: a folder of a million files is scanned beside the
//! others, and one that does not answer, such as a network share whose server hangs, holds up
//! nobody but itself.
//!
//! The `watch` thread only passes on what concerns them: new plans, changes of the mount table, and
//! room for more files.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded, never, select};
use tracing::{error, info, warn};

use super::{Plan, events::Raw, watching};
use crate::{
    arrival::{FileEvent, FolderId},
    ledger::Ledger,
    log::text,
    os,
    stop::{Quit, replace},
    watchdog,
};

/// Raw events of a folder that wait for its thread; more collapse to a scan.
const RAW_EVENTS: usize = 8192;
/// A folder that takes longer for its first scan does not keep the daemon from being ready.
const FIRST_SCAN_AT_MOST: Duration = Duration::from_secs(10);
/// How long stopping waits for scans to end: one that hangs ends with the process.
const END_AT_MOST: Duration = Duration::from_secs(2);

/// A folder's thread, seen from outside. It ends when this is dropped.
struct Follower {
    id: FolderId,
    orders: Sender<watching::Order>,
    /// The other end of `orders`: an order that waits there is out of date when a new one comes.
    waiting_orders: Receiver<watching::Order>,
    raw: Sender<Raw>,
    /// Set when events were lost.
    lost: Arc<AtomicBool>,
    path: String,
    thread: JoinHandle<()>,
}

impl Follower {
    fn tell(&self, raw: Raw) {
        if let Err(TrySendError::Full(_)) = self.raw.try_send(raw) {
            self.lost.store(true, Ordering::Release);
        }
    }

    fn order(&self, order: watching::Order) {
        replace(&self.orders, &self.waiting_orders, order);
    }
}

/// The channels of the `watch` thread.
pub struct Ends {
    /// Its end is the order to stop.
    pub plans: Receiver<Plan>,
    /// A folder that was left half scanned may go on.
    pub room: Receiver<()>,
    /// Somebody wants files to be tried again.
    pub asked: Receiver<()>,
    pub events: Sender<FileEvent>,
    pub quit: Quit,
}

/// Runs the `watch` thread until it is told to stop. `ready` is called once, when the folders are
/// watched and have been scanned.
pub fn run(plan: Plan, ends: Ends, ledger: &Arc<Ledger>, ready: impl Fn()) {
    let Ends {
        plans,
        room,
        mut asked,
        events,
        quit,
    } = ends;
    let mut mounts = follow_mounts();
    let (first, mut first_scans) = bounded::<Infallible>(0);
    let mut late = crossbeam_channel::after(FIRST_SCAN_AT_MOST);
    let (death_sender, deaths) = bounded::<Box<dyn Any + Send>>(1);
    let common = Common {
        events,
        quit,
        ledger: Arc::clone(ledger),
        deaths: death_sender,
    };
    let folders = plan.roots.len();
    let mut followers: Vec<Follower> = orders(plan)
        .filter_map(|order| common.start(order, Some(first.clone())))
        .collect();
    drop(first);
    loop {
        watchdog::idle();
        select! {
            recv(first_scans) -> _ => {
                info!(folders, "ready");
                ready();
                (first_scans, late) = (never(), never());
            }
            recv(late) -> _ => {
                info!(folders, "ready, while some folders are still in their first scan or do not answer");
                ready();
                (first_scans, late) = (never(), never());
            }
            recv(room) -> _ => tell_all(&followers, || Raw::Wake),
            recv(asked) -> word => match word {
                Ok(()) => tell_all(&followers, || Raw::Asked),
                // Nobody can ask: a dead channel is always ready.
                Err(_) => asked = never(),
            },
            recv(mounts) -> changed => match changed {
                Ok(()) => tell_all(&followers, || Raw::Mounts),
                // Nobody follows them: a dead channel is always ready.
                Err(_) => mounts = never(),
            },
            recv(deaths) -> panic => if let Ok(panic) = panic {
                resume_unwind(panic);
            },
            recv(plans) -> plan => {
                let Ok(plan) = plan else { break };
                followers = adopt(&common, followers, plan);
            }
        }
    }
    let threads: Vec<(String, JoinHandle<()>)> = followers
        .into_iter()
        .map(|follower| (follower.path, follower.thread))
        .collect();
    drop(common);
    wait_for_the_end(&threads, &deaths);
}

/// Folders that stay get new orders, new ones a thread, and those that are gone lose theirs.
fn adopt(common: &Common, mut before: Vec<Follower>, plan: Plan) -> Vec<Follower> {
    let mut followers = Vec::new();
    for order in orders(plan) {
        let old = before.iter().position(|old| old.id == order.root.id);
        followers.extend(match old {
            Some(index) => {
                let old = before.swap_remove(index);
                old.order(order);
                Some(old)
            }
            None => common.start(order, None),
        });
    }
    for gone in before {
        info!(path = gone.path, "no longer watching");
    }
    followers
}

/// Delivers a word after each change of the mount table, where there is one.
fn follow_mounts() -> Receiver<()> {
    let (sender, mounts) = bounded(1);
    let passed_on = move || !matches!(sender.try_send(()), Err(TrySendError::Disconnected(())));
    if let Err(cause) = os::mounts::follow(passed_on) {
        warn!(
            cause = cause.to_string(),
            "mounts are not followed, the rescan notices them"
        );
    }
    mounts
}

/// Waits until the folders' threads have ended, which are the senders of `deaths`. Tells of those
/// that a folder keeps.
fn wait_for_the_end(threads: &[(String, JoinHandle<()>)], deaths: &Receiver<Box<dyn Any + Send>>) {
    match deaths.recv_deadline(Instant::now() + END_AT_MOST) {
        Ok(panic) => resume_unwind(panic),
        Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => {
            for (path, _) in threads.iter().filter(|(_, thread)| !thread.is_finished()) {
                warn!(
                    path,
                    "folder does not answer: the process may not end until it does, the next one can start beside it"
                );
            }
        }
    }
}

/// What every folder's thread is given.
struct Common {
    events: Sender<FileEvent>,
    quit: Quit,
    ledger: Arc<Ledger>,
    deaths: Sender<Box<dyn Any + Send>>,
}

impl Common {
    /// Starts the thread of a folder; it lets go of `first` after its first scan.
    fn start(&self, order: watching::Order, first: Option<Sender<Infallible>>) -> Option<Follower> {
        let (order_sender, orders) = bounded(1);
        let (raw_sender, raw) = bounded(RAW_EVENTS);
        let raws = watching::Raws {
            sender: raw_sender.clone(),
            receiver: raw,
            lost: Arc::default(),
        };
        let (id, path) = (order.root.id, text(&order.root.folder.input));
        let (waiting_orders, lost) = (orders.clone(), Arc::clone(&raws.lost));
        let (events, quit, ledger) = (
            self.events.clone(),
            self.quit.clone(),
            Arc::clone(&self.ledger),
        );
        let deaths = self.deaths.clone();
        let own_name = format!("watch-{}", id.0);
        let name = own_name.clone();
        let body = move || {
            watchdog::register(&own_name);
            let run = || watching::run(order, &orders, raws, first, &events, &quit, &ledger);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                // One is enough to end the process.
                drop(deaths.try_send(panic));
            }
        };
        match thread::Builder::new().name(name).spawn(body) {
            Ok(thread) => Some(Follower {
                id,
                orders: order_sender,
                waiting_orders,
                raw: raw_sender,
                lost,
                path,
                thread,
            }),
            Err(cause) => {
                let cause = cause.to_string();
                error!(
                    path,
                    cause, "folder is not watched: cannot start its thread"
                );
                None
            }
        }
    }
}

fn tell_all(followers: &[Follower], word: impl Fn() -> Raw) {
    for follower in followers {
        follower.tell(word());
    }
}

fn orders(plan: Plan) -> impl Iterator<Item = watching::Order> {
    let Plan {
        roots,
        poll,
        rescan,
        ledger_keep,
    } = plan;
    roots.into_iter().map(move |root| watching::Order {
        root,
        poll,
        rescan,
        ledger_keep,
    })
}
