//! Which threads are busy and since when, so that one that is stuck is noticed; and the few figures
//! that a service manager shows: files that wait, folders that are offline.
//!
//! It is one for the process, like the log, so that a thread can report without having been handed
//! anything. Without a [subscriber](subscribe) every call is one look at an empty cell, and nothing
//! here ever wakes a thread up.
//!
//! Nobody has to answer a question: a thread reports [`busy`] with each step of its work and
//! [`idle`] before it waits for more. A thread that waits on an empty channel is not woken. A thread
//! that never comes back from a lock, an endless loop or a full channel stays busy, which shows.
//! Threads blocked on disk or network I/O do not count as stuck.

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::stop::wake;

static BOARD: OnceLock<Board> = OnceLock::new();

thread_local! {
    #[cfg_attr(
        windows,
        allow(
            clippy::missing_const_for_thread_local,
            reason = "it is const; clippy does not see it in what the macro becomes there"
        )
    )]
    static OWN: RefCell<Option<Arc<Activity>>> = const { RefCell::new(None) };
}

struct Board {
    /// Activities count from here.
    began: Instant,
    waiting: AtomicUsize,
    offline: AtomicUsize,
    ready: AtomicBool,
    /// Room for one notice: something has changed.
    changed: Sender<()>,
    threads: Mutex<Vec<Weak<Activity>>>,
}

impl Board {
    fn notify(&self) {
        wake(&self.changed);
    }

    fn now_ms(&self) -> u64 {
        // 0 stands for idle.
        u64::try_from(self.began.elapsed().as_millis()).map_or(u64::MAX, |ms| ms.max(1))
    }
}

/// The figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Files that settle, are queued or being processed.
    pub waiting: usize,
    /// Folders that are offline.
    pub offline: usize,
    /// The workers run and every folder has been watched once.
    pub ready: bool,
}

/// Starts to keep the board. The channel has a notice whenever something on it has changed. Only the
/// first caller gets it.
pub fn subscribe() -> Option<Receiver<()>> {
    let (changed, receiver) = bounded(1);
    let board = Board {
        began: Instant::now(),
        waiting: AtomicUsize::new(0),
        offline: AtomicUsize::new(0),
        ready: AtomicBool::new(false),
        changed,
        threads: Mutex::default(),
    };
    BOARD.set(board).is_ok().then_some(receiver)
}

#[must_use]
pub fn status() -> Status {
    BOARD.get().map_or_else(Status::default, |board| Status {
        waiting: board.waiting.load(Ordering::Relaxed),
        offline: board.offline.load(Ordering::Relaxed),
        ready: board.ready.load(Ordering::Acquire),
    })
}

/// The workers run and every folder is watched.
pub fn ready() {
    if let Some(board) = BOARD.get() {
        board.ready.store(true, Ordering::Release);
        board.notify();
    }
}

/// How many files wait now.
pub fn waiting(files: usize) {
    if let Some(board) = BOARD.get()
        && board.waiting.swap(files, Ordering::Relaxed) != files
    {
        board.notify();
    }
}

/// A folder is offline for as long as this lives.
#[derive(Debug)]
pub struct Offline(());

#[must_use]
pub fn offline() -> Offline {
    if let Some(board) = BOARD.get() {
        board.offline.fetch_add(1, Ordering::Relaxed);
        board.notify();
    }
    Offline(())
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Some(board) = BOARD.get() {
            board.offline.fetch_sub(1, Ordering::Relaxed);
            board.notify();
        }
    }
}

/// What one thread reports.
struct Activity {
    name: String,
    /// Milliseconds from `began` to the last step of the present work; 0 while idle.
    stepped: AtomicU64,
    /// The thread's folder in /proc.
    task: Option<PathBuf>,
}

/// From now until it ends the current thread must not get stuck. It begins idle.
pub fn register(name: &str) {
    let Some(board) = BOARD.get() else { return };
    let activity = Arc::new(Activity {
        name: name.to_owned(),
        stepped: AtomicU64::new(0),
        task: own_task().ok(),
    });
    let mut threads = board.threads.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|thread| thread.strong_count() > 0);
    threads.push(Arc::downgrade(&activity));
    OWN.with_borrow_mut(|own| *own = Some(activity));
}

/// The current thread has work and has taken a step of it.
pub fn busy() {
    OWN.with_borrow(|own| {
        if let (Some(activity), Some(board)) = (own, BOARD.get()) {
            activity.stepped.store(board.now_ms(), Ordering::Relaxed);
        }
    });
}

/// The current thread waits for work.
pub fn idle() {
    OWN.with_borrow(|own| {
        if let Some(activity) = own {
            activity.stepped.store(0, Ordering::Relaxed);
        }
    });
}

/// A thread that has been busy without a step for longer than `limit` gives its name, and for how
/// long. A thread in uninterruptible sleep waits for a disk or a server and is not stuck: a new
/// process would have to wait for the same one.
pub fn stuck(limit: impl Fn(&str) -> Duration) -> Option<(String, Duration)> {
    let board = BOARD.get()?;
    let now = board.now_ms();
    let threads = board.threads.lock().unwrap_or_else(PoisonError::into_inner);
    threads.iter().filter_map(Weak::upgrade).find_map(|thread| {
        let busy = busy_for(thread.stepped.load(Ordering::Relaxed), now)?;
        let blocked = || {
            thread
                .task
                .as_ref()
                .is_some_and(|task| is_blocked_on_io(task))
        };
        (busy > limit(&thread.name) && !blocked()).then(|| (thread.name.clone(), busy))
    })
}

fn busy_for(stepped: u64, now: u64) -> Option<Duration> {
    (stepped != 0).then(|| Duration::from_millis(now.saturating_sub(stepped)))
}

/// The folder in /proc of the current thread; only Linux has one.
fn own_task() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc").join(fs::read_link("/proc/thread-self")?))
}

fn is_blocked_on_io(task: &Path) -> bool {
    let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
    state_letter(&stat) == Some('D')
}

/// The state in `proc_pid_stat(5)`; it comes after the name, which may hold anything.
fn state_letter(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_state_stands_behind_a_name_that_may_hold_anything() {
        assert_eq!(state_letter("12 (wat) D (ch) S 1 2 3"), Some('S'));
        assert_eq!(state_letter("12 (publish) D 1 2 3"), Some('D'));
        assert_eq!(state_letter(""), None);
    }

    #[test]
    fn only_a_thread_that_is_busy_and_takes_no_step_is_stuck() {
        let changed = subscribe().expect("nobody else subscribes in this process");
        let (sender, orders) = bounded::<fn()>(0);
        let thread = thread::spawn(move || {
            register("stage");
            for order in orders {
                order();
            }
        });
        let sync = || sender.send(|| {}).expect("the thread lives");
        let stuck_after = |bound: Duration| stuck(move |_name| bound).map(|(name, _)| name);

        sync();
        assert_eq!(stuck_after(Duration::ZERO), None, "idle");
        sender.send(busy).expect("the thread lives");
        sync();
        thread::sleep(Duration::from_millis(5));
        assert_eq!(stuck_after(Duration::ZERO).as_deref(), Some("stage"));
        assert_eq!(stuck_after(Duration::from_secs(60)), None, "not for long");
        sender.send(idle).expect("the thread lives");
        sync();
        assert_eq!(stuck_after(Duration::ZERO), None, "idle again");
        sender.send(busy).expect("the thread lives");
        drop(sender);
        thread.join().expect("the thread ends");
        assert_eq!(stuck_after(Duration::ZERO), None, "ended");

        waiting(3);
        let gone = offline();
        ready();
        assert!(changed.try_recv().is_ok(), "a change was notified");
        let status_now = Status {
            waiting: 3,
            offline: 1,
            ready: true,
        };
        assert_eq!(status(), status_now);
        drop(gone);
        assert_eq!(status().offline, 0);
    }
}
