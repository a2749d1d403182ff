//! A trial: a suspect picture goes its whole way in a process of its own, and nothing is published.
//!
//! When the daemon dies, one of the files in its hands may have been the cause, or somebody killed
//! it, or the power failed: the files cannot tell. A trial can. If the trial's process dies and the
//! daemon lives, it was the picture; if the daemon dies as well, nothing is proved. A picture that
//! kills costs one process that nobody misses, and however often somebody kills the daemon, no
//! innocent picture fails.
//!
//! The trial loads the configuration itself, so after a change that was not yet taken over it may
//! go by another recipe, or end at once over a mistake in it: then it proves nothing either.

use std::{
    convert::Infallible,
    io::{self, Read},
    path::Path,
    process::{ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::os;

/// The hidden command that a trial's process runs.
pub const COMMAND: &str = "trial";
/// The longest trial: a folder that does not answer must not hold up all pictures for ever.
const LONGEST: Duration = Duration::from_secs(600);

/// Holds a trial. Returns how its process died, if it did.
pub fn hold(picture: &Path, config: &Path) -> io::Result<Option<String>> {
    let mut child = Command::new(os::own_program()?)
        .arg(COMMAND)
        .arg("--config")
        .arg(config)
        .arg("--")
        .arg(picture)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // Its end is how the trial learns that we have died. `wait` would close it at once.
    let lifeline = child.stdin.take();
    let end = end_of(child.stdout.take())?;
    let late = end.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout);
    if late {
        child.kill()?;
    }
    let status: io::Result<ExitStatus> = child.wait();
    drop(lifeline);
    if late {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(os::death(status?))
}

/// Disconnected when the other end of the pipe is closed: when the process has ended.
fn end_of(pipe: Option<ChildStdout>) -> io::Result<Receiver<Infallible>> {
    let (sender, end) = bounded(0);
    thread::Builder::new()
        .name("trial".to_owned())
        .spawn(move || {
            let _sender = sender;
            // It says nothing; whether it ends well or not, it ends.
            if let Some(mut pipe) = pipe {
                let (Ok(_) | Err(_)) = io::copy(&mut pipe, &mut io::sink());
            }
        })?;
    Ok(end)
}

/// Ends this process with the daemon that holds the trial: nobody would learn the outcome.
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
