//! Linux: rights belong to a thread. One that takes on another user's sees what that user may do,
//! access control lists and read-only mounts included, and the rest of the process stays as it is.

use std::{fs, io, path::PathBuf, process::Command, thread};

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

/// A user of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    pub home: PathBuf,
}

/// Whether this process may write everywhere.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Finds a user by name. The system's own tools are asked, which know users of a directory service
/// too.
pub fn user(name: &str) -> io::Result<User> {
    let told = Command::new("getent").args(["passwd", "--", name]).output();
    let line = match told {
        Ok(told) if told.status.success() => String::from_utf8_lossy(&told.stdout).into_owned(),
        // Small systems have no such tool, and no directory service.
        _ => fs::read_to_string("/etc/passwd")?,
    };
    let groups = Command::new("id").args(["-G", "--", name]).output();
    let groups = groups.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    parse(name, &line, &groups.unwrap_or_default())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such user"))
}

/// `passwd` has lines of that file, `groups` the numbers of the user's groups.
fn parse(name: &str, passwd: &str, groups: &str) -> Option<User> {
    let mut lines = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.first() == Some(&name))?;
    Some(User {
        uid: fields.get(2)?.parse().ok()?,
        gid: fields.get(3)?.parse().ok()?,
        home: fields.get(5)?.into(),
        groups: groups
            .split_whitespace()
            .filter_map(|gid| gid.parse().ok())
            .collect(),
    })
}

/// Does something with the rights of a user, which only root can take on.
pub fn with_rights_of<T: Send>(user: &User, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let take_on = || -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        if geteuid() == uid {
            return Ok(());
        }
        let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    };
    thread::scope(|scope| {
        let worked = scope.spawn(move || take_on().map(|()| work())).join();
        worked.unwrap_or_else(|_panic| Err(io::Error::other("the look panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nwatermarkd:x:998:997::/var/lib/watermarkd:/sbin/nologin\n";

    #[test]
    fn a_user_is_found_by_name() {
        let found = parse("watermarkd", PASSWD, "997 100\n").unwrap();
        let expected = User {
            uid: 998,
            gid: 997,
            groups: vec![997, 100],
            home: "/var/lib/watermarkd".into(),
        };
        assert_eq!(found, expected);
        assert_eq!(parse("water", PASSWD, ""), None);
        assert_eq!(parse("a", "a:x:one:1::/:/", ""), None);
        assert_eq!(
            user("no such user").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_thread_takes_on_the_rights_and_the_process_does_not() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let nobody = User {
            uid: 65_534,
            gid: 65_534,
            groups: Vec::new(),
            home: "/".into(),
        };
        let path = dir.path().to_owned();
        let may = with_rights_of(&nobody, move || crate::os::is_writable(&path)).unwrap();
        assert!(!may);
        assert!(crate::os::is_writable(dir.path()));
    }
}
