//! Floods folded: of warnings or errors of one kind a minute has at most [`PASSED`] lines, and the
//! rest becomes one line that counts it. Nothing is left out silently: what was folded is told when
//! its minute is over, and at the end.
//!
//! [`Kinds`] decides and has no clock; [`Fold`] is the layer that asks it about every event. The
//! fate of a single picture is in the ledger, whatever the log leaves out. Lines below a warning are
//! never folded: they count what was done.

use std::{
    collections::HashMap,
    fmt, io,
    path::{MAIN_SEPARATOR, Path},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tracing::{
    Event, Level, Subscriber, error,
    field::{Field, Visit},
    warn,
};
use tracing_subscriber::{Layer, layer::Context};

/// Lines of a kind that are written in a minute.
const PASSED: u64 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// Kinds that are told apart. With more, causes are no longer looked at, so that a cause that is
/// never twice the same does not fill the memory.
const KINDS: usize = 256;
/// Marks our own lines, which are never folded.
const TARGET: &str = "watermarkd::log::folded";

/// Stands between the events and the writers.
#[derive(Clone)]
pub struct Fold {
    kinds: Arc<Mutex<Kinds>>,
    wake: Sender<()>,
}

/// Starts the thread that tells what was folded. It sleeps without a deadline while nothing is.
pub fn start() -> io::Result<Fold> {
    let (wake, woken) = bounded(1);
    let fold = Fold {
        kinds: Arc::default(),
        wake,
    };
    let kinds = Arc::clone(&fold.kinds);
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || tell_in_time(&kinds, &woken))?;
    Ok(fold)
}

impl Fold {
    /// Tells now what was folded, as at the end.
    pub fn tell(&self) {
        let folded = locked(&self.kinds, |kinds| kinds.take(Instant::now(), true));
        tell(&folded);
    }
}

impl<S: Subscriber> Layer<S> for Fold {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let level = *event.metadata().level();
        if level > Level::WARN || event.metadata().target() == TARGET {
            return true;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let kind = said.kind(level);
        let verdict = locked(&self.kinds, |kinds| kinds.add(kind, Instant::now()));
        if verdict == Verdict::FoldedFirst {
            match self.wake.try_send(()) {
                // Full means that the thread is about to look anyway.
                Ok(()) | Err(_) => {}
            }
        }
        verdict == Verdict::Written
    }
}

fn locked<T>(kinds: &Mutex<Kinds>, what: impl FnOnce(&mut Kinds) -> T) -> T {
    // Counts stay right whoever panics.
    what(&mut kinds.lock().unwrap_or_else(PoisonError::into_inner))
}

fn tell_in_time(kinds: &Mutex<Kinds>, woken: &Receiver<()>) {
    loop {
        let next = locked(kinds, |kinds| kinds.next_deadline());
        let waited = match next {
            Some(deadline) => woken.recv_deadline(deadline),
            None => woken.recv().map_err(RecvTimeoutError::from),
        };
        if waited == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        let folded = locked(kinds, |kinds| kinds.take(Instant::now(), false));
        tell(&folded);
    }
}

fn tell(folded: &[Folded]) {
    for Folded { kind, count, over } in folded {
        let seconds = over.as_secs().max(1);
        let count = grouped(*count);
        let Kind {
            message,
            step,
            cause,
            ..
        } = kind;
        let (step, cause) = (step.as_deref(), cause.as_deref());
        if kind.level == Level::ERROR {
            error!(
                target: TARGET,
                like = message, step, cause, "and {count} more like this in the last {seconds} s"
            );
        } else {
            warn!(
                target: TARGET,
                like = message, step, cause, "and {count} more like this in the last {seconds} s"
            );
        }
    }
}

/// What makes one line like another: everything but which file it is about, and figures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    level: Level,
    message: String,
    step: Option<String>,
    cause: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Written,
    /// The first of its kind in this minute.
    FoldedFirst,
    Folded,
}

#[derive(Debug, PartialEq, Eq)]
struct Folded {
    kind: Kind,
    count: u64,
    over: Duration,
}

struct Window {
    began: Instant,
    passed: u64,
    folded: u64,
}

/// The kinds of the last minute.
#[derive(Default)]
struct Kinds(HashMap<Kind, Window>);

impl Kinds {
    fn add(&mut self, mut kind: Kind, now: Instant) -> Verdict {
        if self.0.len() >= KINDS && !self.0.contains_key(&kind) {
            self.0
                .retain(|_, window| window.folded > 0 || now - window.began < MINUTE);
            if self.0.len() >= KINDS {
                kind.cause = None;
            }
        }
        let window = self.0.entry(kind).or_insert(Window {
            began: now,
            passed: 0,
            folded: 0,
        });
        // One with a count is left to `take`, even when that is late.
        if window.folded == 0 && now - window.began >= MINUTE {
            (window.began, window.passed) = (now, 0);
        }
        if window.passed < PASSED {
            window.passed += 1;
            return Verdict::Written;
        }
        window.folded += 1;
        if window.folded == 1 {
            Verdict::FoldedFirst
        } else {
            Verdict::Folded
        }
    }

    /// When `take` has something to give, if ever.
    fn next_deadline(&self) -> Option<Instant> {
        self.0
            .values()
            .filter(|window| window.folded > 0)
            .map(|window| window.began + MINUTE)
            .min()
    }

    /// What was folded and whose minute is over, or `all`, the largest count first.
    fn take(&mut self, now: Instant, all: bool) -> Vec<Folded> {
        let due = |window: &Window| window.folded > 0 && (all || now - window.began >= MINUTE);
        let mut taken: Vec<Folded> = self
            .0
            .extract_if(|_, window| due(window))
            .map(|(kind, window)| Folded {
                kind,
                count: window.folded,
                over: now - window.began,
            })
            .collect();
        taken.sort_by_key(|folded| std::cmp::Reverse(folded.count));
        taken
    }
}

/// The fields that make a kind, as they are recorded.
#[derive(Default)]
struct Said {
    message: String,
    step: Option<String>,
    cause: Option<String>,
    path: Option<String>,
}

impl Said {
    fn kind(self, level: Level) -> Kind {
        let path = self.path.as_deref().unwrap_or_default();
        Kind {
            level,
            message: self.message,
            step: self.step,
            cause: self.cause.map(|cause| pattern(&cause, path)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "step" => self.step = Some(value.to_owned()),
            "cause" => self.cause = Some(value.to_owned()),
            "path" => self.path = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let "message" | "step" | "cause" | "path" = field.name() {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// A cause without the names and figures that differ from file to file.
fn pattern(cause: &str, path: &str) -> String {
    let mut cause = cause.to_owned();
    if !path.is_empty() {
        cause = cause.replace(path, "…");
        let name = Path::new(path).file_name().and_then(|name| name.to_str());
        if let Some(name) = name {
            cause = cause.replace(name, "…");
        }
    }
    let mut pattern = String::with_capacity(cause.len());
    for (at, word) in cause.split(' ').enumerate() {
        if at > 0 {
            pattern.push(' ');
        }
        if word.contains(MAIN_SEPARATOR) {
            pattern.push('…');
            continue;
        }
        let mut in_number = false;
        for c in word.chars() {
            let digit = c.is_ascii_digit();
            if !digit {
                pattern.push(c);
            } else if !in_number {
                pattern.push('#');
            }
            in_number = digit;
        }
    }
    pattern
}

/// 2431 as "2,431".
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cause: &str) -> Kind {
        Kind {
            level: Level::ERROR,
            message: "failed".to_owned(),
            step: Some("decode".to_owned()),
            cause: Some(cause.to_owned()),
        }
    }

    #[test]
    fn a_flood_has_a_hundred_lines_a_minute_and_a_count() {
        let start = Instant::now();
        let mut kinds = Kinds::default();
        for at in 0..250 {
            let now = start + Duration::from_millis(at * 10);
            let verdict = kinds.add(kind("no picture"), now);
            let wanted = match at {
                0..100 => Verdict::Written,
                100 => Verdict::FoldedFirst,
                _ => Verdict::Folded,
            };
            assert_eq!(verdict, wanted, "line {at}");
        }
        assert_eq!(kinds.add(kind("other"), start), Verdict::Written);
        let over = start + MINUTE;
        assert_eq!(kinds.next_deadline(), Some(over));
        assert_eq!(kinds.take(start + Duration::from_millis(59_999), false), []);
        let folded = Folded {
            kind: kind("no picture"),
            count: 150,
            over: MINUTE,
        };
        assert_eq!(kinds.take(over, false), [folded]);
        assert_eq!(kinds.next_deadline(), None);
        assert_eq!(kinds.add(kind("no picture"), over), Verdict::Written);
    }

    #[test]
    fn what_comes_slowly_is_never_folded() {
        let start = Instant::now();
        let mut kinds = Kinds::default();
        for at in 0..1000 {
            let now = start + Duration::from_millis(600 * at);
            assert_eq!(kinds.add(kind("away"), now), Verdict::Written, "line {at}");
            assert_eq!(kinds.next_deadline(), None);
        }
    }

    #[test]
    fn the_end_leaves_nothing_untold() {
        let start = Instant::now();
        let mut kinds = Kinds::default();
        for _ in 0..101 {
            kinds.add(kind("away"), start);
        }
        let taken = kinds.take(start, true);
        assert_eq!(taken.iter().map(|folded| folded.count).sum::<u64>(), 1);
        assert_eq!(kinds.take(start, true), []);
    }

    #[test]
    fn causes_without_end_do_not_fill_the_memory() {
        let start = Instant::now();
        let mut kinds = Kinds::default();
        let mut written = 0;
        for at in 0..10_000 {
            let verdict = kinds.add(kind(&format!("cause {at}")), start);
            written += u64::from(verdict == Verdict::Written);
        }
        assert_eq!(kinds.0.len(), KINDS + 1);
        assert_eq!(written, KINDS as u64 + PASSED);
    }

    #[test]
    fn a_pattern_leaves_out_what_differs_from_file_to_file() {
        for (cause, path, wanted) in [
            ("no JPEG or PNG", "/in/a.jpg", "no JPEG or PNG"),
            ("needs 1200 MB, has 300", "", "needs # MB, has #"),
            (
                "cannot open /in/a b.jpg: gone",
                "/in/a b.jpg",
                "cannot open …: gone",
            ),
            ("a.jpg is short", "/in/a.jpg", "… is short"),
        ] {
            assert_eq!(pattern(cause, path), wanted);
        }
        if MAIN_SEPARATOR == '/' {
            assert_eq!(pattern("cannot open /x/y today", ""), "cannot open … today");
        }
    }

    #[test]
    fn counts_are_easily_read() {
        for (number, wanted) in [
            (7, "7"),
            (431, "431"),
            (2431, "2,431"),
            (1_002_431, "1,002,431"),
        ] {
            assert_eq!(grouped(number), wanted);
        }
    }
}
