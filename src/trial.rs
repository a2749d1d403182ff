//! A suspect picture is made in a process of its own, which dies in the daemon's place.
//!
//! When the daemon dies, one of the files in progress may have been the cause, or somebody killed
//! it, or the power failed: the files cannot tell. A process that makes one picture and nothing else
//! can. If it dies and the daemon lives, it was the picture; if the daemon dies as well, nothing is
//! proved. The child sends the finished picture back, so the daemon itself never decodes a suspect.
//! However often somebody kills the daemon, no innocent picture fails.
//!
//! The child gets the source's bytes on its standard input, which then stays open: its end tells the
//! child that the daemon has died. It answers with a line of JSON, and the picture after it. It loads
//! the configuration itself, and refuses if that no longer says what the daemon goes by.

use std::{
    convert::Infallible,
    io::{self, BufRead, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use serde_json::{Value, json};

use crate::{
    arrival::Stamp,
    os,
    outcome::{Step, panic_cause},
    picture::{self, Format, Lost, Order, PictureError, Progress, Scratch, Treated},
};

/// The hidden command that the child runs.
pub const COMMAND: &str = "trial";
/// The longest trial, so that no child is waited for without end.
const LONGEST: Duration = Duration::from_secs(600);
/// What the child may take beside `max_memory`: for itself and its marks.
const BESIDE_PICTURES: u64 = 256 << 20;

/// How a trial ended.
pub enum End<'a> {
    /// The results in the order of the orders.
    Treated(Result<Vec<Treated<'a>>, PictureError>),
    /// The child died; of what.
    Died(String),
}

/// Makes the pictures of `source` in a child process. `answer` holds the finished ones.
pub fn treat<'a>(
    source: &[u8],
    (path, stamp): (&Path, Stamp),
    orders: &[Order<'_>],
    recipe: u64,
    config: &Path,
    answer: &'a mut Vec<u8>,
) -> anyhow::Result<End<'a>> {
    let mut child = Command::new(os::own_program()?)
        .arg(COMMAND)
        .arg("--config")
        .arg(config)
        .arg("--recipe")
        .arg(recipe.to_string())
        .arg("--length")
        .arg(source.len().to_string())
        .arg(format!("--written={}", stamp.mtime_ns))
        .arg("--")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start a process for the picture")?;
    // Its end is how the child learns that we have died. `wait` would close it at once.
    let lifeline = child.stdin.take();
    let (end, reader) = read_answer(child.stdout.take())?;
    let sent = lifeline.as_ref().map(|pipe| send(pipe, source));
    let late = end.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout);
    if late {
        child.kill()?;
    }
    let status: io::Result<ExitStatus> = child.wait();
    drop(lifeline);
    let status = status?;
    ensure!(
        !late,
        "the process for the picture took longer than {LONGEST:?}"
    );
    if let Some(death) = os::death(status) {
        return Ok(End::Died(death));
    }
    if let Some(Err(cause)) = sent {
        return Err(cause).context("cannot send the picture to a process of its own");
    }
    ensure!(
        status.success(),
        "the process for the picture ended with {status}: `check` and a reload may help"
    );
    *answer = match reader.join() {
        Ok(bytes) => bytes?,
        Err(_) => bail!("the thread that reads the answer panicked"),
    };
    parse(answer, orders)
        .map(End::Treated)
        .context("the process for the picture gave no answer that makes sense")
}

fn send(mut pipe: &ChildStdin, source: &[u8]) -> io::Result<()> {
    pipe.write_all(source)?;
    pipe.flush()
}

/// Reads in a thread of its own. The channel is disconnected when the other end of the pipe is
/// closed: when the process has ended.
#[expect(
    clippy::type_complexity,
    reason = "an end to wait for, and what came by then"
)]
fn read_answer(
    pipe: Option<ChildStdout>,
) -> anyhow::Result<(Receiver<Infallible>, JoinHandle<io::Result<Vec<u8>>>)> {
    let (sender, end) = bounded(0);
    let reader = thread::Builder::new()
        .name("trial".to_owned())
        .spawn(move || {
            let _sender = sender;
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        })
        .context("cannot start a thread")?;
    Ok((end, reader))
}

fn parse<'a>(
    mut answer: &'a [u8],
    orders: &[Order<'_>],
) -> anyhow::Result<Result<Vec<Treated<'a>>, PictureError>> {
    let mut all = Vec::with_capacity(orders.len());
    for order in orders {
        match parse_one(&mut answer, order.wanted)? {
            Ok(treated) => all.push(treated),
            Err(error) => return Ok(Err(error)),
        }
    }
    ensure!(answer.is_empty(), "more pictures than were asked for");
    Ok(Ok(all))
}

fn parse_one<'a>(
    answer: &mut &'a [u8],
    wanted: Format,
) -> anyhow::Result<Result<Treated<'a>, PictureError>> {
    let mut line = Vec::new();
    answer.read_until(b'\n', &mut line)?;
    let head: Value = serde_json::from_slice(&line)?;
    let number = |key: &str| {
        let number = head[key].as_u64().and_then(|number| number.try_into().ok());
        number.with_context(|| format!("no {key}"))
    };
    let text = |key: &str| head[key].as_str().map(str::to_owned);
    if let Some(cause) = text("cause") {
        let step = head["step"].as_str().and_then(Step::named);
        let step = step.context("no step")?;
        return Ok(Err(if head["incomplete"] == true {
            PictureError::Incomplete { step, cause }
        } else {
            PictureError::Bad { step, cause }
        }));
    }
    let length = head["bytes"].as_u64().context("no bytes")?;
    let length = usize::try_from(length)?;
    let (bytes, rest) = answer.split_at_checked(length).context("too few bytes")?;
    *answer = rest;
    Ok(Ok(Treated {
        bytes,
        format: wanted,
        width: number("width")?,
        height: number("height")?,
        source_width: number("source_width")?,
        source_height: number("source_height")?,
        warning: text("warning"),
        lost: Lost {
            gain_map: head["lost"]["gain_map"] == true,
            video: head["lost"]["video"] == true,
        },
    }))
}

/// The child's part: makes the pictures and writes the answer.
pub fn answer(
    source: &[u8],
    orders: &[Order<'_>],
    max_memory: u64,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    // A picture that takes more than it should kills this process, and no other one of its group.
    os::limit_own_memory(max_memory.saturating_add(BESIDE_PICTURES))?;
    let mut scratch = Scratch::new()?;
    let told = catch_unwind(AssertUnwindSafe(|| {
        picture::treat_all(
            source,
            orders,
            &mut scratch,
            &mut |progress| match progress {
                Progress::After(_) => Ok(()),
                Progress::Made(_, treated) => tell(&Ok(treated), out).map_err(Stop::Told),
            },
        )
    }));
    let end = told.unwrap_or_else(|panic| {
        Err(Stop::Picture(PictureError::Bad {
            step: Step::Picture,
            cause: panic_cause(&*panic),
        }))
    });
    match end {
        Ok(()) => {}
        Err(Stop::Picture(error)) => tell(&Err(error), out)?,
        Err(Stop::Told(cause)) => return Err(cause.into()),
    }
    Ok(())
}

/// Why the child makes no more.
enum Stop {
    Picture(PictureError),
    Told(io::Error),
}

impl From<PictureError> for Stop {
    fn from(error: PictureError) -> Self {
        Self::Picture(error)
    }
}

fn tell(treated: &Result<Treated<'_>, PictureError>, out: &mut impl Write) -> io::Result<()> {
    let (head, bytes) = match treated {
        // Every field is named, so that none that comes later is forgotten.
        Ok(Treated {
            bytes,
            format: _,
            width,
            height,
            source_width,
            source_height,
            warning,
            lost: Lost { gain_map, video },
        }) => {
            let head = json!({
                "bytes": bytes.len(),
                "width": width,
                "height": height,
                "source_width": source_width,
                "source_height": source_height,
                "warning": warning,
                "lost": { "gain_map": gain_map, "video": video },
            });
            (head, *bytes)
        }
        Err(PictureError::Incomplete { step, cause }) => {
            let head = json!({ "incomplete": true, "step": step.name(), "cause": cause });
            (head, &[][..])
        }
        Err(PictureError::Bad { step, cause }) => {
            let head = json!({ "incomplete": false, "step": step.name(), "cause": cause });
            (head, &[][..])
        }
    };
    writeln!(out, "{head}")?;
    out.write_all(bytes)?;
    out.flush()
}

/// Ends this process with the daemon, since nobody would learn the answer: when the rest of the
/// standard input ends.
pub fn end_with_parent() -> io::Result<()> {
    thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(|| {
            let mut nothing = [0];
            while matches!(io::stdin().read(&mut nothing), Ok(1..)) {}
            #[expect(clippy::exit, reason = "the main thread is inside a picture")]
            std::process::exit(1);
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;

    use crate::{config::bare_recipe, picture::Recipe, template::About};

    static ABOUT: OnceLock<About> = OnceLock::new();

    fn order(wanted: Format, recipe: &Recipe) -> Order<'_> {
        Order {
            wanted,
            recipe,
            about: ABOUT.get_or_init(About::default),
        }
    }

    /// What is told of a picture is the same whichever process makes it.
    #[test]
    fn what_is_told_arrives_as_it_was() {
        let recipe = bare_recipe();
        for warning in [None, Some("odd \"letters\"\n".to_owned())] {
            for (gain_map, video) in [(false, false), (true, false), (false, true)] {
                let lost = Lost { gain_map, video };
                let made = |bytes| Treated {
                    bytes,
                    format: Format::Jpeg,
                    width: 1,
                    height: 2,
                    source_width: 3,
                    source_height: 4,
                    warning: warning.clone(),
                    lost,
                };
                let mut answer = Vec::new();
                tell(&Ok(made(b"\n\xff\xd8")), &mut answer).unwrap();
                tell(&Ok(made(b"")), &mut answer).unwrap();
                let orders = [order(Format::Jpeg, &recipe), order(Format::Jpeg, &recipe)];
                let arrived = parse(&answer, &orders).unwrap().unwrap();
                let expected = [made(b"\n\xff\xd8"), made(b"")];
                assert!(parse(&answer, &orders[1..]).is_err(), "one too many");
                assert_eq!(format!("{arrived:?}"), format!("{expected:?}"));
            }
        }
    }

    #[test]
    fn an_answer_says_what_the_picture_became() {
        let recipe = bare_recipe();
        let parsed = |answer: &[u8]| {
            parse(answer, &[order(Format::Png, &recipe)]).map(|treated| {
                treated.map(|treated| {
                    let [treated] = &treated[..] else { panic!() };
                    assert_eq!((treated.width, treated.source_height), (3, 6));
                    (treated.bytes.to_vec(), treated.warning.clone())
                })
            })
        };
        let sizes = r#""bytes":5,"width":3,"height":4,"source_width":5,"source_height":6"#;
        let made =
            |warning: &str| format!("{{{sizes},\"warning\":{warning}}}\n\n\0PNG").into_bytes();
        let bytes = b"\n\0PNG".to_vec();
        assert_eq!(parsed(&made("null")).unwrap(), Ok((bytes.clone(), None)));
        let warned = Some("odd".to_owned());
        assert_eq!(parsed(&made("\"odd\"")).unwrap(), Ok((bytes, warned)));
        let (step, cause) = (Step::Resize, "why".to_owned());
        for (incomplete, expected) in [
            (
                true,
                PictureError::Incomplete {
                    step,
                    cause: cause.clone(),
                },
            ),
            (false, PictureError::Bad { step, cause }),
        ] {
            let answer =
                format!("{{\"incomplete\":{incomplete},\"step\":\"resize\",\"cause\":\"why\"}}\n");
            assert_eq!(parsed(answer.as_bytes()).unwrap(), Err(expected));
        }
        for nonsense in [
            "",
            "{}\n",
            "{\"cause\":\"why\",\"step\":\"dance\"}\n",
            "{\"width\":",
            r#"{"bytes":9,"width":3,"height":4,"source_width":5,"source_height":6}"#,
        ] {
            assert!(
                parse(nonsense.as_bytes(), &[order(Format::Png, &recipe)]).is_err(),
                "{nonsense}"
            );
        }
    }
}
