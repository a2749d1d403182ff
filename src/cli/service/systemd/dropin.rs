//! The drop-in that gives the unit the folders of the configuration: what it may write to, whose
//! groups it needs, and which mounts it comes after.

use std::{
    collections::BTreeSet,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// `WantsMountsFor=` is there from this version of systemd on.
const WANTS_MOUNTS: u32 = 256;
/// What the unit hides: `ProtectHome=tmpfs` and `PrivateTmp=yes`.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// A folder that the daemon uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// Whether the daemon writes to it.
    pub written: bool,
    /// The mount point of the file system that it lies on, as far as it exists.
    pub mount: PathBuf,
    /// The number of the group that may do in it what its owner may, if that is not root's.
    pub group: Option<u32>,
}

/// The text of the drop-in. `start` is the command to run, if it is not the one of the unit.
pub fn text(config: &Path, places: &[Place], start: Option<&str>, version: u32) -> String {
    let mut text = format!(
        "# Written by `watermarkd service install` from {}.\n\
         # It is written anew when you run that command again, which you do after a change of the\n\
         # folders there. Your own settings belong into another file beside this one.\n\n[Unit]\n\
         # Starts after these are mounted. RequiresMountsFor= would also stop the daemon with a share\n\
         # that goes away. The daemon waits for it and goes on with its other folders.\n",
        config.display()
    );
    text += &mounts(places, version);
    text += "\n[Service]\n";
    if let Some(start) = start {
        text += &lines("ExecStart=", [String::new(), start.to_owned()]);
    }
    text += "# What the daemon uses. Everything else is hidden or can only be read.\n";
    for (key, hidden, written) in [
        ("ReadWritePaths=", false, true),
        ("BindPaths=", true, true),
        ("BindReadOnlyPaths=", true, false),
    ] {
        let paths = places
            .iter()
            .filter(|place| place.written == written && is_hidden(&place.path) == hidden)
            // A folder below a mount point would be held by a mount of its own, and the share could
            // not be unmounted.
            .map(|place| match place.mount.parent() {
                Some(_) if !hidden => &place.mount,
                _ => &place.path,
            });
        let paths: BTreeSet<String> = paths.map(|path| word("-", path)).collect();
        text += &lines(key, paths);
    }
    let groups: BTreeSet<u32> = places.iter().filter_map(|place| place.group).collect();
    text += &lines("SupplementaryGroups=", groups.iter().map(u32::to_string));
    text
}

fn lines(key: &str, values: impl IntoIterator<Item = String>) -> String {
    let lines = values.into_iter().map(|value| format!("{key}{value}\n"));
    lines.collect()
}

/// Whether the service gets to it only by what the drop-in grants.
pub fn is_opened(place: &Place) -> bool {
    place.group.is_some() || is_hidden(&place.path)
}

fn is_hidden(path: &Path) -> bool {
    HIDDEN.iter().any(|hidden| path.starts_with(hidden))
}

fn mounts(places: &[Place], version: u32) -> String {
    let paths: BTreeSet<&Path> = places.iter().map(|place| place.path.as_path()).collect();
    if version >= WANTS_MOUNTS {
        return lines("WantsMountsFor=", paths.iter().map(|path| word("", path)));
    }
    // A unit that is not there is passed over.
    let points = paths.iter().flat_map(|path| path.ancestors());
    let units: BTreeSet<String> = points
        .filter(|point| point.parent().is_some())
        .map(mount_unit)
        .collect();
    ["Wants=", "After="]
        .map(|key| lines(key, units.iter().cloned()))
        .concat()
}

/// The unit of a mount point (systemd.unit(5), "String escaping for inclusion in unit names").
fn mount_unit(point: &Path) -> String {
    let path = point.as_os_str().as_bytes();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let mut name = String::new();
    for (place, &byte) in path.iter().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if place == 0 => name += r"\x2e",
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(byte.into()),
            _ => name += &escaped(byte),
        }
    }
    name + ".mount"
}

fn escaped(byte: u8) -> String {
    format!("\\x{byte:02x}")
}

/// A path as one word of a unit's line (systemd.syntax(7), "Quoting").
pub fn word(before: &str, path: &Path) -> String {
    let mut word = before.to_owned();
    let mut quoted = false;
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' => word += "%%",
            b'"' | b'\\' => {
                quoted = true;
                word.push('\\');
                word.push(byte.into());
            }
            b' ' | b'\'' => {
                quoted = true;
                word.push(byte.into());
            }
            b'!'..=b'~' => word.push(byte.into()),
            _ => {
                quoted = true;
                word += &escaped(byte);
            }
        }
    }
    if quoted { format!("\"{word}\"") } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, written: bool, mount: &str) -> Place {
        Place {
            path: path.into(),
            written,
            mount: mount.into(),
            group: None,
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_unit() {
        for (path, expected) in [
            ("/srv/in", "-/srv/in"),
            ("/srv/my in", r#""-/srv/my in""#),
            ("/srv/50%", "-/srv/50%%"),
            (r#"/srv/a"\b"#, r#""-/srv/a\"\\b""#),
            ("/srv/é", r#""-/srv/\xc3\xa9""#),
        ] {
            assert_eq!(word("-", Path::new(path)), expected);
        }
    }

    #[test]
    fn a_mount_point_has_a_unit() {
        for (point, unit) in [
            ("/srv", "srv.mount"),
            ("/mnt/nas-1/a b", r"mnt-nas\x2d1-a\x20b.mount"),
            ("/.snap", r"\x2esnap.mount"),
        ] {
            assert_eq!(mount_unit(Path::new(point)), unit);
        }
    }

    #[test]
    fn the_unit_gets_what_the_folders_need() {
        let mut shared = place("/srv/pictures/out", true, "/");
        shared.group = Some(1001);
        let places = [
            place("/srv/pictures/in", false, "/"),
            shared,
            place("/mnt/nas/a/out", true, "/mnt/nas"),
            place("/home/anna/in", false, "/home"),
            place("/home/anna/out", true, "/home"),
        ];
        let config = Path::new("/etc/watermarkd/config.yaml");
        let text = text(config, &places, None, 257);
        let said: Vec<&str> = text.lines().filter(|line| line.contains('=')).collect();
        assert_eq!(
            said[1..],
            [
                "WantsMountsFor=/home/anna/in",
                "WantsMountsFor=/home/anna/out",
                "WantsMountsFor=/mnt/nas/a/out",
                "WantsMountsFor=/srv/pictures/in",
                "WantsMountsFor=/srv/pictures/out",
                "ReadWritePaths=-/mnt/nas",
                "ReadWritePaths=-/srv/pictures/out",
                "BindPaths=-/home/anna/out",
                "BindReadOnlyPaths=-/home/anna/in",
                "SupplementaryGroups=1001",
            ]
        );
    }

    #[test]
    fn an_older_systemd_gets_the_units_of_the_mounts() {
        let places = [place("/mnt/nas/in", false, "/mnt/nas")];
        let start = Some("/opt/watermarkd run");
        let text = text(Path::new("/c.yaml"), &places, start, 252);
        assert!(text.contains("\nWants=mnt-nas-in.mount\nWants=mnt-nas.mount\nWants=mnt.mount\n"));
        assert!(text.contains("\nAfter=mnt-nas.mount\n"));
        assert!(text.contains("\nExecStart=\nExecStart=/opt/watermarkd run\n"));
        assert!(!text.contains("MountsFor=/"));
    }
}
