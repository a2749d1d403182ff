//! Directories that cannot be synced.

use std::io;

use rustix::io::Errno;

/// What a sync of a directory came to. Some file systems (9p, vboxsf) know no such sync and say so;
/// there nothing can be done, and nothing is gained by failing.
pub fn synced(synced: io::Result<()>) -> io::Result<()> {
    match synced
        .as_ref()
        .map_err(|cause| cause.raw_os_error().map(Errno::from_raw_os_error))
    {
        Err(Some(Errno::INVAL | Errno::BADF | Errno::NOTSUP | Errno::NOSYS)) => Ok(()),
        _ => synced,
    }
}
