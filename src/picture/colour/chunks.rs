//! What a PNG's chunks say of its colours: made into a profile, which is all that marks and JPEGs
//! know, and written again as they were into a PNG.
//!
//! The first of cICP, iCCP, sRGB, and gAMA with cHRM counts (PNG, third edition, 4.3); the others
//! stay for those who do not know it. What says sRGB, or nearly so, makes no profile. Without the
//! first three a profile in a text counts as an iCCP, as to ImageMagick, which writes some so.

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, LocalizableString,
    MatrixCoefficients, ProfileText, ToneReprCurve, TransferCharacteristics, XyYRepresentable,
};
use png::chunk::{self, ChunkType};

use super::super::chunks::text;
use super::super::profile::colour_space;

/// Nits of the white that marks and all that is not HDR are shown at (ITU-R BT.2408).
const WHITE: f64 = 203.0;

/// Samples of the curves of HDR.
const CURVE: u16 = 1023;

/// sRGB's gamma as gAMA has it, in 1/100,000.
const USUAL_GAMMA: u32 = 45_455;

/// sRGB's white, red, green and blue as cHRM has them.
const USUAL_CHROMATICITIES: [u32; 8] = [
    31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000,
];

/// How far those may be off in what is sRGB by another name: programs round, or leave the curve's
/// linear part out of account.
const NEAR: u32 = 500;

/// The colours of a decoded picture, as its PNG described them.
#[derive(Debug, Default)]
pub struct PngColour {
    /// The iCCP of what was a PNG, or what stands for it, even if it does not count; none if it was
    /// no PNG.
    profile: Option<Vec<u8>>,
    /// The other chunks, in their order of precedence.
    chunks: Vec<(ChunkType, Vec<u8>)>,
}

impl PngColour {
    /// Takes what the decoder accepted of these chunks, and makes `icc` say what counts.
    pub fn read<'a>(
        info: &png::Info,
        chunks: impl Iterator<Item = (&'a [u8; 4], &'a [u8])> + Clone,
        grey: bool,
        icc: &mut Vec<u8>,
    ) -> Self {
        let chunks = chunks.take_while(|(kind, _)| *kind != b"IDAT");
        let told = info.srgb.is_some() || info.coding_independent_code_points.is_some();
        let profile = match &info.icc_profile {
            Some(profile) => profile.to_vec(),
            None if told => Vec::new(),
            None => {
                let mut texts = chunks.clone();
                let found = texts.find_map(|(kind, body)| text::icc(*kind, body));
                found.unwrap_or_default()
            }
        };
        let mut found: Vec<_> = chunks
            .filter(|(kind, _)| match *kind {
                b"cICP" => info.coding_independent_code_points.is_some(),
                b"mDCV" => info.mastering_display_color_volume.is_some(),
                b"cLLI" => info.content_light_level.is_some(),
                b"sRGB" => info.srgb.is_some(),
                b"gAMA" => info.gama_chunk.is_some(),
                b"cHRM" => info.chrm_chunk.is_some(),
                _ => false,
            })
            .collect();
        let rank = |kind: &[u8; 4]| {
            let order = [b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM"];
            order.iter().position(|known| *known == kind)
        };
        found.sort_by_key(|(kind, _)| rank(kind));
        // None of them may come twice, and of those that do the decoder takes the first.
        found.dedup_by_key(|(kind, _)| *kind);
        let owned = |(kind, body): (&[u8; 4], &[u8])| (ChunkType(*kind), body.to_vec());
        let chunks = found.into_iter().map(owned).collect();
        let profile = Some(profile);
        let colour = Self { profile, chunks };
        icc.clear();
        icc.extend(colour.meaning(grey));
        colour
    }

    /// Hands out the chunks for a PNG, and before them, apart, the profile for one whose samples
    /// mean `icc`.
    pub fn written<'a>(&'a self, icc: &'a [u8]) -> (&'a [u8], &'a [(ChunkType, Vec<u8>)]) {
        (self.profile.as_deref().unwrap_or(icc), &self.chunks)
    }

    /// The profile that the samples are in; empty for sRGB.
    fn meaning(&self, grey: bool) -> Vec<u8> {
        let own = self.profile.as_deref().unwrap_or_default();
        let wanted = if grey { b"GRAY" } else { b"RGB " };
        if let Some(made) = self.by_code_points(grey) {
            made
        } else if colour_space(own) == Some(wanted) {
            own.to_vec()
        } else if self.body(*b"sRGB").is_some() {
            Vec::new()
        } else {
            self.by_gamma(grey).unwrap_or_default()
        }
    }

    fn body(&self, wanted: [u8; 4]) -> Option<&[u8]> {
        let found = self.chunks.iter().find(|(kind, _)| kind.0 == wanted);
        found.map(|(_, body)| &body[..])
    }

    /// By cICP. None where it is of no use: samples in less than full range or in anything but
    /// R G B, which browsers ignore, and what is not known here.
    fn by_code_points(&self, grey: bool) -> Option<Vec<u8>> {
        let &[primaries, transfer, 0, 1] = self.body(*b"cICP")? else {
            return None;
        };
        let points = CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(primaries).ok()?,
            transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        if points.transfer_characteristics == TransferCharacteristics::Srgb
            && (grey || points.color_primaries == CicpColorPrimaries::Bt709)
        {
            return Some(Vec::new());
        }
        let mut profile = ColorProfile::new_from_cicp(points);
        let curve = match points.transfer_characteristics {
            // Who reads the profile's own code points shows all of the light, and the others all up
            // to white, where they would show next to nothing on a curve that went further.
            TransferCharacteristics::Smpte2084 => sampled(|value| perceptual(value) / WHITE),
            TransferCharacteristics::Hlg => sampled(|value| hybrid(value) / hybrid(0.75)),
            _ => profile.red_trc.clone()?,
        };
        if grey {
            return grey_profile(curve);
        }
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
        encoded(profile)
    }

    /// By gAMA and cHRM, each of which may be alone.
    fn by_gamma(&self, grey: bool) -> Option<Vec<u8>> {
        let near = |one: u32, other: u32| one.abs_diff(other) <= NEAR;
        let gamma = self.body(*b"gAMA").and_then(|body| body.try_into().ok());
        // Others make no sense.
        let sensible = |gamma: &u32| (10_000..=1_000_000).contains(gamma);
        let gamma = gamma.map(u32::from_be_bytes).filter(sensible);
        let is_usual = gamma.is_none_or(|gamma| near(gamma, USUAL_GAMMA));
        let curve = gamma.map(|gamma| {
            // s15Fixed16 is exacter than the eight bits of a curveType's gamma.
            ToneReprCurve::Parametric(vec![float(100_000) / float(gamma)])
        });
        if grey {
            return curve.filter(|_| !is_usual).and_then(grey_profile);
        }
        let mut profile = ColorProfile::new_srgb();
        let chromaticities = self.body(*b"cHRM").and_then(chromaticities);
        let chromaticities = chromaticities.filter(|found| {
            let mut pairs = found.iter().zip(USUAL_CHROMATICITIES);
            !pairs.all(|(found, usual)| near(*found, usual))
        });
        match chromaticities {
            None if is_usual => return None,
            None => {}
            Some(
                [
                    white_x,
                    white_y,
                    red_x,
                    red_y,
                    green_x,
                    green_y,
                    blue_x,
                    blue_y,
                ],
            ) => {
                let point = |x, y| Chromaticity::new(float(x) / 1e5, float(y) / 1e5);
                let primaries = ColorPrimaries {
                    red: point(red_x, red_y),
                    green: point(green_x, green_y),
                    blue: point(blue_x, blue_y),
                };
                profile.update_rgb_colorimetry(point(white_x, white_y).to_xyy(), primaries);
                // The matrix that it sets is that of the usual white.
                profile.chromatic_adaptation = None;
            }
        }
        if let Some(curve) = curve {
            profile.red_trc = Some(curve.clone());
            profile.green_trc = Some(curve.clone());
            profile.blue_trc = Some(curve);
        }
        profile.cicp = None;
        encoded(profile)
    }
}

/// The profile of three channels by what gAMA and cHRM say; empty for sRGB.
pub fn profile_of(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Vec<u8> {
    let gamma = gamma.map(|gamma| (chunk::gAMA, gamma.to_be_bytes().to_vec()));
    let bytes = |shares: [u32; 8]| {
        shares
            .iter()
            .flat_map(|share| share.to_be_bytes())
            .collect()
    };
    let chromaticities = chromaticities.map(|shares| (chunk::cHRM, bytes(shares)));
    let told = PngColour {
        profile: None,
        chunks: gamma.into_iter().chain(chromaticities).collect(),
    };
    told.meaning(false)
}

/// White, red, green and blue, x and y of each in 1/100,000; none if they span no colours.
fn chromaticities(body: &[u8]) -> Option<[u32; 8]> {
    let mut found = [0; 8];
    for (value, bytes) in found.iter_mut().zip(body.chunks_exact(4)) {
        *value = u32::from_be_bytes(bytes.try_into().ok()?);
    }
    let [_, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y] = found.map(float);
    let twice_the_area =
        (green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y);
    let sensible = found.iter().all(|value| *value <= 200_000) && white_y >= 1000.0;
    (sensible && twice_the_area.abs() >= 1e6).then_some(found)
}

fn grey_profile(curve: ToneReprCurve) -> Option<Vec<u8>> {
    let mut profile = ColorProfile::new_gray_with_gamma(1.0);
    profile.gray_trc = Some(curve);
    encoded(profile)
}

fn encoded(mut profile: ColorProfile) -> Option<Vec<u8>> {
    let text = |text: &str| {
        let (language, country) = ("en".to_owned(), "US".to_owned());
        let text = LocalizableString::new(language, country, text.to_owned());
        Some(ProfileText::Localizable(vec![text]))
    };
    profile.description = text("As described by the picture");
    profile.copyright = text("Public Domain");
    let colorants = [
        profile.red_colorant,
        profile.green_colorant,
        profile.blue_colorant,
    ];
    let sensible = |value: f64| value.is_finite() && value.abs() < 8.0;
    colorants
        .iter()
        .all(|colorant| sensible(colorant.x) && sensible(colorant.y) && sensible(colorant.z))
        .then(|| profile.encode().ok())?
}

/// A curve of light for values of 0 to 1, where all light above 1 is 1.
fn sampled(light: impl Fn(f64) -> f64) -> ToneReprCurve {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, which is what is wanted"
    )]
    let sample = |at| (light(f64::from(at) / f64::from(CURVE)) * 65535.0 + 0.5) as u16;
    ToneReprCurve::Lut((0..=CURVE).map(sample).collect())
}

/// Nits of a PQ value (ITU-R BT.2100 table 4).
fn perceptual(value: f64) -> f64 {
    let root = value.powf(1.0 / 78.84375);
    let light = (root - 0.835_937_5).max(0.0) / (18.851_562_5 - 18.6875 * root);
    10_000.0 * light.powf(1.0 / 0.159_301_757_812_5)
}

/// Share of the peak that a display makes of an HLG value (ITU-R BT.2100 table 5, at 1000 nits).
fn hybrid(value: f64) -> f64 {
    let scene = if value <= 0.5 {
        value * value / 3.0
    } else {
        (((value - 0.559_910_73) / 0.178_832_77).exp() + 0.284_668_92) / 12.0
    };
    scene.powf(1.2)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is compared and converted is far below 2^24 or only compared with a limit"
)]
fn float(value: u32) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::mark::Mark;
    use super::super::Colours;
    use super::*;

    const WIDE: [u32; 8] = [
        31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000,
    ];

    fn bytes(values: &[u32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_be_bytes())
            .collect()
    }

    fn colour(profile: &[u8], chunks: &[(&[u8; 4], Vec<u8>)]) -> PngColour {
        PngColour {
            profile: Some(profile.to_vec()),
            chunks: chunks
                .iter()
                .map(|(kind, body)| (ChunkType(**kind), body.clone()))
                .collect(),
        }
    }

    /// What opaque pixels of a mark become in such a picture.
    fn laid_on(chunks: &[(&[u8; 4], Vec<u8>)], grey: bool, pixel: [u8; 3]) -> [u8; 3] {
        let icc = colour(&[], chunks).meaning(grey);
        let mark = Arc::new(Mark {
            width: 1,
            height: 1,
            rgba: [&pixel[..], &[255]].concat(),
        });
        let converted = Colours::default().mark(&mark, &icc);
        converted.rgba[..3].try_into().unwrap()
    }

    #[test]
    fn a_mark_takes_the_colours_that_the_chunks_describe() {
        let gamma = |value: u32| (b"gAMA", bytes(&[value]));
        let points = |primaries, transfer| (b"cICP", vec![primaries, transfer, 0, 1]);
        let (red, grey, white) = ([255, 0, 0], [128; 3], [255; 3]);
        for (chunks, is_grey, pixel, expected) in [
            // Half of sRGB is 55 of 255 in light, and 1.8 is what old Macs had.
            (vec![gamma(100_000)], false, grey, [55; 3]),
            (vec![gamma(55_556)], false, grey, [109; 3]),
            (vec![gamma(100_000)], true, grey, [55; 3]),
            (vec![gamma(45_455)], false, grey, grey),
            (vec![gamma(45_455)], true, grey, grey),
            (vec![gamma(0)], false, grey, grey),
            (vec![gamma(u32::MAX)], false, grey, grey),
            // Adobe RGB (1998) in numbers.
            (
                vec![gamma(45_470), (b"cHRM", bytes(&WIDE))],
                false,
                red,
                [219, 0, 0],
            ),
            (vec![(b"cHRM", bytes(&WIDE))], false, white, white),
            (
                vec![(b"cHRM", bytes(&USUAL_CHROMATICITIES))],
                false,
                red,
                red,
            ),
            (vec![(b"cHRM", vec![0; 32])], false, red, red),
            (vec![(b"cHRM", vec![255; 32])], false, red, red),
            (vec![(b"cHRM", bytes(&[30_000; 8]))], false, red, red),
            // sRGB counts for more than gAMA, and cICP for more than sRGB.
            (vec![(b"sRGB", vec![0]), gamma(100_000)], false, grey, grey),
            (vec![points(1, 13), gamma(100_000)], false, grey, grey),
            (vec![points(1, 8), (b"sRGB", vec![0])], false, grey, [55; 3]),
            (vec![points(1, 8)], true, grey, [55; 3]),
            // Display P3 and HDR: white is 203 nits, or three quarters.
            (vec![points(12, 13)], false, red, [234, 51, 35]),
            (vec![points(9, 16)], false, white, [148; 3]),
            (vec![points(9, 16)], true, white, [148; 3]),
            (vec![points(9, 18)], false, white, [191; 3]),
            // What cannot be used is passed over.
            (
                vec![(b"cICP", vec![9, 16, 0, 0]), gamma(100_000)],
                false,
                grey,
                [55; 3],
            ),
            (vec![points(2, 2), gamma(100_000)], false, grey, [55; 3]),
            (vec![points(0, 255)], false, red, red),
        ] {
            let found = laid_on(&chunks, is_grey, pixel);
            for (found_, wanted) in found.iter().zip(expected) {
                assert!(
                    found_.abs_diff(wanted) <= 1,
                    "{found:?} of {pixel:?} by {chunks:?}"
                );
            }
        }
    }

    #[test]
    fn a_fitting_profile_counts_for_more_than_gamma_and_less_than_code_points() {
        let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
        let gamma = (b"gAMA", bytes(&[100_000]));
        let described = colour(&adobe, std::slice::from_ref(&gamma));
        assert!(described.meaning(false) == adobe);
        assert_eq!(described.written(&[]).0, adobe);
        assert_eq!(colour_space(&described.meaning(true)), Some(b"GRAY"));
        let described = colour(&adobe, &[(b"cICP", vec![1, 13, 0, 1]), gamma]);
        assert!(described.meaning(false).is_empty());
        // Those who do not know cICP still find it.
        assert_eq!(described.written(&[]).0, adobe);
    }

    #[test]
    fn every_made_profile_can_be_read() {
        for primaries in 0..=255 {
            for transfer in [1, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 18, 19] {
                let chunks = [(b"cICP", vec![primaries, transfer, 0, 1])];
                for grey in [false, true] {
                    let icc = colour(&[], &chunks).meaning(grey);
                    assert!(icc.is_empty() || ColorProfile::new_from_slice(&icc).is_ok());
                }
            }
        }
    }
}
