//! JPEGs that lack nothing but their end: some cameras and programs never write it, and viewers
//! open such files without a word.
//!
//! That the end is missing says "still growing" as well, so only the caller can decide to do
//! without it, when the file has not changed for long.

use super::markers::{EOI, Frame, Process, SOS, Walk};
use super::probe;
use super::recipe::Format;

/// Zeros at the end that a file has whose space was allocated but not yet written.
const UNWRITTEN: usize = 8;

/// Whether it is a JPEG, of which only what is missing at its end is told by the decoder.
pub fn is_jpeg(source: &[u8]) -> bool {
    probe::sniff(source) == Some(Format::Jpeg)
}

/// Whether there are so many zeros in a row, 511 at most, that a writer may have left them out. Few
/// coded pictures have as many.
pub fn has_zeros(source: &[u8]) -> bool {
    let mut blocks = source.chunks_exact(256);
    blocks.any(|block| block.iter().all(|&byte| byte == 0))
}

/// Appends the EOI marker to a JPEG of one sequential scan that breaks off within it; false, and
/// nothing changed, for everything else. Whether all of the picture was there shows when it is
/// treated: its result is to be taken only if it comes without a warning, since libjpeg warns of
/// rows that it had to make up.
pub fn close(bytes: &mut Vec<u8>) -> bool {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if zeros >= UNWRITTEN || !breaks_off_in_its_only_scan(bytes) {
        return false;
    }
    // The marker itself may have been cut in two.
    if bytes.last() != Some(&0xff) {
        bytes.push(0xff);
    }
    bytes.push(EOI);
    true
}

fn breaks_off_in_its_only_scan(bytes: &[u8]) -> bool {
    let mut components = None;
    let mut walk = Walk::new(bytes);
    while let Ok(Some((marker, body))) = walk.segment() {
        match Frame::of(marker, body) {
            Some(frame) if frame.process == Process::Sequential => components = frame.components(),
            // A progressive picture without its last scans decodes without a warning, only blurred.
            Some(_) => return false,
            None => {}
        }
        if marker == SOS {
            let started = !walk.rest().is_empty();
            let all_in_one = components.is_some() && components == body.first().copied();
            return started && all_in_one && walk.pass_scan().is_err();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Format;
    use super::super::tests::{jpeg, recipe};
    use super::super::{Scratch, treat};
    use super::*;

    const PROGRESSIVE: &[u8] = include_bytes!("../../tests/reference/photo-422-progressive.jpg");

    #[test]
    fn only_a_picture_without_its_end_is_taken_in_full() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let mut scratch = Scratch::new().unwrap();
        let mut treated = |bytes: &[u8]| {
            let result = treat(bytes, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ());
            let treated = result.unwrap();
            (treated.bytes.to_vec(), treated.warning)
        };
        let expected = treated(&whole);
        assert_eq!(expected.1, None);
        for cut in [1, 2] {
            let mut bytes = whole[..whole.len() - cut].to_vec();
            assert!(close(&mut bytes));
            assert!(treated(&bytes) == expected, "{cut} bytes cut");
        }
        for cut in [20, 200, 1000] {
            let mut bytes = whole[..whole.len() - cut].to_vec();
            assert!(close(&mut bytes));
            assert!(treated(&bytes).1.is_some(), "{cut} bytes cut");
        }
    }

    #[test]
    fn whole_preallocated_and_progressive_ones_are_left_alone() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let cut = &whole[..whole.len() - 2];
        let header = memchr::memmem::find(&whole, b"\xff\xda").unwrap();
        for bytes in [
            &whole[..],
            &[cut, &[0; 100]].concat(),
            &PROGRESSIVE[..PROGRESSIVE.len() - 2],
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
