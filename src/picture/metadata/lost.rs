//! What a JPEG has besides its picture that no result has: said to the operator, who may count on it.

use memchr::memmem;

use super::super::markers::{self, APP1, APP2};
use super::packet::SIGNATURE;

/// What is left out of a picture, whatever the metadata policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// The map that makes HDR of a picture (Ultra HDR, ISO 21496-1, Apple's).
    pub gain_map: bool,
    /// The video of a motion photo.
    pub video: bool,
}

/// What a gain map is announced with in XMP, and in APP2.
const GAIN_MAPS: [&[u8]; 2] = [
    b"http://ns.adobe.com/hdr-gain-map/",
    b"http://ns.apple.com/HDRGainMap/",
];
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";

/// Looks at what a JPEG says of itself in front of its scan.
pub fn lost(jpeg: &[u8]) -> Lost {
    let mut lost = Lost::default();
    for (marker, body) in markers::before_scan(jpeg) {
        match marker {
            APP2 => lost.gain_map |= body.starts_with(GAIN_MAP),
            APP1 if body.starts_with(SIGNATURE) => {
                let has = |name: &&[u8]| memmem::find(body, name).is_some();
                lost.gain_map |= GAIN_MAPS.iter().any(has);
                lost.video |= is_set(body, b":MotionPhoto") || is_set(body, b":MicroVideo");
            }
            _ => {}
        }
    }
    lost
}

/// Whether a property is 1, as an attribute or as an element.
fn is_set(packet: &[u8], name: &[u8]) -> bool {
    memmem::find_iter(packet, name).any(|at| {
        let rest = &packet[at + name.len()..];
        [&b"=\"1\""[..], b"='1'", b">1<"]
            .iter()
            .any(|value| rest.starts_with(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gain_maps_and_videos_are_noticed() {
        for (marker, head, body, gain_map, video) in [
            (
                APP1,
                SIGNATURE,
                &b"xmlns:h='http://ns.adobe.com/hdr-gain-map/1.0/'"[..],
                true,
                false,
            ),
            (
                APP1,
                SIGNATURE,
                b"<x g:MotionPhoto=\"1\" g:MotionPhotoVersion=\"1\"/>",
                false,
                true,
            ),
            (
                APP1,
                SIGNATURE,
                b"<g:MicroVideo>1</g:MicroVideo>",
                false,
                true,
            ),
            (
                APP1,
                SIGNATURE,
                b"<x g:MotionPhoto=\"0\" g:MotionPhotoVersion=\"1\"/>",
                false,
                false,
            ),
            (APP1, b"Exif\0\0", b":MotionPhoto=\"1\"", false, false),
            (APP2, GAIN_MAP, b"\0\0", true, false),
            (APP2, b"MPF\0", b"\0\0", false, false),
        ] {
            let mut bytes = b"\xff\xd8".to_vec();
            markers::write(marker, head, body, &mut bytes);
            bytes.extend(b"\xff\xda\0\x02");
            assert_eq!(
                lost(&bytes),
                Lost { gain_map, video },
                "{}",
                body.escape_ascii()
            );
        }
    }
}
