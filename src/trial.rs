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
    io::{self, Read},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use crate::os;

/// The hidden command that a trial's process runs.
pub const COMMAND: &str = "trial";

/// Holds a trial. Returns how its process died, if it did.
pub fn hold(picture: &Path, config: &Path) -> io::Result<Option<String>> {
    let mut child = Command::new(os::own_program()?)
        .arg(COMMAND)
        .arg("--config")
        .arg(config)
        .arg("--")
        .arg(picture)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Its end is how the trial learns that we have died. `wait` would close it at once.
    let lifeline = child.stdin.take();
    let status: io::Result<ExitStatus> = child.wait();
    drop(lifeline);
    Ok(os::death(status?))
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
