//! What the threads let be known of themselves: how much waits, which folders are offline, and
//! whether each stage that has work gets on with it.
//!
//! It is one for the process, like the log, so that a thread can tell without having been handed
//! anything. Without somebody who [listens](listen) every call is one look at an empty cell, and
//! nothing here ever wakes a thread up.
//!
//! The proof of progress is passive: a thread says [`working`] with each step of its work and
//! [`idle`] before it waits for more. Nobody has to answer a question, so a thread that waits on an
//! empty channel is not woken, and yet one that is caught in a lock or in a circle of full channels
//! is seen, because it has not come back to say `idle`.

use std::{
    cell::RefCell,
    fs, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};

static NEWS: OnceLock<News> = OnceLock::new();

thread_local! {
    #[cfg_attr(
        windows,
        allow(
            clippy::missing_const_for_thread_local,
            reason = "it is const; clippy does not see it in what the macro becomes there"
        )
    )]
    static OWN: RefCell<Option<Arc<Beat>>> = const { RefCell::new(None) };
}

struct News {
    /// `Beat`s count from here.
    began: Instant,
    waiting: AtomicUsize,
    offline: AtomicUsize,
    ready: AtomicBool,
    /// Room for one word: there is something new.
    changed: Sender<()>,
    beats: Mutex<Vec<Weak<Beat>>>,
}

impl News {
    fn tell(&self) {
        // If a word waits there already, it says the same.
        let (Ok(()) | Err(_)) = self.changed.try_send(());
    }

    fn now_ms(&self) -> u64 {
        // 0 stands for idle.
        u64::try_from(self.began.elapsed().as_millis()).map_or(u64::MAX, |ms| ms.max(1))
    }
}

/// What is known at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Files that settle, are queued or in hand.
    pub waiting: usize,
    /// Folders that are not there.
    pub offline: usize,
    /// The pool and all watches stood once.
    pub ready: bool,
}

/// From now on news are collected; the channel has a word when there are some. Only the first one
/// to ask gets it.
pub fn listen() -> Option<Receiver<()>> {
    let (changed, receiver) = bounded(1);
    let news = News {
        began: Instant::now(),
        waiting: AtomicUsize::new(0),
        offline: AtomicUsize::new(0),
        ready: AtomicBool::new(false),
        changed,
        beats: Mutex::default(),
    };
    NEWS.set(news).is_ok().then_some(receiver)
}

#[must_use]
pub fn state() -> State {
    NEWS.get().map_or_else(State::default, |news| State {
        waiting: news.waiting.load(Ordering::Relaxed),
        offline: news.offline.load(Ordering::Relaxed),
        ready: news.ready.load(Ordering::Acquire),
    })
}

/// The pool and all watches stand.
pub fn ready() {
    if let Some(news) = NEWS.get() {
        news.ready.store(true, Ordering::Release);
        news.tell();
    }
}

/// So many files wait.
pub fn waiting(files: usize) {
    if let Some(news) = NEWS.get()
        && news.waiting.swap(files, Ordering::Relaxed) != files
    {
        news.tell();
    }
}

/// A folder that is not there, for as long as this lives.
#[derive(Debug)]
pub struct Offline(());

#[must_use]
pub fn offline() -> Offline {
    if let Some(news) = NEWS.get() {
        news.offline.fetch_add(1, Ordering::Relaxed);
        news.tell();
    }
    Offline(())
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Some(news) = NEWS.get() {
            news.offline.fetch_sub(1, Ordering::Relaxed);
            news.tell();
        }
    }
}

/// One thread's sign of life.
struct Beat {
    name: String,
    /// Milliseconds from `began` to the last step of the work in hand; 0 while idle.
    moved: AtomicU64,
    /// What the system knows of the thread.
    task: Option<PathBuf>,
}

/// The current thread is a stage that is judged by its progress until it ends.
pub fn begin(name: &str) {
    let Some(news) = NEWS.get() else { return };
    let beat = Arc::new(Beat {
        name: name.to_owned(),
        moved: AtomicU64::new(0),
        task: own_task().ok(),
    });
    let mut beats = news.beats.lock().unwrap_or_else(PoisonError::into_inner);
    beats.retain(|beat| beat.strong_count() > 0);
    beats.push(Arc::downgrade(&beat));
    OWN.with_borrow_mut(|own| *own = Some(beat));
}

/// The current thread has work and takes a step of it.
pub fn working() {
    OWN.with_borrow(|own| {
        if let (Some(beat), Some(news)) = (own, NEWS.get()) {
            beat.moved.store(news.now_ms(), Ordering::Relaxed);
        }
    });
}

/// The current thread waits for work.
pub fn idle() {
    OWN.with_borrow(|own| {
        if let Some(beat) = own {
            beat.moved.store(0, Ordering::Relaxed);
        }
    });
}

/// The thread that has work and has not moved for longer than `bound` says of it, and how long.
/// One that waits in the kernel for a disk or a server is not stuck: a new process would have to
/// wait for the same one.
pub fn stuck(bound: impl Fn(&str) -> Duration) -> Option<(String, Duration)> {
    let news = NEWS.get()?;
    let now = news.now_ms();
    let beats = news.beats.lock().unwrap_or_else(PoisonError::into_inner);
    beats.iter().filter_map(Weak::upgrade).find_map(|beat| {
        let since = still_for(beat.moved.load(Ordering::Relaxed), now)?;
        let waits = || beat.task.as_ref().is_some_and(|task| waits_in_kernel(task));
        (since > bound(&beat.name) && !waits()).then(|| (beat.name.clone(), since))
    })
}

fn still_for(moved: u64, now: u64) -> Option<Duration> {
    (moved != 0).then(|| Duration::from_millis(now.saturating_sub(moved)))
}

/// Where Linux tells of the current thread.
fn own_task() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc").join(fs::read_link("/proc/thread-self")?))
}

fn waits_in_kernel(task: &std::path::Path) -> bool {
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
    fn only_who_has_work_and_does_not_move_is_stuck() {
        let changed = listen().expect("nobody else listens in this process");
        let (sender, orders) = bounded::<fn()>(0);
        let thread = thread::spawn(move || {
            begin("stage");
            for order in orders {
                order();
            }
        });
        let told = || sender.send(|| {}).expect("the thread lives");
        let stuck_after = |bound: Duration| stuck(move |_name| bound).map(|(name, _)| name);

        told();
        assert_eq!(stuck_after(Duration::ZERO), None, "idle");
        sender.send(working).expect("the thread lives");
        told();
        thread::sleep(Duration::from_millis(5));
        assert_eq!(stuck_after(Duration::ZERO).as_deref(), Some("stage"));
        assert_eq!(stuck_after(Duration::from_secs(60)), None, "not for long");
        sender.send(idle).expect("the thread lives");
        told();
        assert_eq!(stuck_after(Duration::ZERO), None, "idle again");
        sender.send(working).expect("the thread lives");
        drop(sender);
        thread.join().expect("the thread ends");
        assert_eq!(stuck_after(Duration::ZERO), None, "ended");

        waiting(3);
        let gone = offline();
        ready();
        assert!(changed.try_recv().is_ok(), "news were told");
        let state_now = State {
            waiting: 3,
            offline: 1,
            ready: true,
        };
        assert_eq!(state(), state_now);
        drop(gone);
        assert_eq!(state().offline, 0);
    }
}
