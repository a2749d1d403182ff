//! What the samples mean: marks are made in sRGB and laid on in the colours of the picture's own
//! profile, and what has a profile that cannot go along becomes sRGB.
//!
//! Pictures of one camera share a profile, so everything made from one is kept.

mod chunks;
mod told;

use std::sync::Arc;

use moxcms::{ColorProfile, Layout, Transform8BitExecutor, TransformOptions};
use xxhash_rust::xxh3::xxh3_64;

use super::mark::Mark;
use super::profile::colour_space;

pub use chunks::PngColour;
pub use told::by_exif;

/// Entries kept of each kind: a recipe's marks for a few profiles at a time.
const KEPT: usize = 64;

/// Pixels transformed at once.
const STRIP: usize = 4096;

/// What the samples of the present picture mean.
#[derive(Default)]
pub struct Colour {
    /// The profile; empty for sRGB.
    pub icc: Vec<u8>,
    /// How a PNG said it; of no use for what was a JPEG.
    pub png: PngColour,
    pub made: Colours,
}

/// What a worker has made from profiles, oldest first, by the profiles' hashes.
#[derive(Default)]
pub struct Colours {
    marks: Vec<ConvertedMark>,
    inks: Vec<(u64, Option<Arc<Transform8BitExecutor>>)>,
    greys: Vec<(u64, Option<Box<[u16]>>)>,
}

struct ConvertedMark {
    profile: u64,
    from: Arc<Mark>,
    to: Arc<Mark>,
}

impl Colours {
    /// The mark in the colours of an RGB or grey profile; the mark itself where there is none, it
    /// makes no sense, or changes nothing.
    pub fn mark(&mut self, mark: &Arc<Mark>, icc: &[u8]) -> Arc<Mark> {
        if icc.is_empty() {
            return Arc::clone(mark);
        }
        let profile = xxh3_64(icc);
        let known = self
            .marks
            .iter()
            .find(|known| known.profile == profile && Arc::ptr_eq(&known.from, mark));
        if let Some(known) = known {
            return Arc::clone(&known.to);
        }
        let to = convert(mark, icc).map_or_else(|| Arc::clone(mark), Arc::new);
        push(
            &mut self.marks,
            ConvertedMark {
                profile,
                from: Arc::clone(mark),
                to: Arc::clone(&to),
            },
        );
        to
    }

    /// Inverted C M Y K, as Adobe writes it, to sRGB in place, through the profile. False if that
    /// is no CMYK profile that makes sense, and then nothing has been changed.
    pub fn cmyk(&mut self, icc: &[u8], packed: &mut Vec<u8>) -> bool {
        if colour_space(icc) != Some(b"CMYK") {
            return false;
        }
        let transform = find(&mut self.inks, icc, || {
            ColorProfile::new_from_slice(icc)
                .and_then(|profile| {
                    profile.create_transform_8bit(
                        // CMYK has no layout of its own: four channels.
                        Layout::Rgba,
                        &ColorProfile::new_srgb(),
                        Layout::Rgb,
                        TransformOptions::default(),
                    )
                })
                .ok()
        });
        let Some(transform) = transform else {
            return false;
        };
        let (mut inks, mut colours) = ([0; STRIP * 4], [0; STRIP * 3]);
        let pixels = packed.len() / 4;
        for start in (0..pixels).step_by(STRIP) {
            let count = STRIP.min(pixels - start);
            let (inks, colours) = (&mut inks[..count * 4], &mut colours[..count * 3]);
            for (ink, stored) in inks.iter_mut().zip(&packed[start * 4..]) {
                *ink = 255 - stored;
            }
            if transform.transform(inks, colours).is_err() {
                // It depends on lengths only, so that it can be but the first strip.
                return false;
            }
            packed[start * 3..(start + count) * 3].copy_from_slice(colours);
        }
        packed.truncate(pixels * 3);
        true
    }

    /// The sRGB value of each 16-bit grey of a profile; none without a grey profile that makes
    /// sense. For grey pictures that take colour, which their profile cannot describe.
    pub fn grey(&mut self, icc: &[u8]) -> Option<&[u16]> {
        if colour_space(icc) != Some(b"GRAY") {
            return None;
        }
        find(&mut self.greys, icc, || greys(icc)).as_deref()
    }
}

fn push<T>(kept: &mut Vec<T>, entry: T) {
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push(entry);
}

fn find<'a, T>(kept: &'a mut Vec<(u64, T)>, icc: &[u8], make: impl FnOnce() -> T) -> &'a T {
    let hash = xxh3_64(icc);
    let index = kept.iter().position(|(known, _)| *known == hash);
    let index = index.unwrap_or_else(|| {
        push(kept, (hash, make()));
        kept.len() - 1
    });
    &kept[index].1
}

fn convert(mark: &Mark, icc: &[u8]) -> Option<Mark> {
    let grey = match colour_space(icc)? {
        b"RGB " => false,
        b"GRAY" => true,
        _ => return None,
    };
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let layout = if grey { Layout::Gray } else { Layout::Rgb };
    let options = TransformOptions {
        // By its curves alone: by the code points of an HDR profile white would be its peak.
        allow_use_cicp_transfer: false,
        ..TransformOptions::default()
    };
    let transform = ColorProfile::new_srgb()
        .create_transform_8bit(Layout::Rgb, &profile, layout, options)
        .ok()?;
    let mut mark = mark.clone();
    let (mut from, mut to) = ([0; STRIP * 3], [0; STRIP * 3]);
    let mut furthest = 0;
    for strip in mark.rgba.chunks_mut(STRIP * 4) {
        let count = strip.len() / 4;
        for (from, pixel) in from.chunks_exact_mut(3).zip(strip.chunks_exact(4)) {
            from.copy_from_slice(&pixel[..3]);
        }
        let channels = if grey { 1 } else { 3 };
        let to = &mut to[..count * channels];
        transform.transform(&from[..count * 3], to).ok()?;
        for (pixel, to) in strip.chunks_exact_mut(4).zip(to.chunks_exact(channels)) {
            for (channel, sample) in pixel[..3].iter_mut().enumerate() {
                let new = to[channel.min(channels - 1)];
                furthest = furthest.max(sample.abs_diff(new));
                *sample = new;
            }
        }
    }
    // sRGB by another name, up to rounding: the mark stays exact, and its stamps are shared.
    (furthest > 1).then_some(mark)
}

/// Packed R G B A in the colours of an RGB or grey profile to sRGB; unchanged where there is none
/// or it makes no sense.
pub fn to_srgb(rgba: &mut [u8], icc: &[u8]) {
    // A grey picture has equal channels here, so that any of them is it.
    let layout = match colour_space(icc) {
        Some(b"RGB ") => Layout::Rgb,
        Some(b"GRAY") => Layout::Gray,
        _ => return,
    };
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = ColorProfile::new_from_slice(icc).and_then(|profile| {
        profile.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default())
    }) else {
        return;
    };
    let channels = if layout == Layout::Gray { 1 } else { 3 };
    let (mut from, mut to) = ([0; STRIP * 3], [0; STRIP * 3]);
    for strip in rgba.chunks_mut(STRIP * 4) {
        let count = strip.len() / 4;
        let (from, to) = (&mut from[..count * channels], &mut to[..count * 3]);
        for (from, pixel) in from.chunks_exact_mut(channels).zip(strip.chunks_exact(4)) {
            from.copy_from_slice(&pixel[..channels]);
        }
        if transform.transform(from, to).is_err() {
            return;
        }
        for (pixel, to) in strip.chunks_exact_mut(4).zip(to.chunks_exact(3)) {
            pixel[..3].copy_from_slice(to);
        }
    }
}

fn greys(icc: &[u8]) -> Option<Box<[u16]>> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let transform = profile
        .create_transform_16bit(
            Layout::Gray,
            &ColorProfile::new_srgb(),
            Layout::Rgb,
            TransformOptions::default(),
        )
        .ok()?;
    let from: Vec<u16> = (0..=u16::MAX).collect();
    let mut to = vec![0; from.len() * 3];
    transform.transform(&from, &mut to).ok()?;
    Some(to.chunks_exact(3).map(|pixel| pixel[1]).collect())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn mark() -> Arc<Mark> {
        Arc::new(Mark {
            width: 2,
            height: 1,
            rgba: vec![255, 0, 0, 200, 128, 128, 128, 255],
        })
    }

    #[test]
    fn a_mark_takes_the_colours_of_the_profile() {
        let mut colours = Colours::default();
        let mark = mark();
        let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
        let converted = colours.mark(&mark, &adobe);
        // sRGB's red is 219 0 0 in Adobe RGB (1998), and greys differ by their curves only.
        let [red, green, blue, alpha] = converted.rgba[..4] else {
            panic!("a pixel")
        };
        assert!(
            red.abs_diff(219) <= 1 && green <= 1 && blue <= 1,
            "{converted:?}"
        );
        assert_eq!(alpha, 200);
        assert!(converted.rgba[4].abs_diff(127) <= 1);
        // Once per profile.
        assert!(Arc::ptr_eq(&converted, &colours.mark(&mark, &adobe)));
        assert_eq!(colours.marks.len(), 1);
        let gamma = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let converted = colours.mark(&mark, &gamma);
        assert!(converted.rgba[4].abs_diff(55) <= 1, "{converted:?}");
        assert_eq!(converted.rgba[4], converted.rgba[5]);
    }

    #[test]
    fn srgb_and_nonsense_change_nothing() {
        let mut colours = Colours::default();
        let mark = mark();
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let mut nonsense = vec![7; 300];
        for space in [b"RGB ", b"GRAY", b"CMYK", b"Lab "] {
            nonsense[16..20].copy_from_slice(space);
            assert!(Arc::ptr_eq(&mark, &colours.mark(&mark, &nonsense)));
            assert!(!colours.cmyk(&nonsense, &mut vec![0; 8]));
            assert!(colours.grey(&nonsense).is_none());
        }
        for icc in [&srgb[..], &[], b"short"] {
            assert!(Arc::ptr_eq(&mark, &colours.mark(&mark, icc)));
        }
    }

    #[test]
    fn greys_become_srgb() {
        let gamma = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let mut colours = Colours::default();
        let table = colours.grey(&gamma).unwrap();
        assert_eq!((table[0], table[65535]), (0, 65535));
        // Half the light is 188 of 255.
        assert!(
            (table[32768] >> 8).abs_diff(188) <= 1,
            "{}",
            table[32768] >> 8
        );
    }

    /// A CMYK profile (ICC.1 10.10, lut8Type) to whom paper is white, cyan a middle grey, and all
    /// else black.
    pub fn press() -> Vec<u8> {
        let mut lut = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
        for cell in 0..9 {
            lut.extend(if cell % 4 == 0 { 65536u32 } else { 0 }.to_be_bytes());
        }
        let ramp: Vec<u8> = (0..=255).collect();
        lut.extend(ramp.repeat(4));
        for corner in 0..16 {
            let light = [255, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0][corner];
            lut.extend([light, 128, 128]);
        }
        lut.extend(ramp.repeat(3));
        let mut icc = vec![0; 128];
        icc[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
        icc[12..24].copy_from_slice(b"prtrCMYKLab ");
        icc[36..40].copy_from_slice(b"acsp");
        icc[68..80].copy_from_slice(b"\0\0\xf6\xd6\0\x01\0\0\0\0\xd3\x2d");
        icc.extend(b"\0\0\0\x01A2B0\0\0\0\x90");
        icc.extend(u32::try_from(lut.len()).unwrap().to_be_bytes());
        icc.extend(lut);
        let length = u32::try_from(icc.len()).unwrap();
        icc[..4].copy_from_slice(&length.to_be_bytes());
        icc
    }

    #[test]
    fn inks_mean_what_the_profile_says() {
        let mut colours = Colours::default();
        // Inverted: paper, cyan, black, over more than a strip.
        let stored = [255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 0];
        let mut packed = stored.repeat(2000);
        assert!(colours.cmyk(&press(), &mut packed));
        assert_eq!(packed.len(), 2000 * 9);
        for pixels in packed.chunks_exact(9) {
            for (found, expected) in pixels.iter().zip([255, 255, 255, 119, 119, 119, 0, 0, 0]) {
                assert!(found.abs_diff(expected) <= 3, "{pixels:?}");
            }
        }
        let mark = mark();
        assert!(Arc::ptr_eq(&mark, &colours.mark(&mark, &press())));
    }

    #[test]
    fn hostile_profiles_do_no_harm() {
        let mark = mark();
        for profile in [
            ColorProfile::new_adobe_rgb(),
            ColorProfile::new_gray_with_gamma(2.2),
        ] {
            let whole = profile.encode().unwrap();
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x81;
                Colours::default().mark(&mark, &bytes);
                Colours::default().mark(&mark, &whole[..at]);
            }
        }
    }
}
