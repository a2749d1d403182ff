//! What becomes of a finished file: deleted or moved, as its folder says.
//!
//! The ledger says what is owed (see [`crate::ledger::Owed`]), so a crash at any moment strands
//! nothing: the next start goes on with the list. A file leaves only after its picture is durable
//! and the ledger has "done", and only while it is what was treated: length, mtime, inode and
//! ctime, the time that no program can set back. The ledger's row need not have reached the disk: after a power cut that takes it
//! back the source is gone and its picture there, or the source is back and made once more. A failed
//! file that was moved lies where it was moved to, whatever the ledger knows of it.
//!
//! Between the last look at a file and its removal another could be renamed to its name. So what
//! leaves is first moved, be it to a name beside its own before it is deleted, and looked over there;
//! if it is another one it goes back. A crash in between leaves it under that name, from which the
//! next start brings it back: the row is still owed.
//!
//! This thread holds up nobody. What fails here is tried again, told at first and once an hour, and
//! costs no picture.

mod compare;

mod failure;

mod transfer;

mod places;

mod leave;

mod prune;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crossbeam_channel::{Receiver, Sender, at, never, select};
use tracing::{debug, info, warn};

use self::{
    failure::Failure,
    leave::{NothingThere, Touched, leave},
    places::Places,
    prune::Emptied,
};
use crate::{
    arrival::FolderId,
    config::Source,
    ledger::{Ledger, Left},
    log::text,
    retry::{Backoff, is_to_be_told},
    root::Root,
    stop::{Quit, told_to_quit, wake},
};

/// Sources that are cleared away between two notes in the ledger.
const PIECE: usize = 256;
/// With more files than this that cannot be cleared away, news of others wait for the schedule.
const FEW: usize = 64;

/// What the thread works on; a reload replaces it whole.
pub struct Plan {
    pub roots: Vec<Arc<Root>>,
    pub retry: Backoff,
}

/// Runs the `dispose` thread until nobody is left who could owe something. `replaced` hears when a
/// file stays because it is another one, which has to be looked for. A single run clears everything
/// away before; a daemon that is told to quit leaves the rest to the next start.
pub fn run(
    plan: Plan,
    plans: &Receiver<Plan>,
    owed: &Receiver<()>,
    replaced: &Sender<()>,
    quit: &Quit,
    single: bool,
    ledger: &Ledger,
) {
    let mut work = Work::new(plan, replaced, single, ledger);
    let mut plans = plans.clone();
    loop {
        work.clear_away(quit, Instant::now());
        work.ask_for_scan(Instant::now());
        let next = work.next_try().filter(|_| !told_to_quit(quit));
        let next = next.map_or_else(never, at);
        select! {
            recv(owed) -> woken => if woken.is_err() {
                work.clear_away(quit, Instant::now());
                return;
            },
            recv(plans) -> plan => match plan {
                Ok(plan) => work.adopt(plan),
                Err(_) => plans = never(),
            },
            recv(next) -> _ => {}
        }
    }
}

/// How a folder's last round went, if not everything could be cleared away.
struct Trouble {
    files: usize,
    /// Rounds before this one that failed.
    rounds: u32,
    next: Instant,
    told: Option<Instant>,
}

struct Work<'a> {
    plan: Plan,
    /// Asks for a scan, since no event will tell of a file that took another one's place.
    replaced: &'a Sender<()>,
    /// When it was last asked for, and when it is asked for next: what changes a file each time that
    /// it is made must not drive us round in circles.
    last_ask: Option<Instant>,
    next_ask: Option<Instant>,
    /// When the next file leaves that is not to leave yet.
    next_later: Option<Instant>,
    emptied: Emptied,
    /// A single run waits for nothing.
    single: bool,
    ledger: &'a Ledger,
    trouble: BTreeMap<FolderId, Trouble>,
    /// Of the inputs, and of the folders that files are moved to.
    places: Places,
}

impl<'a> Work<'a> {
    fn new(plan: Plan, replaced: &'a Sender<()>, single: bool, ledger: &'a Ledger) -> Work<'a> {
        let mut work = Work {
            plan,
            replaced,
            last_ask: None,
            next_ask: None,
            next_later: None,
            emptied: Emptied::default(),
            single,
            ledger,
            trouble: BTreeMap::new(),
            places: Places::new(SystemTime::now()),
        };
        work.places.learn(&work.plan.roots, ledger);
        work
    }

    fn adopt(&mut self, plan: Plan) {
        self.plan = plan;
        self.trouble.clear();
        self.places.learn(&self.plan.roots, self.ledger);
    }

    fn next_try(&self) -> Option<Instant> {
        let tries = self.trouble.values().map(|trouble| trouble.next);
        let others = [self.next_ask, self.next_later, self.emptied.next()];
        tries.chain(others.into_iter().flatten()).min()
    }

    fn ask_for_scan(&mut self, now: Instant) {
        if self.next_ask.is_some_and(|next| next <= now) {
            (self.last_ask, self.next_ask) = (Some(now), None);
            wake(self.replaced);
        }
    }

    fn clear_away(&mut self, quit: &Quit, now: Instant) {
        self.next_later = None;
        for root in self.plan.roots.clone() {
            let waits = self
                .trouble
                .get(&root.id)
                .is_some_and(|trouble| trouble.files > FEW && trouble.next > now);
            if waits {
                continue;
            }
            let mut failed = 0;
            let mut first = None;
            if let Err(cause) = self.clear_folder(&root, quit, &mut failed, &mut first) {
                failed += 1;
                first.get_or_insert((root.folder.input.clone(), cause));
            }
            if !told_to_quit(quit) {
                self.note(&root, failed, first);
            }
            self.look_ahead(&root, now);
        }
        let now = if self.single { now + prune::QUIET } else { now };
        self.emptied.prune(now);
    }

    /// Notes when a file of a folder leaves that was given up and may still change.
    fn look_ahead(&mut self, root: &Root, now: Instant) {
        if root.folder.on_failure == Source::Keep {
            return;
        }
        match self.ledger.next_owed(root.id, root.folder.give_up) {
            Ok(Some(wait)) => {
                // Its millisecond is to be over.
                let next = now + wait + Duration::from_millis(1);
                let earlier = self.next_later.map_or(next, |earlier| earlier.min(next));
                self.next_later = Some(earlier);
            }
            Ok(None) => {}
            Err(cause) => {
                let cause = format!("{cause:#}");
                debug!(cause, "not known when given up files leave");
                self.next_later = Some(now + self.plan.retry.max);
            }
        }
    }

    /// Goes through what a folder owes. The error is the ledger's, or one that meets all files.
    fn clear_folder(
        &mut self,
        root: &Root,
        quit: &Quit,
        failed: &mut usize,
        first: &mut Option<(PathBuf, anyhow::Error)>,
    ) -> anyhow::Result<()> {
        let mut last: Option<Arc<Path>> = None;
        loop {
            let piece = self.ledger.owed(root.id, last.as_deref(), PIECE)?;
            let Some(end) = piece.last() else {
                return Ok(());
            };
            if last.replace(Arc::clone(&end.file.path)).is_none() {
                self.places
                    .is_in_place(&root.folder.input)
                    .map_err(|Failure { cause, .. }| cause)?;
            }
            let mut left = Vec::with_capacity(piece.len());
            let mut touched = Touched::default();
            let mut hopeless = None;
            for owed in piece {
                if told_to_quit(quit) {
                    break;
                }
                match leave(root, &owed, &self.places, self.ledger, &mut touched) {
                    Ok(what) => left.push((owed, what)),
                    Err(Failure { cause, all: true }) => {
                        hopeless = Some(cause);
                        break;
                    }
                    Err(Failure { cause, all: false }) => {
                        let path = root.folder.input.join(&owed.file.path);
                        debug!(path = text(&path), cause = format!("{cause:#}"), "stays");
                        *failed += 1;
                        first.get_or_insert((path, cause));
                    }
                }
            }
            touched.sync()?;
            self.ledger.write_off(&left)?;
            if root.folder.prune_empty {
                let gone = left.iter().filter(|(_, left)| *left == Left::Gone);
                for (owed, _) in gone {
                    self.emptied.note(&root.folder.input, &owed.file.path);
                }
            }
            if left.iter().any(|(_, left)| *left == Left::Replaced) {
                let now = Instant::now();
                let rested = self.last_ask.map(|last| last + self.plan.retry.first);
                let next = rested.map_or(now, |rested| rested.max(now));
                self.next_ask.get_or_insert(next);
            }
            if let Some(cause) = hopeless {
                // How many more there are does not matter.
                *failed += FEW;
                return Err(cause);
            }
            if told_to_quit(quit) {
                return Ok(());
            }
        }
    }

    /// Tells the log at first and then once an hour, and when it is over.
    fn note(&mut self, root: &Root, failed: usize, first: Option<(PathBuf, anyhow::Error)>) {
        let now = Instant::now();
        let Some((path, cause)) = first else {
            let trouble = self.trouble.remove(&root.id);
            if trouble.is_some_and(|trouble| trouble.told.is_some()) {
                let path = text(&root.folder.input);
                info!(path, "finished files leave the folder again");
            }
            return;
        };
        let before = self.trouble.get(&root.id);
        // News of other files do not push the next try away.
        if let Some(before) = before
            && before.next > now
        {
            let next = before.next;
            self.trouble.entry(root.id).and_modify(|trouble| {
                trouble.files = failed;
                trouble.next = next;
            });
            return;
        }
        let rounds = before.map_or(0, |before| before.rounds.saturating_add(1));
        let wait = self.plan.retry.wait(rounds);
        let told = before.and_then(|before| before.told);
        // Whoever takes the last file out of a folder himself need not be told of it.
        let tell = !cause.is::<NothingThere>() && is_to_be_told(told, now);
        let (path, cause) = (text(&path), format!("{cause:#}"));
        if tell {
            let next_try_s = wait.as_secs_f64();
            warn!(
                path,
                cause,
                next_try_s,
                "finished files cannot leave the folder, trying again until it works"
            );
        } else {
            debug!(path, cause, failed, "still cannot leave the folder");
        }
        let trouble = Trouble {
            files: failed,
            rounds,
            next: now + wait,
            told: if tell { Some(now) } else { told },
        };
        self.trouble.insert(root.id, trouble);
    }
}
