//! A JPEG without what libjpeg warns of although it says nothing about the picture.
//!
//! It is made only of a picture that was decoded with such a warning. Nothing that is decoded is
//! changed, and no byte moves: a field gets the value that libjpeg takes it for, and bytes between
//! segments become fill bytes, which may stand in front of every marker (T.81 B.1.1.2).

use super::markers::{APP0, APP14, EOI, Frame, Process, SOS, Walk};
use super::turbo::{Says, says};

/// Ss, Se and `AhAl` of a scan that has all coefficients.
const ALL_COEFFICIENTS: [u8; 3] = [0, 63, 0];

/// The mended picture, up to its end.
pub fn mended(jpeg: &[u8]) -> Result<Vec<u8>, String> {
    let mut walk = Walk::new(jpeg);
    while let Ok(Some((marker, _))) = walk.segment() {
        if marker == SOS && walk.pass_scan().is_err() {
            break;
        }
    }
    let length = walk.position();
    let mut mended = Vec::new();
    let room = mended.try_reserve_exact(length);
    room.map_err(|_full| "no memory to decode it once more".to_owned())?;
    mended.extend_from_slice(jpeg.get(..length).unwrap_or(jpeg));
    mend(jpeg, &mut mended);
    Ok(mended)
}

fn mend(jpeg: &[u8], out: &mut [u8]) {
    let mut walk = Walk::new(jpeg);
    let (mut sequential, mut adobe) = (false, None);
    let mut end = walk.position();
    loop {
        let found = walk.segment();
        // Marker and length stand in front of a body, only the marker at the end.
        let (head, length) = match found {
            Ok(Some((_, body))) => (4, body.len()),
            Ok(None) => (2, 0),
            Err(_) => return,
        };
        let start = walk.position().saturating_sub(length);
        fill(out, end..start.saturating_sub(head));
        let Ok(Some((marker, body))) = found else {
            return;
        };
        if let Some(frame) = Frame::of(marker, body) {
            sequential = frame.process == Process::Sequential;
            if let Some(at) = adobe {
                set(out, at, usual_transform(frame.components(), jpeg.get(at)));
            }
        }
        match marker {
            APP0 if body.starts_with(b"JFIF\0") => set(out, start + 5, Some(1)),
            APP14 if body.starts_with(b"Adobe") => adobe = Some(start + 11),
            SOS => {
                let parameters = (start + length).saturating_sub(ALL_COEFFICIENTS.len());
                for (at, value) in (parameters..).zip(ALL_COEFFICIENTS) {
                    set(out, at, sequential.then_some(value));
                }
                if walk.pass_scan().is_err() {
                    return;
                }
            }
            _ => {}
        }
        end = walk.position();
    }
}

/// The transform that libjpeg takes where it does not know the one that is told.
fn usual_transform(components: Option<u8>, told: Option<&u8>) -> Option<u8> {
    match (components?, told?) {
        (3, 0 | 1) | (4, 0 | 2) => None,
        (3, _) => Some(1),
        (4, _) => Some(2),
        _ => None,
    }
}

fn set(out: &mut [u8], at: usize, value: Option<u8>) {
    if let (Some(byte), Some(value)) = (out.get_mut(at), value) {
        *byte = value;
    }
}

fn fill(out: &mut [u8], range: std::ops::Range<usize>) {
    if let Some(between) = out.get_mut(range) {
        between.fill(0xff);
    }
}

/// Whether a warning says nothing about a mended picture. Behind the coded data of the last scan
/// zeros may follow that the decoder did not need: some programs pad with them. Anything else there
/// may be what it lost its place in.
pub fn says_nothing(warning: &str, mended: &[u8]) -> bool {
    match says(warning) {
        Says::Nothing => true,
        Says::Damage => false,
        Says::PassedOver { bytes, marker } => {
            let padding = mended.strip_suffix(&[0xff, EOI]).unwrap_or_default();
            let padding = padding.iter().rev().skip_while(|byte| **byte == 0xff);
            marker == EOI && padding.take_while(|byte| **byte == 0).count() >= bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Format;
    use super::super::tests::{jpeg, recipe};
    use super::super::{Scratch, treat};
    use super::*;

    type Change = fn(&mut Vec<u8>);

    fn treated(bytes: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut scratch = Scratch::new().unwrap();
        let result = treat(bytes, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ());
        let treated = result.unwrap();
        (treated.bytes.to_vec(), treated.warning)
    }

    fn find(jpeg: &[u8], what: &[u8]) -> usize {
        memchr::memmem::find(jpeg, what).unwrap()
    }

    const HARMLESS: [(&str, Change); 8] = [
        ("SOS parameters of zeros", |jpeg| {
            let at = find(jpeg, b"\xff\xda");
            jpeg[at + 11..at + 14].fill(0);
        }),
        ("a JFIF revision of its own", |jpeg| {
            let at = find(jpeg, b"JFIF\0");
            jpeg[at + 5] = 9;
        }),
        ("an unknown Adobe transform", |jpeg| {
            // libjpeg asks Adobe only where JFIF says nothing.
            let at = find(jpeg, b"JFIF\0");
            jpeg[at] = b'X';
            jpeg.splice(2..2, *b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07");
        }),
        ("bytes between segments", |jpeg| {
            let at = find(jpeg, b"\xff\xdb");
            jpeg.splice(at..at, *b"junk\xff\0\0\0\0");
        }),
        ("zeros between segments", |jpeg| {
            let at = find(jpeg, b"\xff\xda");
            jpeg.splice(at..at, [0; 700]);
        }),
        ("bytes behind a comment that follows the scan", |jpeg| {
            let at = jpeg.len() - 2;
            jpeg.splice(at..at, *b"\xff\xfe\0\x02ab");
        }),
        ("zeros in front of the end", |jpeg| {
            let at = jpeg.len() - 2;
            jpeg.splice(at..at, [0; 700]);
        }),
        ("zeros and fill bytes in front of the end", |jpeg| {
            let at = jpeg.len() - 2;
            jpeg.splice(at..at, *b"\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff");
        }),
    ];

    #[test]
    fn what_says_nothing_about_the_samples_is_no_damage() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let expected = treated(&whole);
        assert_eq!(expected.1, None);
        let mut all = whole.clone();
        for (what, change) in HARMLESS {
            let mut bytes = whole.clone();
            change(&mut bytes);
            let found = treated(&bytes);
            assert_eq!(found.1, None, "{what}");
            assert!(found.0 == expected.0, "{what}");
            // libjpeg itself does not take it for nothing.
            assert!(
                turbojpeg::decompress(&bytes, turbojpeg::PixelFormat::RGB).is_err(),
                "{what}"
            );
            if what != "an unknown Adobe transform" {
                change(&mut all);
            }
        }
        assert_eq!(treated(&all).1, None, "all at once");
    }

    /// Only the first warning has a text, and here that is a harmless one.
    #[test]
    fn a_harmless_warning_hides_no_damage() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let middle = find(&whole, b"\xff\xda") + 600;
        let damages: [Change; 2] = [
            |jpeg| {
                let end = jpeg.len() - 2;
                jpeg.splice(end - 900..end, []);
            },
            // Bytes behind the data that are no padding.
            |jpeg| {
                let end = jpeg.len() - 2;
                jpeg.splice(end..end, *b"twenty bytes of text");
            },
        ];
        assert!(middle < whole.len() - 900);
        for damage in damages {
            let mut bytes = whole.clone();
            damage(&mut bytes);
            let expected = treated(&bytes).1;
            assert!(expected.is_some());
            for (what, change) in &HARMLESS[..5] {
                let mut bytes = bytes.clone();
                change(&mut bytes);
                assert_eq!(treated(&bytes).1, expected, "{what}");
            }
        }
    }

    #[test]
    fn nothing_but_the_causes_is_changed() {
        let whole = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        assert!(mended(&whole).unwrap() == whole);
        let trailer = [&whole[..], b"a trailer"].concat();
        assert!(mended(&trailer).unwrap() == whole);
        for end in 0..whole.len() {
            // Whatever breaks off, it does not panic.
            mended(&whole[..end]).unwrap();
        }
    }
}
