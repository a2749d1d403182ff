//! How much memory there is for this process. Linux: the machine's, or less if a control group
//! says so, in version 1 or 2, its own or one around it; what a container runtime mounts is the
//! group itself, whose path then leads nowhere. macOS and Windows: the machine's.

use std::io;

#[cfg(target_os = "linux")]
pub use linux::memory;

/// Has the system get back at once what is freed of large buffers. glibc begins so, but the first
/// large buffer that is freed raises the size from which it does, up to 32 MiB; from then on every
/// thread keeps a heap of its own of what it has freed, and all of them together far more than
/// `max_memory`. Other allocators give large buffers back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator is told by a call only")]
pub fn give_back_what_is_freed() {
    /// Bytes: what glibc begins with.
    const LARGE: libc::c_int = 128 << 10;
    // SAFETY: the call takes plain numbers and may come at any time.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    debug_assert_eq!(taken, 1, "mallopt takes any size up to 32 MiB");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back_what_is_freed() {}

/// Has allocations fail once this process's own data take more than so many bytes.
#[cfg(target_os = "linux")]
pub fn limit_own_memory(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Data);
    let current = Some(maximum.map_or(bytes, |maximum| maximum.min(bytes)));
    Ok(setrlimit(Resource::Data, Rlimit { current, maximum })?)
}

/// Elsewhere the limit is not kept, or there is none.
#[cfg(not(target_os = "linux"))]
pub fn limit_own_memory(_bytes: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use crate::os::mounts::{self, Mount};

    /// Bytes, and what has them.
    pub fn memory() -> Option<(u64, String)> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let machine = total(&read("/proc/meminfo")).map(|bytes| (bytes, "the machine".to_owned()));
        let mounts = mounts::table().unwrap_or_default();
        let groups = groups(&read("/proc/self/cgroup"), &mounts);
        let limits = groups.iter().filter_map(|group| limit(group));
        limits.chain(machine).min_by_key(|(bytes, _)| *bytes)
    }

    fn total(meminfo: &str) -> Option<u64> {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    }

    /// The directory of this process's control group and those around it, in each hierarchy that
    /// limits memory.
    fn groups(own: &str, mounts: &[Mount]) -> Vec<PathBuf> {
        let mut groups = Vec::new();
        for mount in mounts {
            let Some(path) = version(mount).and_then(|version| path_in(own, version)) else {
                continue;
            };
            let inside = path.strip_prefix(&mount.root).ok();
            // A path that is not below what is mounted is seen from outside of a container.
            let inside = inside
                .filter(|inside| !inside.components().any(|part| part.as_os_str() == ".."))
                .unwrap_or(Path::new(""));
            let below = inside.ancestors().map(|part| mount.point.join(part));
            groups.extend(below);
        }
        groups
    }

    /// The version of the control groups that a mount shows, if it shows those that limit memory.
    fn version(mount: &Mount) -> Option<u8> {
        match mount.kind.as_str() {
            "cgroup2" => Some(2),
            "cgroup" => {
                let mut options = mount.options.split(',');
                options.any(|option| option == "memory").then_some(1)
            }
            _ => None,
        }
    }

    /// The path in /proc/self/cgroup: `0::/path` for version 2, `4:memory:/path` for version 1.
    fn path_in(own: &str, version: u8) -> Option<&Path> {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let fits = match version {
                2 => id == "0" && controllers.is_empty(),
                _ => controllers.split(',').any(|name| name == "memory"),
            };
            fits.then_some(Path::new(path))
        })
    }

    /// The lowest limit of one group. `memory.high` only slows a process down that goes above it,
    /// but so much that it is a limit to keep.
    fn limit(group: &Path) -> Option<(u64, String)> {
        let limits = ["memory.max", "memory.high", "memory.limit_in_bytes"];
        limits
            .iter()
            .filter_map(|name| {
                let text = fs::read_to_string(group.join(name)).ok()?;
                // "max" is no number; version 1 has a number that no machine reaches.
                Some((
                    text.trim().parse().ok()?,
                    format!("control group {}", group.display()),
                ))
            })
            .min_by_key(|(bytes, _): &(u64, String)| *bytes)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn groups_are_found_in_both_versions() {
            let v1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
            let v2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
            let mounted = "41 31 0:38 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
            for (own, mounts, expected) in [
                (
                    "8:pids:/\n4:memory:/a/b\n0::/x\n",
                    v1,
                    &[
                        "/sys/fs/cgroup/memory/a/b",
                        "/sys/fs/cgroup/memory/a",
                        "/sys/fs/cgroup/memory/",
                    ][..],
                ),
                (
                    "0::/system.slice/w.service\n",
                    v2,
                    &[
                        "/sys/fs/cgroup/system.slice/w.service",
                        "/sys/fs/cgroup/system.slice",
                        "/sys/fs/cgroup/",
                    ],
                ),
                ("0::/\n", v2, &["/sys/fs/cgroup/"]),
                ("0::/docker/abc\n", mounted, &["/sys/fs/cgroup/"]),
                (
                    "0::/docker/abc/in\n",
                    mounted,
                    &["/sys/fs/cgroup/in", "/sys/fs/cgroup/"],
                ),
                ("0::/../elsewhere\n", v2, &["/sys/fs/cgroup/"]),
                ("0::/other\n", mounted, &["/sys/fs/cgroup/"]),
                ("8:pids:/\n", v1, &[]),
            ] {
                let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
                assert_eq!(
                    groups(own, &mounts::parse(mounts.as_bytes())),
                    expected,
                    "{own}"
                );
            }
        }

        #[test]
        fn the_lowest_limit_of_a_group_counts() {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(limit(dir.path()), None);
            let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
            write("memory.max", "max\n");
            assert_eq!(limit(dir.path()), None);
            write("memory.max", "268435456\n");
            write("memory.high", "201326592\n");
            assert_eq!(limit(dir.path()).unwrap().0, 192 << 20);
        }

        #[test]
        fn this_machine_has_memory() {
            let (bytes, place) = memory().expect("a size");
            assert!(bytes > 16 << 20, "{bytes} bytes by {place}");
        }
    }
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "the size is told by a system call only")]
pub fn memory() -> Option<(u64, String)> {
    use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};
    let mut status = MEMORYSTATUSEX {
        dwLength: u32::try_from(size_of::<MEMORYSTATUSEX>()).ok()?,
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: the structure is as long as it says and is only written to during the call.
    let told = unsafe { GlobalMemoryStatusEx(&raw mut status) };
    (told != 0).then(|| (status.ullTotalPhys, "the machine".to_owned()))
}

#[cfg(target_os = "macos")]
#[expect(unsafe_code, reason = "the size is told by a system call only")]
pub fn memory() -> Option<(u64, String)> {
    let (mut bytes, mut length) = (0_u64, size_of::<u64>());
    // SAFETY: the name ends in NUL, `bytes` has the length that is given, and nothing is set.
    let failed = unsafe {
        libc::sysctlbyname(
            c"hw.memsize".as_ptr(),
            (&raw mut bytes).cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    (failed == 0).then(|| (bytes, "the machine".to_owned()))
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub fn memory() -> Option<(u64, String)> {
    None
}
