//! What a worker reads: the file is opened and its header looked at, memory for it is reserved, and
//! then it is read whole, as what the job says it is.

use std::{
    any::Any,
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::{
    arrival::Stamp,
    completeness::Facts,
    memory::{Account, Size},
    os::{self, Directory},
    outcome::{Failure, Step, panic_cause},
    output,
    picture::{self, Format, Order, Place, Scratch},
    scheduler::Job,
    template::About,
    watch::promised_format,
};

/// Bytes of buffers that stay with a worker from one picture to the next.
const KEPT: u64 = 64 << 20;

/// Buffers of one worker; they grow to what its pictures need, and stay unless that is much or
/// somebody waits for memory.
#[derive(Default)]
pub struct Buffers {
    pub source: Vec<u8>,
    /// None before the first picture and after a panic.
    pub scratch: Option<Scratch>,
}

impl Buffers {
    pub fn kept(&self) -> u64 {
        let scratch = self.scratch.as_ref().map_or(0, Scratch::kept);
        scratch.saturating_add(self.source.capacity() as u64)
    }

    /// After a picture: what stays remains reserved.
    pub fn tidy(&mut self, account: &mut Account) {
        self.source.clear();
        let kept = self.kept();
        if kept > KEPT || !account.keep(kept) {
            *self = Self::default();
            account.keep_nothing();
        }
    }
}

/// A file that may be read: what it takes is reserved.
pub struct Admitted {
    pub file: File,
    /// As its name promises.
    pub promised: Format,
}

/// Opens the file, learns from its header what it will take, and waits until that is free.
pub fn admit(job: &Job, buffers: &mut Buffers, account: &mut Account) -> Result<Admitted, Failure> {
    let failed = |cause| unreadable(job, cause);
    let path = job.source();
    job.root.output.look_again(&path).map_err(output::failure)?;
    let promised = promised_format(&job.file.path).ok_or(Failure::Gone)?;
    let mut file = open(job).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Failure::Gone);
    }
    if Stamp::of(&metadata) != job.stamp {
        return Err(Failure::Changed);
    }
    let renditions = &job.root.folder.renditions;
    let permanent = |cause| Failure::Permanent {
        step: Step::Read,
        cause,
    };
    // The same for all.
    let max_pixels = renditions.first().map_or(0, |one| one.recipe.max_pixels);
    let (length, limit) = (job.stamp.length, longest_source(max_pixels));
    if length > limit {
        return Err(permanent(format!(
            "the file has {length} bytes, more than a picture of max_pixels can have ({limit})"
        )));
    }
    let about = About::default();
    let orders: Vec<Order<'_>> = renditions
        .iter()
        .map(|one| one.order(promised, &about))
        .collect();
    let told = || picture::need_of_all(&mut BufReader::new(&file), length, &orders);
    let need = catch_unwind(AssertUnwindSafe(told))
        .map_err(|panic| panicked(&*panic))?
        .map_err(failed)?;
    file.rewind().map_err(failed)?;
    // Buffers of earlier pictures may be of no use to this one, so they count in full; where that
    // is too much, they go.
    if !account.try_reserve(need.saturating_add(buffers.kept())) {
        *buffers = Buffers::default();
        account.reserve(need).map_err(|refused| {
            let (need, limit) = (Size(refused.need), Size(refused.limit));
            permanent(format!("needs {need} of memory, max_memory is {limit}"))
        })?;
    }
    Ok(Admitted { file, promised })
}

/// Opens the source through no link below its input: who may write there must not have a file of
/// elsewhere published.
fn open(job: &Job) -> io::Result<File> {
    let relative = &job.file.path;
    let name = relative.file_name().unwrap_or_default();
    let parent = relative.parent().unwrap_or(Path::new(""));
    Directory::open(&job.root.folder.input)?
        .descend(parent)?
        .open_file(name)
}

pub fn unreadable(job: &Job, cause: io::Error) -> Failure {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::Gone,
        // A link has taken its place, or that of a folder on the way.
        _ if os::is_link(&cause) => Failure::Gone,
        _ => {
            let path = job.source();
            let cause =
                anyhow::Error::new(cause).context(format!("cannot read {}", path.display()));
            Failure::Transient {
                step: Step::Read,
                cause,
            }
        }
    }
}

/// Reads the whole file, which was what the job says it is, and is it still afterwards. Returns
/// what is known of its writer.
pub fn read(job: &Job, mut file: File, buffer: &mut Vec<u8>) -> Result<Facts, Failure> {
    let failed = |cause| unreadable(job, cause);
    buffer.clear();
    // What only looks like a picture by its name may be large: its head tells.
    let head = (&mut file).take(64).read_to_end(buffer).map_err(failed)?;
    if picture::may_be_picture(&buffer[..head]) {
        let length = usize::try_from(job.stamp.length).unwrap_or(usize::MAX);
        buffer.try_reserve_exact(length).map_err(|cause| {
            let cause = anyhow::Error::new(cause).context("no memory for the file");
            Failure::Transient {
                step: Step::Read,
                cause,
            }
        })?;
        (&mut file)
            .take(job.stamp.length.saturating_sub(head as u64) + 1)
            .read_to_end(buffer)
            .map_err(failed)?;
        if buffer.len() as u64 != job.stamp.length {
            return Err(Failure::Changed);
        }
    }
    let metadata = fs::symlink_metadata(job.source()).map_err(failed)?;
    if !metadata.is_file() || Stamp::of(&metadata) != job.stamp {
        return Err(Failure::Changed);
    }
    let zeros = picture::zeros(buffer);
    Ok(Facts {
        last_try: job.last_try,
        writer_open: job.history.open,
        zeros,
        // A hole reads as zeros; on some systems it takes long to ask for one.
        hole: match zeros {
            Place::Nowhere => Place::Nowhere,
            _ if picture::may_have_holes(buffer) => hole(&file, buffer),
            _ => Place::Nowhere,
        },
        end_supplied: false,
    })
}

/// Where in the picture that was read from a file the file has holes.
fn hole(file: &File, source: &[u8]) -> Place {
    let has_hole = |part: Range<usize>| os::has_hole(file, part.start as u64..part.end as u64);
    if !has_hole(0..source.len()) {
        Place::Nowhere
    } else if picture::among_samples(source, has_hole) {
        Place::Samples
    } else {
        Place::Beside
    }
}

/// The longest file that can hold a picture of `max_pixels`: 16 bits for each of four channels,
/// stored rather than compressed, and 64 MiB for everything beside the pixels.
pub fn longest_source(max_pixels: u64) -> u64 {
    max_pixels.saturating_mul(8).saturating_add(64 << 20)
}

pub fn panicked(panic: &(dyn Any + Send)) -> Failure {
    Failure::Permanent {
        step: Step::Picture,
        cause: panic_cause(panic),
    }
}
