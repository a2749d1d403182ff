//! Forgets what left a folder long ago, and folders that left the configuration long ago, so that the ledger does not grow for ever.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{
    ledger::Ledger,
    log::text,
    root::Root,
    stop::{Quit, told_to_quit},
    watchdog,
};

/// What a scan spends on it at most: 10,000 rows or so, if all are forgotten.
const AT_MOST: Duration = Duration::from_millis(100);

/// Walks on through a folder's rows after a scan of it, until the time for that is over.
pub fn forget_old(root: &Root, ledger: &Ledger, keep: Duration, quit: &Quit) {
    let (begun, path) = (Instant::now(), text(&root.folder.input));
    let mut files = 0;
    loop {
        match forget_piece(root, ledger, keep) {
            Ok(Some(count)) => files += count,
            Ok(None) => break,
            Err(cause) => {
                let cause = format!("{cause:#}");
                warn!(path, cause, "what left long ago is not forgotten");
                break;
            }
        }
        if begun.elapsed() > AT_MOST || told_to_quit(quit) {
            break;
        }
    }
    if files > 0 {
        info!(path, files, "forgot what left long ago");
    }
    forget_unnamed(ledger, keep, begun, quit);
}

/// Forgets folders that are no longer configured, in what is left of the same time.
fn forget_unnamed(ledger: &Ledger, keep: Duration, begun: Instant, quit: &Quit) {
    let mut files = 0;
    while begun.elapsed() <= AT_MOST && !told_to_quit(quit) {
        watchdog::busy();
        let forgotten = ledger.forget_unnamed(keep).and_then(|count| {
            if count.is_some_and(|count| count > 0) {
                ledger.shrink()?;
            }
            Ok(count)
        });
        match forgotten {
            Ok(Some(count)) => files += count,
            Ok(None) => break,
            Err(cause) => {
                let cause = format!("{cause:#}");
                warn!(
                    cause,
                    "folders that are no longer configured are not forgotten"
                );
                break;
            }
        }
    }
    if files > 0 {
        info!(
            files,
            "forgot folders that were taken out of the configuration long ago"
        );
    }
}

/// None at the end of the walk.
fn forget_piece(root: &Root, ledger: &Ledger, keep: Duration) -> anyhow::Result<Option<usize>> {
    let Some(mut piece) = ledger.next_old(root.id, keep)? else {
        return Ok(None);
    };
    piece.old.retain(|old| {
        watchdog::busy();
        old.gone || has_left(&root.folder.input, &old.path)
    });
    let count = ledger.forget(root.id, &piece)?;
    if count > 0 {
        ledger.shrink()?;
    }
    Ok(Some(count))
}

/// Whether a file is no longer in its folder. An empty folder does not tell: what is mounted there may
/// be away.
fn has_left(input: &Path, relative: &Path) -> bool {
    match fs::symlink_metadata(input.join(relative)) {
        Err(cause) if is_missing(&cause) => {}
        _ => return false,
    }
    for folder in relative.ancestors().skip(1) {
        match fs::read_dir(input.join(folder)) {
            Ok(mut entries) => return entries.next().is_some(),
            Err(cause) if is_missing(&cause) => {}
            Err(_) => return false,
        }
    }
    false
}

fn is_missing(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_left_a_folder_that_holds_others() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path();
        for (name, expected, make) in [
            ("a.jpg", false, None),
            ("sub/a.jpg", true, Some("empty/")),
            ("empty/a.jpg", false, None),
            ("a.jpg", true, None),
            ("sub/deep/a.jpg", true, Some("b.jpg")),
            ("b.jpg", false, None),
            ("b.jpg/a.jpg", true, None),
        ] {
            if let Some(make) = make {
                match make.strip_suffix('/') {
                    Some(directory) => fs::create_dir(input.join(directory)).unwrap(),
                    None => fs::write(input.join(make), "").unwrap(),
                }
            }
            assert_eq!(has_left(input, Path::new(name)), expected, "{name}");
        }
    }
}
