//! Mounts: which file system a path lies on, and whether another machine or program may write to it
//! unseen.
//!
//! Linux lists its mounts in `/proc/self/mountinfo`. The table is read afresh every time, because
//! mounts come and go. macOS gives the file system of a path directly. On Windows only shares
//! matter: in a canonical path the letter of a mapped drive has become the name of the share.

use std::path::Path;

#[cfg(target_os = "linux")]
pub use linux::{Mount, file_system, follow, parse, table};
#[cfg(not(target_os = "linux"))]
pub use other::{file_system, follow};

/// The type of a file system, as the system names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    pub kind: String,
    /// Others can write to it without this machine's kernel knowing: a network share, a foreign or
    /// FUSE file system.
    pub remote: bool,
}

/// The type of the remote file system that a file lies on, or would lie on. None if it is local or
/// not known.
pub fn remote(file: &Path) -> Option<String> {
    let nearest = file.ancestors().find_map(|path| path.canonicalize().ok());
    let found = file_system(nearest.as_deref().unwrap_or(file)).ok()??;
    found.remote.then_some(found.kind)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        ffi::OsString,
        fs::{self, File},
        io,
        os::unix::ffi::OsStringExt,
        path::{Path, PathBuf},
        thread,
    };

    use rustix::event::{PollFd, PollFlags, poll};

    use crate::os::mounts::FileSystem;

    const TABLE: &str = "/proc/self/mountinfo";
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

    /// One line of the mount table.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Mount {
        /// The folder of the file system that is mounted; "/" as a rule.
        pub root: PathBuf,
        /// Where it is mounted.
        pub point: PathBuf,
        /// The type of the file system.
        pub kind: String,
        /// The options of the file system, with commas between them.
        pub options: String,
    }

    /// The mounts that this process sees, in the order in which they were made.
    pub fn table() -> io::Result<Vec<Mount>> {
        Ok(parse(&fs::read(TABLE)?))
    }

    /// Reads the format of `proc_pid_mountinfo(5)`. A line that has another one is left out.
    pub fn parse(table: &[u8]) -> Vec<Mount> {
        table
            .split(|&byte| byte == b'\n')
            .filter_map(parse_line)
            .collect()
    }

    fn parse_line(line: &[u8]) -> Option<Mount> {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        // Optional fields end with a dash of their own.
        let dash = fields.iter().position(|field| *field == b"-")?;
        let path = |at: usize| {
            let field = fields.get(at)?;
            Some(PathBuf::from(OsString::from_vec(unescape(field))))
        };
        let text = |at: usize| Some(String::from_utf8_lossy(fields.get(at)?).into_owned());
        Some(Mount {
            root: path(3)?,
            point: path(4)?,
            kind: text(dash + 1)?,
            options: text(dash + 3)?,
        })
    }

    /// Space, tab, newline and backslash stand as three octal digits behind a backslash.
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

    /// The file system that a canonical path lies on; None if its mount is not in the table.
    pub fn file_system(path: &Path) -> io::Result<Option<FileSystem>> {
        Ok(of(path, table()?).map(|kind| FileSystem {
            remote: is_remote(&kind),
            kind,
        }))
    }

    /// The type of the deepest mount that `path` lies on; of two on the same mount point the later
    /// one covers the earlier.
    pub fn of(path: &Path, mounts: Vec<Mount>) -> Option<String> {
        let around = mounts
            .into_iter()
            .filter(|mount| path.starts_with(&mount.point));
        around
            .max_by_key(|mount| mount.point.components().count())
            .map(|mount| mount.kind)
    }

    pub fn is_remote(kind: &str) -> bool {
        REMOTE.contains(&kind) || kind.starts_with("fuse.")
    }

    /// Calls `changed` whenever something is mounted or unmounted, until it returns false: a mount
    /// that covers or uncovers a watched folder raises no event in it.
    pub fn follow(mut changed: impl FnMut() -> bool + Send + 'static) -> io::Result<()> {
        let table = File::open(TABLE)?;
        thread::Builder::new()
            .name("mounts".to_owned())
            .spawn(move || {
                // The kernel raises an exceptional condition, once, for each change of the table.
                let mut wait = [PollFd::new(&table, PollFlags::PRI)];
                while poll(&mut wait, None).is_ok() && changed() {}
            })?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::{io, path::Path};

    use crate::os::mounts::FileSystem;

    /// Nothing tells of mounts here: the rescan notices.
    pub fn follow(_changed: impl FnMut() -> bool + Send + 'static) -> io::Result<()> {
        Ok(())
    }

    #[cfg(target_os = "macos")]
    pub fn file_system(path: &Path) -> io::Result<Option<FileSystem>> {
        const REMOTE: [&str; 8] = [
            "smbfs", "nfs", "afpfs", "webdav", "ftp", "macfuse", "osxfuse", "fuse-t",
        ];
        let found = rustix::fs::statfs(path)?;
        let name = found.f_fstypename.iter().take_while(|&&char| char != 0);
        let name: Vec<u8> = name.map(|char| char.cast_unsigned()).collect();
        let kind = String::from_utf8_lossy(&name).into_owned();
        Ok(Some(FileSystem {
            remote: REMOTE.contains(&kind.as_str()),
            kind,
        }))
    }

    #[cfg(not(target_os = "macos"))]
    pub fn file_system(path: &Path) -> io::Result<Option<FileSystem>> {
        use std::path::{Component, Prefix};
        let remote = matches!(
            path.components().next(),
            Some(Component::Prefix(prefix))
                if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
        );
        let kind = if remote {
            "a network share"
        } else {
            "a local folder"
        };
        Ok(Some(FileSystem {
            kind: kind.to_owned(),
            remote,
        }))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{
        linux::{is_remote, of},
        *,
    };

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
            let found = of(Path::new(path), parse(TABLE)).unwrap();
            assert_eq!(
                (found.as_str(), is_remote(&found)),
                (kind, remote),
                "{path}"
            );
        }
    }

    #[test]
    fn every_mount_of_this_machine_is_understood() {
        let lines = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert_eq!(table().unwrap().len(), lines.lines().count());
    }
}
