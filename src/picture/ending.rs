//! JPEGs that lack nothing but their end: some cameras and programs never write it, and viewers
//! open such files without a word.
//!
//! That the end is missing says "still growing" as well, so only the caller can decide to do
//! without it, when the file has not changed for long.

use super::probe;

/// Zeros at the end that a file has whose space was allocated but not yet written.
const UNWRITTEN: usize = 8;

const END: u8 = 0xd9;

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
    bytes.push(END);
    true
}

fn breaks_off_in_its_only_scan(bytes: &[u8]) -> bool {
    let mut components = None;
    for (marker, body) in probe::segments(bytes) {
        match marker {
            // Sequential, Huffman or arithmetic. A progressive picture without its last scans
            // decodes without a warning, only blurred.
            0xc0 | 0xc1 | 0xc9 => components = body.get(5).copied(),
            0xc2..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return false,
            _ => {}
        }
    }
    let Some((scan, data)) = probe::first_scan(bytes) else {
        return false;
    };
    let inside = memchr::memchr_iter(0xff, data).all(|at| {
        // A stuffed zero, a restart marker, a fill byte, or the very end.
        matches!(data.get(at + 1), None | Some(0 | 0xd0..=0xd7 | 0xff))
    });
    inside && !data.is_empty() && components.is_some() && components == scan.first().copied()
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
