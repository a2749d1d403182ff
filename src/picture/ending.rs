//! Pictures that lack nothing but their end: some cameras and programs never write it, and viewers
//! open such files without a word. A trailer or zeros may stand in its place.
//!
//! That the end is missing says "still growing" as well, so only the caller can decide to do
//! without it, when the file has not changed for long.

use std::ops::Range;

use super::chunks;
use super::entropy;
use super::error::PictureError;
use super::markers::{EOI, Frame, Process, SOS, Walk};
use super::probe;
use super::recipe::Format;
use super::riff;

/// Zeros at the end, at least, that a file has whose space was allocated but not yet written.
const UNWRITTEN: usize = 8;

/// Whether holes in it would show only in its samples: those of a PNG have checksums.
pub fn may_have_holes(source: &[u8]) -> bool {
    is_jpeg(source) || is_webp(source)
}

fn is_jpeg(source: &[u8]) -> bool {
    probe::sniff(source) == Some(Format::Jpeg)
}

fn is_webp(source: &[u8]) -> bool {
    probe::sniff(source) == Some(Format::WebP)
}

/// Where in a picture something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    /// Where no samples are: within and between segments, behind the end.
    Beside,
    /// In the coded samples.
    Samples,
}

/// Where there are so many zeros in a row, 511 at most, that a writer may have left them out. Few
/// coded pictures have as many, but maker notes are padded with them. Those of a PNG say nothing of
/// its samples, which have checksums.
pub fn zeros(source: &[u8]) -> Place {
    if !has_zeros(source) {
        return Place::Nowhere;
    }
    let in_part = |part| source.get(part).is_some_and(has_zeros);
    if may_have_holes(source) && among_samples(source, in_part) {
        Place::Samples
    } else {
        Place::Beside
    }
}

fn has_zeros(part: &[u8]) -> bool {
    let mut blocks = part.chunks_exact(256);
    blocks.any(|block| block.iter().all(|&byte| byte == 0))
}

/// Whether what is looked for in parts of a JPEG or WebP is among its coded samples. What pads a JPEG's
/// before the end marker is none of them, as far as their end can be told.
pub fn among_samples(source: &[u8], is_in: impl Fn(Range<usize>) -> bool) -> bool {
    if is_webp(source) {
        let mut chunks = riff::Walk::new(source);
        return chunks
            .any(|(kind, body)| matches!(kind, b"VP8 " | b"VP8L" | b"ALPH") && is_in(body));
    }
    among_scans(source, is_in)
}

fn among_scans(jpeg: &[u8], is_in: impl Fn(Range<usize>) -> bool) -> bool {
    let parts = coded(jpeg);
    let Some((last, before)) = parts.split_last() else {
        return false;
    };
    if before.iter().cloned().any(&is_in) {
        return true;
    }
    // Only then, for it takes a walk over all codes.
    is_in(last.clone()) && {
        // Zeros are codes as well: the last ones may stand for what was not written. A single one may
        // be stuffed.
        let is_sure = |end: &usize| last.contains(end) && !jpeg[..*end].ends_with(&[0; 2]);
        let end = entropy::end(jpeg).filter(is_sure);
        end.is_none_or(|end| is_in(last.start..end))
    }
}

/// The coded samples of a JPEG, scan by scan, and none of another one behind it.
fn coded(jpeg: &[u8]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut walk = Walk::new(jpeg);
    while let Ok(Some((marker, _))) = walk.segment() {
        if marker != SOS {
            continue;
        }
        let start = walk.position();
        if walk.pass_scan().is_err() || walk.starts_anew() {
            parts.push(start..entropy::end(jpeg).unwrap_or(jpeg.len()));
            break;
        }
        parts.push(start..walk.position());
    }
    parts
}

/// Supplies the end of a picture that may lack nothing else; false, and nothing changed, for
/// everything else. Whether all of the picture was there shows when it is treated: its result is to
/// be taken only if it comes without a warning, since libjpeg warns of rows that it had to make up.
pub fn close(bytes: &mut Vec<u8>) -> bool {
    match probe::probe(bytes, &mut Vec::new()) {
        Err(PictureError::Incomplete { .. }) if is_jpeg(bytes) => close_jpeg(bytes),
        Err(PictureError::Incomplete { .. }) if is_webp(bytes) => false,
        Err(PictureError::Incomplete { .. }) => close_png(bytes),
        _ => false,
    }
}

/// What follows the coded data, a trailer or zeros, is not needed, and goes.
fn close_jpeg(bytes: &mut Vec<u8>) -> bool {
    if let Some(end) = entropy::end(bytes) {
        let (coded, tail) = bytes.split_at(end);
        // They may have come from what was not written yet.
        if coded.ends_with(&[0; UNWRITTEN]) && tail.starts_with(&[0]) {
            return false;
        }
        bytes.truncate(end);
        bytes.extend([0xff, EOI]);
        return true;
    }
    // Of other processes the decoder must tell, so that nothing may follow.
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if zeros >= UNWRITTEN || !breaks_off_in_its_last_scan(bytes) {
        return false;
    }
    // The marker itself may have been cut in two.
    if bytes.last() != Some(&0xff) {
        bytes.push(0xff);
    }
    bytes.push(EOI);
    true
}

/// Whether it breaks off in a scan after which nothing is missing. A progressive picture without its
/// last scans decodes without a warning, only blurred.
fn breaks_off_in_its_last_scan(bytes: &[u8]) -> bool {
    // The coefficients of each component that are known to their last bit.
    let mut known: Vec<(u8, [bool; 64])> = Vec::new();
    let mut sequential = false;
    let mut walk = Walk::new(bytes);
    while let Ok(Some((marker, body))) = walk.segment() {
        match Frame::of(marker, body).map(|frame| (frame, frame.process)) {
            Some((frame, process @ (Process::Sequential | Process::Progressive))) => {
                sequential = process == Process::Sequential;
                known = frame.described().map(|(id, _)| (id, [false; 64])).collect();
            }
            Some(_) => return false,
            None => {}
        }
        if marker == SOS {
            note(body, sequential, &mut known);
            if walk.rest().is_empty() {
                return false;
            }
            if walk.pass_scan().is_err() {
                let mut coefficients = known.iter().flat_map(|(_, known)| known);
                return !known.is_empty() && coefficients.all(|known| *known);
            }
        }
    }
    false
}

/// Notes what a scan tells of the components in it.
fn note(scan: &[u8], sequential: bool, known: &mut [(u8, [bool; 64])]) {
    let Some(&[first, last, bits]) = scan.last_chunk() else {
        return;
    };
    let (band, exact) = if sequential {
        (0..64, true)
    } else {
        (
            usize::from(first)..usize::from(last) + 1,
            bits.trailing_zeros() >= 4,
        )
    };
    let components = scan.get(1..).unwrap_or_default().chunks_exact(2);
    let count = scan.first().copied().map_or(0, usize::from);
    for component in components.take(count) {
        let found = known.iter_mut().find(|(id, _)| *id == component[0]);
        let coefficients = found.and_then(|(_, known)| known.get_mut(band.clone()));
        coefficients.unwrap_or_default().fill(exact);
    }
}

const IEND: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// What follows the last whole chunk goes, but for picture data that are there: the decoder tells
/// whether they are enough.
fn close_png(bytes: &mut Vec<u8>) -> bool {
    let (mut walk, mut has_data) = (chunks::Walk::new(bytes), false);
    while walk.header().is_some_and(chunks::Header::makes_sense)
        && let Some(chunk) = walk.chunk()
    {
        has_data |= chunk.kind == b"IDAT";
    }
    let at = walk.position();
    let part = walk
        .header()
        .filter(|header| header.kind == *b"IDAT")
        .and_then(|header| {
            let data = bytes.len().checked_sub(at + 8)?;
            Some(u32::try_from(data).map_or(header.length, |data| data.min(header.length)))
        });
    if !has_data && part.is_none() {
        return false;
    }
    if let Some(length) = part {
        let (start, end) = (at + 4, at + 8 + length as usize);
        bytes.truncate(end);
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes[start..]);
        bytes[at..start].copy_from_slice(&length.to_be_bytes());
        bytes.extend(checksum.sum().to_be_bytes());
    } else {
        bytes.truncate(at);
    }
    bytes.extend(IEND);
    true
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Format;
    use super::super::tests::{jpeg, png_of, recipe};
    use super::super::{Scratch, treat};
    use super::*;

    const PROGRESSIVE: &[u8] = include_bytes!("../../tests/reference/photo-422-progressive.jpg");

    fn treated(bytes: &[u8], format: Format) -> Result<(Vec<u8>, Option<String>), PictureError> {
        let mut scratch = Scratch::new().unwrap();
        let recipe = recipe();
        let treated = treat(bytes, format, &recipe, &mut scratch, &mut |_| ())?;
        Ok((treated.bytes.to_vec(), treated.warning))
    }

    fn png() -> Vec<u8> {
        png_of(47, 61, png::ColorType::Rgb, png::BitDepth::Eight)
    }

    #[test]
    fn only_a_picture_without_its_end_is_taken_in_full() {
        for whole in [&jpeg(131, 97, turbojpeg::Subsamp::Sub2x2)[..], PROGRESSIVE] {
            let recipe = treated(whole, Format::Jpeg);
            let expected = recipe.unwrap();
            assert_eq!(expected.1, None);
            for cut in [1, 2] {
                let mut bytes = whole[..whole.len() - cut].to_vec();
                assert!(close(&mut bytes));
                let found = treated(&bytes, Format::Jpeg).unwrap();
                assert!(found == expected, "{cut} bytes cut");
            }
            for cut in [20, 200, 1000] {
                let mut bytes = whole[..whole.len() - cut].to_vec();
                assert!(close(&mut bytes));
                let found = treated(&bytes, Format::Jpeg).unwrap();
                assert!(found.1.is_some(), "{cut} bytes cut");
            }
        }
    }

    #[test]
    fn what_follows_a_picture_without_its_end_is_not_needed() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let cut = &whole[..whole.len() - 2];
        for trailer in [
            &b"SEFH\x01 a trailer of Samsung's \x03SEFT"[..],
            b"\0\0\x01\x0a Panorama \xff\xe4\xff\xc4\0\x05abc",
            &[0; 700],
            &whole,
            &[b"between".as_slice(), &whole].concat(),
        ] {
            let mut bytes = [cut, trailer].concat();
            let before = probe::probe(&bytes, &mut Vec::new());
            let what = String::from_utf8_lossy(trailer);
            assert!(
                matches!(before, Err(PictureError::Incomplete { .. })),
                "{what}: {before:?}"
            );
            assert!(close(&mut bytes), "{what}");
            assert!(bytes == whole, "{what}");
        }
        // Of a picture that is cut short the decoder would need the tail.
        for tail in [&[0; 700][..], b"SEFH"] {
            let bytes = [&whole[..whole.len() - 300], tail].concat();
            let mut closed = bytes.clone();
            assert!(
                !close(&mut closed) || treated(&closed, Format::Jpeg).unwrap().1.is_some(),
                "{tail:?}"
            );
        }
    }

    #[test]
    fn zeros_count_only_among_the_samples() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let scan = memchr::memmem::find(&whole, b"\xff\xda").unwrap();
        let zeros_at = |at: usize| {
            let mut bytes = whole.clone();
            bytes.splice(at..at, [0; 600]);
            bytes
        };
        let note = [b"\xff\xe1\x02\x5a".as_slice(), &[0; 600]].concat();
        let mut noted = whole.clone();
        noted.splice(2..2, note);
        let second = [&whole[..], &zeros_at(whole.len() - 100)].concat();
        let unended = &whole[..whole.len() - 2];
        // Their end marker was written before them.
        let mut unwritten = whole.clone();
        let last = unwritten.len() - 2;
        unwritten[last - 800..last].fill(0);
        // Where its samples end is not known.
        let mut padded = PROGRESSIVE.to_vec();
        padded.splice(PROGRESSIVE.len() - 2..PROGRESSIVE.len() - 2, [0; 600]);
        for (what, bytes, expected) in [
            ("none", whole.clone(), Place::Nowhere),
            ("a maker note", noted, Place::Beside),
            ("between segments", zeros_at(scan), Place::Beside),
            ("a trailer", zeros_at(whole.len()), Place::Beside),
            ("a second picture", second, Place::Beside),
            ("no end", [unended, &[0; 600]].concat(), Place::Beside),
            ("samples", zeros_at(whole.len() - 100), Place::Samples),
            (
                "behind the samples",
                zeros_at(whole.len() - 2),
                Place::Beside,
            ),
            ("the last samples", unwritten, Place::Samples),
            ("a progressive one's padding", padded, Place::Samples),
            ("a PNG", [&png()[..], &[0; 600]].concat(), Place::Beside),
        ] {
            assert_eq!(zeros(&bytes), expected, "{what}");
        }
    }

    #[test]
    fn a_png_without_its_end_is_taken_in_full() {
        let whole = png();
        let expected = treated(&whole, Format::Png).unwrap();
        // Type, length and checksum of IEND, and the checksum in front of it.
        for cut in 1..=16 {
            for tail in [&b""[..], &[0; 30], b" a trailer, and more of it"] {
                if cut % 12 != 0 && !tail.is_empty() {
                    continue;
                }
                let mut bytes = [&whole[..whole.len() - cut], tail].concat();
                let before = probe::probe(&bytes, &mut Vec::new());
                assert!(matches!(before, Err(PictureError::Incomplete { .. })));
                assert!(close(&mut bytes));
                let found = treated(&bytes, Format::Png).unwrap();
                assert!(found == expected, "{cut} bytes cut, {} more", tail.len());
            }
        }
        for cut in [60, 200] {
            let mut bytes = whole[..whole.len() - cut].to_vec();
            assert!(close(&mut bytes));
            let found = treated(&bytes, Format::Png);
            assert!(found.is_err(), "{cut} bytes cut");
        }
    }

    #[test]
    fn whole_preallocated_and_unfinished_ones_are_left_alone() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let header = memchr::memmem::find(&whole, b"\xff\xda").unwrap();
        let last = memchr::memmem::rfind(PROGRESSIVE, b"\xff\xda").unwrap();
        for bytes in [
            &whole[..],
            &png(),
            &png()[..40],
            &[&whole[..whole.len() - 200], &[0; 100]].concat(),
            &PROGRESSIVE[..last],
            &PROGRESSIVE[..last - 100],
            &PROGRESSIVE[..last + 10],
            &whole[..header],
            &whole[..header + 14],
            b"\x89PNG\r\n\x1a\n",
            b"",
        ] {
            let mut closed = bytes.to_vec();
            assert!(!close(&mut closed), "{} bytes", bytes.len());
            assert!(closed == bytes);
        }
    }
}
