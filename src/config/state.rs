//! Where ledger and log lie: what must hold so that neither is taken for something else.

use std::path::Path;

use super::{layout::Site, model::Config, section::Findings, tree::Place};
use crate::os;

/// Where the two stand in the file.
pub struct Places {
    pub ledger: Place,
    /// Whether the file names the ledger.
    pub ledger_given: bool,
    pub log_dir: Place,
}

/// What a picture, a mark or a configuration is called. A ledger that is no database would be moved
/// aside, and a slip of the pen must not do that to one of these.
const TAKEN: &[&str] = &["jpg", "jpeg", "png", "npy", "yaml", "yml"];

pub fn check(config: &Config, sites: &[Site], places: &Places, findings: &Findings) {
    let ledger = &config.ledger;
    if ledger.is_dir() {
        let cause = format!("{} is a folder: name a file", ledger.display());
        findings.add(&places.ledger, cause);
    } else if places.ledger_given
        && let Some(cause) = misplaced(ledger, sites)
    {
        findings.add(&places.ledger, cause);
    }
    let dir = &config.log.dir;
    if dir.exists() && !dir.is_dir() {
        findings.add(
            &places.log_dir,
            format!("{} is not a folder", dir.display()),
        );
    }
}

/// Why a ledger cannot be where a file names it.
fn misplaced(ledger: &Path, sites: &[Site]) -> Option<String> {
    let extension = ledger.extension().unwrap_or_default().to_ascii_lowercase();
    if TAKEN.iter().any(|taken| extension == *taken) {
        let extension = extension.display();
        return Some(format!(
            "must not end in .{extension}, as pictures, marks and configurations do"
        ));
    }
    let real = os::resolve(ledger).ok()?;
    sites.iter().find_map(|site| {
        let pictures = [
            (site.folder.input.as_path(), &site.input_at),
            (site.folder.output.as_path(), &site.output_at),
        ];
        let mut folders = pictures.into_iter().chain(site.moved_to());
        let (_, at) = folders.find(|(folder, _)| {
            os::resolve(folder).is_ok_and(|folder| {
                real.parent() == Some(&folder) || site.folder.recursive && real.starts_with(&folder)
            })
        })?;
        Some(format!(
            "lies in the folder of {}, among pictures: name a file elsewhere",
            at.key
        ))
    })
}
