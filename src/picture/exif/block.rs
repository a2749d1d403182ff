//! A TIFF structure in memory: byte order, directories, entries and their values. Every offset is
//! hostile until shown otherwise.

use std::ops::Range;

pub const BYTE: u16 = 1;
pub const ASCII: u16 = 2;
pub const SHORT: u16 = 3;
pub const LONG: u16 = 4;
pub const RATIONAL: u16 = 5;
pub const UNDEFINED: u16 = 7;

pub const ORIENTATION: u16 = 0x0112;
pub const EXIF_DIRECTORY: u16 = 0x8769;

/// A block with its byte order.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    pub bytes: &'a [u8],
    pub little: bool,
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Where its 12 bytes start.
    pub at: usize,
    pub tag: u16,
    pub kind: u16,
    pub count: usize,
}

impl<'a> Block<'a> {
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let block = Self { bytes, little };
        (block.short(2)? == 42).then_some(block)
    }

    pub fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    pub fn long(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let value = if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        usize::try_from(value).ok()
    }

    pub fn entry(&self, directory: usize, index: usize) -> Option<Entry> {
        let at = directory.checked_add(2 + index * 12)?;
        Some(Entry {
            at,
            tag: self.short(at)?,
            kind: self.short(at.checked_add(2)?)?,
            count: self.long(at.checked_add(4)?)?,
        })
    }

    pub fn find(&self, directory: usize, tag: u16) -> Option<Entry> {
        let count = usize::from(self.short(directory)?);
        (0..count)
            .map_while(|index| self.entry(directory, index))
            .find(|entry| entry.tag == tag)
    }

    /// Where a value's bytes stand, if all of them do.
    pub fn value(&self, entry: &Entry) -> Option<Range<usize>> {
        let size = match entry.kind {
            SHORT => 2,
            LONG => 4,
            RATIONAL => 8,
            _ => 1,
        };
        let length = entry.count.checked_mul(size)?;
        let start = if length <= 4 {
            entry.at + 8
        } else {
            self.long(entry.at + 8)?
        };
        let range = start..start.checked_add(length)?;
        (range.end <= self.bytes.len()).then_some(range)
    }

    /// A single number. Some writers store as LONG what should be SHORT.
    pub fn number(&self, entry: &Entry) -> Option<usize> {
        match entry.kind {
            LONG => self.long(entry.at + 8),
            _ => self.short(entry.at + 8).map(usize::from),
        }
    }

    /// Whole numbers in a row, as far as they are there.
    pub fn numbers(self, entry: Entry) -> impl Iterator<Item = usize> {
        let range = self.value(&entry).unwrap_or_default();
        let kind = entry.kind;
        let wide = if kind == LONG { 4 } else { 2 };
        let known = kind == LONG || kind == SHORT;
        range
            .step_by(wide)
            .filter(move |_| known)
            .map_while(move |at| {
                if kind == LONG {
                    self.long(at)
                } else {
                    self.short(at).map(usize::from)
                }
            })
    }

    /// Where the directory after this one starts; 0 where there is none.
    pub fn next(&self, directory: usize) -> Option<(usize, usize)> {
        let count = usize::from(self.short(directory)?);
        let at = directory.checked_add(2 + count * 12)?;
        Some((at, self.long(at)?))
    }
}
