//! Which folders deliver events.
//!
//! Linux delivers inotify events for what happens through the mount on this machine. What another
//! machine writes to a network share, or what is written to the directory behind a FUSE mount,
//! raises none. So the type of the mount that a folder lies on decides, and the mount table is
//! read afresh every time, because mounts come and go. macOS is the same with other names. Windows
//! delivers events for local folders and, from most servers, for shares; there the rescan is the
//! net.

use std::path::Path;

use super::Mode;

/// Calls `changed` whenever something is mounted or unmounted, for ever: a mount that covers or
/// uncovers a watched folder raises no event in it.
#[cfg(target_os = "linux")]
pub fn follow(mut changed: impl FnMut() -> bool + Send + 'static) -> std::io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    let table = std::fs::File::open("/proc/self/mountinfo")?;
    std::thread::Builder::new()
        .name("mounts".to_owned())
        .spawn(move || {
            // The kernel raises an exceptional condition, once, for each change of the table.
            let mut wait = [PollFd::new(&table, PollFlags::PRI)];
            while poll(&mut wait, None).is_ok() && changed() {}
        })?;
    Ok(())
}

/// Elsewhere the rescan notices.
#[cfg(not(target_os = "linux"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is the same on every platform"
)]
pub fn follow(_changed: impl FnMut() -> bool + Send + 'static) -> std::io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
pub fn choose(input: &Path) -> (Mode, String) {
    let table = match std::fs::read("/proc/self/mountinfo") {
        Ok(table) => table,
        Err(cause) => {
            return (
                Mode::Events,
                format!("the mount table cannot be read: {cause}"),
            );
        }
    };
    let path = std::fs::canonicalize(input).unwrap_or_else(|_| input.to_owned());
    match file_system_of(&path, &table) {
        Some(kind) if is_remote(&kind) => (
            Mode::Poll,
            format!("{kind} does not tell what others write"),
        ),
        Some(kind) => (Mode::Events, format!("{kind} delivers events")),
        None => (
            Mode::Events,
            "its mount is not in the mount table".to_owned(),
        ),
    }
}

/// The kind of network or foreign file system that a file lies on, or would lie on.
#[cfg(target_os = "linux")]
pub fn remote(file: &Path) -> Option<String> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    let nearest = file.ancestors().find_map(|path| path.canonicalize().ok())?;
    file_system_of(&nearest, &table).filter(|kind| is_remote(kind))
}

#[cfg(target_os = "macos")]
pub fn remote(file: &Path) -> Option<String> {
    let nearest = file.ancestors().find_map(|path| path.canonicalize().ok())?;
    kind_of(&nearest).ok().filter(|kind| is_remote(kind))
}

#[cfg(target_os = "macos")]
fn kind_of(path: &Path) -> rustix::io::Result<String> {
    let found = rustix::fs::statfs(path)?;
    let name = found.f_fstypename.iter().take_while(|&&char| char != 0);
    let name: Vec<u8> = name.map(|char| char.cast_unsigned()).collect();
    Ok(String::from_utf8_lossy(&name).into_owned())
}

#[cfg(target_os = "macos")]
fn is_remote(kind: &str) -> bool {
    const REMOTE: [&str; 8] = [
        "smbfs", "nfs", "afpfs", "webdav", "ftp", "macfuse", "osxfuse", "fuse-t",
    ];
    REMOTE.contains(&kind)
}

/// In a canonical path the letter of a mapped drive has become the name of the share behind it.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn remote(file: &Path) -> Option<String> {
    use std::path::{Component, Prefix};
    let nearest = file.ancestors().find_map(|path| path.canonicalize().ok());
    match nearest.as_deref().unwrap_or(file).components().next()? {
        Component::Prefix(prefix)
            if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..)) =>
        {
            Some("a network share".to_owned())
        }
        _ => None,
    }
}

#[cfg(target_os = "macos")]
pub fn choose(input: &Path) -> (Mode, String) {
    match kind_of(input) {
        Ok(kind) if is_remote(&kind) => {
            let why = format!("{kind} does not tell what others write");
            (Mode::Poll, why)
        }
        Ok(kind) => (Mode::Events, format!("{kind} delivers events")),
        Err(cause) => {
            let why = format!("its file system is not known: {cause}");
            (Mode::Events, why)
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn choose(input: &Path) -> (Mode, String) {
    let why = if remote(input).is_some() {
        "a network share whose server passes events on as a rule; the rescan is the net"
    } else {
        "a local folder delivers events"
    };
    (Mode::Events, why.to_owned())
}

/// The file system type of the deepest mount that `path` lies on; of two on the same mount point
/// the later one covers the earlier. The format is that of `proc_pid_mountinfo(5)`.
#[cfg(target_os = "linux")]
fn file_system_of(path: &Path, table: &[u8]) -> Option<String> {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};
    let mut best: Option<(usize, String)> = None;
    for line in table.split(|&byte| byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let Some(dash) = fields.iter().position(|field| *field == b"-") else {
            continue;
        };
        let (Some(point), Some(kind)) = (fields.get(4), fields.get(dash + 1)) else {
            continue;
        };
        let point = PathBuf::from(OsString::from_vec(unescape(point)));
        let depth = point.components().count();
        if path.starts_with(&point) && best.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
            best = Some((depth, String::from_utf8_lossy(kind).into_owned()));
        }
    }
    best.map(|(_, kind)| kind)
}

/// Space, tab, newline and backslash stand as three octal digits behind a backslash.
#[cfg(target_os = "linux")]
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|digits| {
            byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        if let Some(digits) = octal {
            let value = digits.iter().fold(0_u8, |value, digit| {
                value.wrapping_mul(8).wrapping_add(digit - b'0')
            });
            plain.push(value);
            rest = &tail[3..];
        } else {
            plain.push(byte);
            rest = tail;
        }
    }
    plain
}

#[cfg(target_os = "linux")]
fn is_remote(kind: &str) -> bool {
    const REMOTE: [&str; 20] = [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "virtiofs",
        "fuse",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "ncpfs",
        "davfs",
        "vboxsf",
        "vmhgfs",
        "prl_fs",
        "gfs2",
        "ocfs2",
        "beegfs",
    ];
    REMOTE.contains(&kind) || kind.starts_with("fuse.")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:25 / /mnt rw - tmpfs tmpfs rw
31 30 0:40 / /mnt/nas rw shared:7 master:2 - cifs //nas/share rw
32 30 0:41 / /mnt/my\\040nas rw - fuse.sshfs host:/x rw
33 21 0:42 / /over rw - ext4 /dev/vdb rw
34 21 0:43 / /over rw - nfs4 host:/y rw
35 21 0:44 / /disk rw - fuseblk /dev/sdc rw
";

    #[test]
    fn the_deepest_mount_decides() {
        for (path, kind, remote) in [
            ("/home/in", "ext4", false),
            ("/mnt/in", "tmpfs", false),
            ("/mnt/nas", "cifs", true),
            ("/mnt/nas/a/b", "cifs", true),
            ("/mnt/nasty", "tmpfs", false),
            ("/mnt/my nas/in", "fuse.sshfs", true),
            ("/over/in", "nfs4", true),
            ("/disk/in", "fuseblk", false),
        ] {
            let found = file_system_of(Path::new(path), TABLE).unwrap();
            assert_eq!(
                (found.as_str(), is_remote(&found)),
                (kind, remote),
                "{path}"
            );
        }
    }
}
