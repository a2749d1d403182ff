//! Where the configuration is looked for, and where state and log go when it does not say.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use directories::ProjectDirs;

use super::error::{ConfigError, Problem};

/// The file to load: `explicit`, else `$WATERMARKD_CONFIG`, else the first that exists of
/// `$CONFIGURATION_DIRECTORY` (systemd) and the platform's places. What is named is taken even if it is missing, so that a typing error in it
/// is not answered with another file.
pub fn locate(explicit: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let mut places = Vec::new();
    if let Some(directory) = first_path(env::var_os("CONFIGURATION_DIRECTORY").as_deref()) {
        places.push(directory.join("config.yaml"));
    }
    if let Some(dirs) = project_dirs() {
        places.push(dirs.config_dir().join("config.yaml"));
    }
    places.extend(program_data().map(|folder| folder.join("config.yaml")));
    if cfg!(target_os = "linux") {
        places.push(PathBuf::from("/etc/watermarkd/config.yaml"));
    }
    let named = env::var_os("WATERMARKD_CONFIG");
    locate_among(explicit, named.as_deref(), &places)
}

/// The directory of the ledger: `$STATE_DIRECTORY` (systemd), else the platform's; `None` without
/// a home directory. A configuration in `%ProgramData%\watermarkd` has its state beside it, and one
/// in /etc/watermarkd in /var/lib/watermarkd, so that the service and whoever asks about it mean the
/// same ledger. `base` is the configuration's folder.
#[must_use]
pub fn default_state_dir(base: &Path) -> Option<PathBuf> {
    first_path(env::var_os("STATE_DIRECTORY").as_deref()).or_else(|| {
        if program_data().is_some_and(|folder| folder == base) {
            return Some(base.join("state"));
        }
        if is_system_wide(base) {
            return Some("/var/lib/watermarkd".into());
        }
        let dirs = project_dirs()?;
        Some(
            dirs.state_dir()
                .unwrap_or_else(|| dirs.data_local_dir())
                .to_owned(),
        )
    })
}

/// The directory of the log: `$LOGS_DIRECTORY` (systemd), else /var/log/watermarkd for a
/// configuration in /etc/watermarkd, else `log` in the state directory.
#[must_use]
pub fn default_log_dir(base: &Path) -> Option<PathBuf> {
    first_path(env::var_os("LOGS_DIRECTORY").as_deref()).or_else(|| {
        if is_system_wide(base) {
            return Some("/var/log/watermarkd".into());
        }
        Some(default_state_dir(base)?.join("log"))
    })
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
             no /a/config.yaml, no /b"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_command_in_a_shell_means_the_ledger_and_log_of_the_service() {
        let base = Path::new("/etc/watermarkd");
        assert_eq!(default_state_dir(base), Some("/var/lib/watermarkd".into()));
        assert_eq!(default_log_dir(base), Some("/var/log/watermarkd".into()));
        let elsewhere = default_state_dir(Path::new("/etc/watermarkd/other"));
        assert_ne!(elsewhere, Some("/var/lib/watermarkd".into()));
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
