//! Where the configuration is looked for, and where state and log go when it does not say.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use directories::ProjectDirs;
use xxhash_rust::xxh3::xxh3_64;

use super::error::{ConfigError, Problem};

/// What a configuration is called where it is looked for.
const CONFIG: &str = "config.yaml";

/// The file to load: `explicit`, else `$WATERMARKD_CONFIG`, else the first that exists of
/// `$CONFIGURATION_DIRECTORY` (systemd), the platform's places and the current folder. What is named
/// is taken even if it is missing, so that a typing error in it is not answered with another file.
pub fn locate(explicit: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let mut places = Vec::new();
    if let Some(directory) = first_path(env::var_os("CONFIGURATION_DIRECTORY").as_deref()) {
        places.push(directory.join(CONFIG));
    }
    if let Some(dirs) = project_dirs() {
        places.push(dirs.config_dir().join(CONFIG));
    }
    places.extend(program_data().map(|folder| folder.join(CONFIG)));
    if cfg!(target_os = "linux") {
        places.push(PathBuf::from("/etc/watermarkd/config.yaml"));
    }
    // Last, so that no folder that one happens to be in takes the place of what is installed.
    places.extend(["./watermarkd.yaml", "./config.yaml"].map(PathBuf::from));
    let named = env::var_os("WATERMARKD_CONFIG");
    locate_among(explicit, named.as_deref(), &places)
}

/// Where state lies that a configuration does not place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// The ledger that `auto` means; none without a home directory.
    pub ledger: Option<PathBuf>,
    /// The one that earlier versions used for this configuration and others alike, where that is
    /// another one and `auto` counts.
    pub earlier: Option<PathBuf>,
}

const LEDGER: &str = "ledger.sqlite";

impl Home {
    /// `file` is the configuration, absolute; `is_auto` says that it does not name a ledger.
    #[must_use]
    pub fn of(file: &Path, is_auto: bool) -> Home {
        let ledger = default_state_dir(file).map(|dir| dir.join(LEDGER));
        let shared = project_dirs().map(|dirs| state_dir_of(&dirs).join(LEDGER));
        let is_own = shared
            .as_ref()
            .zip(ledger.as_ref())
            .is_some_and(|(shared, own)| own.parent().and_then(Path::parent) == shared.parent());
        Home {
            ledger,
            earlier: shared.filter(|_| is_own && is_auto),
        }
    }
}

/// The directory of the ledger: `$STATE_DIRECTORY` (systemd), else the platform's; `None` without
/// a home directory. A configuration in `%ProgramData%\watermarkd` has its state beside it, and one
/// in /etc/watermarkd in /var/lib/watermarkd, so that the service and whoever asks about it mean the
/// same ledger. The user's own configuration has the user's state directory, and every other one a
/// folder below that, so that two configurations never meet. `file` is the configuration, absolute.
fn default_state_dir(file: &Path) -> Option<PathBuf> {
    first_path(env::var_os("STATE_DIRECTORY").as_deref()).or_else(|| {
        let base = file.parent()?;
        if program_data().is_some_and(|folder| folder == base) {
            return Some(base.join("state"));
        }
        if is_system_wide(base) {
            return Some("/var/lib/watermarkd".into());
        }
        let dirs = project_dirs()?;
        let shared = state_dir_of(&dirs);
        Some(if file == dirs.config_dir().join(CONFIG) {
            shared
        } else {
            shared.join(own_name(file))
        })
    })
}

/// The directory of the log: `$LOGS_DIRECTORY` (systemd), else /var/log/watermarkd for a
/// configuration in /etc/watermarkd, else `log` in the state directory.
pub fn default_log_dir(file: &Path) -> Option<PathBuf> {
    first_path(env::var_os("LOGS_DIRECTORY").as_deref()).or_else(|| {
        if file.parent().is_some_and(is_system_wide) {
            return Some("/var/log/watermarkd".into());
        }
        Some(default_state_dir(file)?.join("log"))
    })
}

/// The name of a configuration's own folder: the end of its path, for people, and a hash of all of
/// it. A link on the way counts by its name, as it does for the folders in the ledger.
fn own_name(file: &Path) -> String {
    let stem = file.file_stem().filter(|stem| *stem != "config");
    let parent = file.parent().and_then(Path::file_name);
    let tail: Vec<String> = [parent, stem]
        .into_iter()
        .flatten()
        .map(|part| part.to_string_lossy().chars().map(plain).take(24).collect())
        .collect();
    let hash = xxh3_64(file.as_os_str().as_encoded_bytes());
    format!("{}-{:08x}", tail.join("-"), hash >> 32)
}

/// What every file system takes, and no shell has to quote.
fn plain(char: char) -> char {
    if char.is_ascii_alphanumeric() || "._-".contains(char) {
        char
    } else {
        '_'
    }
}

fn state_dir_of(dirs: &ProjectDirs) -> PathBuf {
    dirs.state_dir()
        .unwrap_or_else(|| dirs.data_local_dir())
        .to_owned()
}

/// Whether a configuration in this folder is that of the systemd unit, whose directories then stand
/// in for the variables that a command in a shell does not have.
fn is_system_wide(base: &Path) -> bool {
    cfg!(target_os = "linux") && base == Path::new("/etc/watermarkd")
}

/// Windows: what belongs to no user. The variable of this name is not set for every service.
#[cfg(windows)]
fn program_data() -> Option<PathBuf> {
    use known_folders::{KnownFolder, get_known_folder_path};
    Some(get_known_folder_path(KnownFolder::ProgramData)?.join("watermarkd"))
}

#[cfg(not(windows))]
fn program_data() -> Option<PathBuf> {
    None
}

fn project_dirs() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "watermarkd")
}

/// systemd joins several directories with colons; the first one is ours.
fn first_path(list: Option<&OsStr>) -> Option<PathBuf> {
    env::split_paths(list?)
        .next()
        .filter(|path| !path.as_os_str().is_empty())
}

fn locate_among(
    explicit: Option<&Path>,
    named: Option<&OsStr>,
    places: &[PathBuf],
) -> Result<PathBuf, ConfigError> {
    if let Some(file) = explicit {
        return Ok(file.to_owned());
    }
    if let Some(file) = named.filter(|file| !file.is_empty()) {
        return Ok(file.into());
    }
    if let Some(file) = places.iter().find(|file| file.exists()) {
        return Ok(file.clone());
    }
    let mut cause = "not found: no -c, $WATERMARKD_CONFIG is not set".to_owned();
    for place in places {
        cause = format!("{cause}, no {}", place.display());
    }
    cause.push_str("; name a file with -c FILE, or write one with `watermarkd init DIR`");
    Err(ConfigError {
        file: "config.yaml".into(),
        problems: vec![Problem::of_file(cause)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_is_named_or_exists_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there.yaml");
        std::fs::write(&there, "").unwrap();
        let places = [dir.path().join("gone.yaml"), there.clone()];
        let explicit = Path::new("c.yaml");
        let named = Some(OsStr::new("named.yaml"));

        let locate = |explicit, named| locate_among(explicit, named, &places).unwrap();
        assert_eq!(locate(Some(explicit), named), explicit);
        assert_eq!(locate(None, named), Path::new("named.yaml"));
        assert_eq!(locate(None, Some(OsStr::new(""))), there);
        assert_eq!(locate(None, None), there);

        let error = locate_among(None, None, &["/a/config.yaml".into(), "/b".into()]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "config.yaml: not found: no -c, $WATERMARKD_CONFIG is not set, \
             no /a/config.yaml, no /b; \
             name a file with -c FILE, or write one with `watermarkd init DIR`"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_command_in_a_shell_means_the_ledger_and_log_of_the_service() {
        let file = Path::new("/etc/watermarkd/config.yaml");
        assert_eq!(default_state_dir(file), Some("/var/lib/watermarkd".into()));
        assert_eq!(default_log_dir(file), Some("/var/log/watermarkd".into()));
        assert_eq!(Home::of(file, true).earlier, None);
        let elsewhere = default_state_dir(Path::new("/etc/watermarkd/other/config.yaml"));
        assert_ne!(elsewhere, Some("/var/lib/watermarkd".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_configuration_elsewhere_has_a_folder_of_its_own() {
        for (file, name) in [
            ("/srv/pictures/config.yaml", "pictures-"),
            ("/srv/pictures/b.yaml", "pictures-b-"),
            ("/srv/my pictures/ü.yaml", "my_pictures-_-"),
            ("/config.yaml", "-"),
        ] {
            let own = own_name(Path::new(file));
            let hash = own.strip_prefix(name).unwrap_or_else(|| panic!("{own}"));
            assert!(hash.len() == 8 && !hash.contains('-'), "{own}");
        }
        let two = ["/a/x/config.yaml", "/b/x/config.yaml"].map(|file| own_name(Path::new(file)));
        assert_ne!(two[0], two[1]);

        let Some(dirs) = project_dirs() else { return };
        let (shared, standard) = (state_dir_of(&dirs), dirs.config_dir().join(CONFIG));
        assert_eq!(default_state_dir(&standard), Some(shared.clone()));
        assert_eq!(Home::of(&standard, true).earlier, None);
        for other in [
            dirs.config_dir().join("b.yaml"),
            "/srv/x/config.yaml".into(),
        ] {
            let own = default_state_dir(&other).unwrap();
            assert_eq!(own.parent(), Some(shared.as_path()));
            assert_eq!(default_log_dir(&other), Some(own.join("log")));
            let earlier = Some(shared.join(LEDGER));
            assert_eq!(Home::of(&other, true).earlier, earlier);
            assert_eq!(Home::of(&other, false).earlier, None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn of_several_directories_of_systemd_the_first_is_ours() {
        let first = |list: &str| first_path(Some(OsStr::new(list)));
        assert_eq!(
            first("/var/lib/a:/var/lib/b"),
            Some(PathBuf::from("/var/lib/a"))
        );
        assert_eq!(first(""), None);
        assert_eq!(first_path(None), None);
    }
}
