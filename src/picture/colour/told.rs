//! The colours of a JPEG without a profile, as its EXIF tells them: made into a profile, since that
//! is what marks, results and other programs know.
//!
//! A PNG's EXIF is not asked: it is what a converter copied, and without chunks a PNG is sRGB
//! everywhere.

use std::sync::LazyLock;

use moxcms::ColorProfile;

use super::super::exif::colours::{Told, colours};
use super::super::markers::{self, APP1, Frame};
use super::chunks::profile_of;

/// Adobe RGB (1998), under another name as its owner wants it.
static ADOBE: LazyLock<Vec<u8>> =
    LazyLock::new(|| ColorProfile::new_adobe_rgb().encode().unwrap_or_default());

/// Fills `icc` if the JPEG has three components and no profile.
pub fn by_exif(jpeg: &[u8], icc: &mut Vec<u8>) {
    if !icc.is_empty() {
        return;
    }
    let mut tiff: &[u8] = &[];
    let mut components = None;
    for (marker, body) in markers::before_scan(jpeg) {
        match marker {
            // The first counts, as for the orientation.
            APP1 if tiff.is_empty() => tiff = markers::exif(body).unwrap_or_default(),
            _ => components = components.or(Frame::of(marker, body).and_then(Frame::components)),
        }
    }
    if components != Some(3) {
        return;
    }
    match colours(tiff) {
        Some(Told::Adobe) => icc.extend_from_slice(&ADOBE),
        Some(Told::Numbers {
            gamma,
            chromaticities,
        }) => icc.extend(profile_of(gamma, chromaticities)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::exif::colours::tests::block;
    use super::super::super::profile::colour_space;
    use super::super::super::tests::jpeg;
    use super::*;

    fn with(tiff: &[u8], sampling: turbojpeg::Subsamp) -> Vec<u8> {
        let mut bytes = b"\xff\xd8".to_vec();
        markers::write(APP1, b"Exif\0\0", tiff, &mut bytes);
        bytes.extend(&jpeg(16, 16, sampling)[2..]);
        bytes
    }

    #[test]
    fn a_profile_is_made_of_what_exif_tells() {
        use turbojpeg::Subsamp;
        let found = |tiff: &[u8], sampling| {
            let mut icc = Vec::new();
            by_exif(&with(tiff, sampling), &mut icc);
            icc
        };
        let adobe = block(0xffff, "R03", false);
        assert_eq!(found(&adobe, Subsamp::Sub2x2), *ADOBE);
        assert_eq!(colour_space(&ADOBE), Some(b"RGB "));
        assert!(found(&adobe, Subsamp::Gray).is_empty());
        assert!(found(&block(1, "R98", false), Subsamp::Sub2x2).is_empty());
        let made = found(&block(0xffff, "R98", true), Subsamp::Sub2x2);
        assert_eq!(colour_space(&made), Some(b"RGB "));
        let mut own = b"its own".to_vec();
        by_exif(&with(&adobe, Subsamp::Sub2x2), &mut own);
        assert_eq!(own, b"its own");
    }
}
