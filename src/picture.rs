//! The picture path: encoded bytes in, encoded bytes out. Knows no file, clock, config or log.
//!
//! A picture travels in one of two forms. What was JPEG stays planar YCbCr from a DCT-scaled
//! decode to the encoder, with half the samples of RGB and no colour conversion; what was PNG or WebP
//! stays packed pixels of its own depth. Only where the written format differs is the form changed, after
//! scaling. Steps write from one buffer into a spare one of the same kind and exchange them, so a
//! worker allocates nothing for a picture that is not larger than those before.
//!
//! The modules stand in layer order, lowest first: each names only those above it here. [`treat`](mod@treat) is
//! the list of steps; a step's file has what it does, its buffers, and the memory that it needs.

// ── What all others speak of

// sums of bytes that cannot overflow
mod bytes;

// why a picture was not treated
mod error;

// the pixels of a mark
mod mark;

// what becomes of pictures
mod recipe;

// a number for a recipe, for the ledger
mod fingerprint;

// ── A picture in memory

// as JPEG codes it: Y, Cb and Cr apart
mod planes;

// as PNG codes it: samples side by side
mod pixels;

// in one of the two forms, and the spare buffers
mod samples;

// rows become columns
mod transpose;

// what the processor has, and loops that are made for it
mod processor;

// the one door to libjpeg-turbo
mod turbo;

// ── What a file says of itself

// the one reader of JPEG markers
mod markers;

// the one reader of PNG chunks
mod chunks;

// the one reader and writer of WebP chunks
mod riff;

// JPEGs without what libjpeg warns of for nothing
mod mend;

// the most common JPEGs to planes, faster than libjpeg-turbo
mod baseline;

// codecs and resizer of a worker
mod engines;

// colour profiles as bytes
mod profile;

// pictures within metadata
mod preview;

// EXIF blocks: read, mended, written
mod exif;

// errors of the crate png in words
mod cause;

// what is it, is it all there, how large, which way up
mod probe;

// where the coded data of a JPEG end
mod entropy;

// pictures that lack only their end; zeros
mod ending;

// what it will cost, from the start of a file
mod head;

// what the samples mean
mod colour;

// when, with what and by whom it was taken
mod told;

// EXIF, XMP, IPTC: collected and written again
mod metadata;

// ── The steps, each with its buffers and its need of memory

// upright
mod orient;

// where a mark stands, from sizes alone
mod placement;

// all sizes, before anything is allocated
mod geometry;

// how much of each sample a scaled one takes
mod filter;

// rows added up with weights
mod convolve;

// from one form to the other
mod convert;

// the one door to the WebP codecs
mod webp;

// bytes to samples
mod decode;

// planes to the output size, while they are decoded
mod resize;

// a PNG, scaled while it is decoded
mod strip;

// edges steeper after scaling down
mod sharpen;

// the quality of a JPEG, before the mark is laid on
mod recompress;

// dear things by what they were made from
mod cache;

// draws a text
pub mod lettering;

// texts as marks, at the size of each picture
mod texts;

// a mark scaled, turned and cut
mod shape;

// a mark ready for blending
mod stamp;

// marks laid on
mod overlay;

// samples to bytes
mod encode;

// several results of one decode
mod share;

// ── The way as a whole

// the memory that a picture will take
mod need;

// what a worker keeps from picture to picture
mod scratch;

// a picture for its pixels, untreated
mod open;

// the way of a picture, step by step
mod treat;

#[cfg(test)]
mod kinds;

pub use ending::{Place, among_samples, close, may_have_holes, zeros};
pub use error::PictureError;
pub use mark::Mark;
pub use metadata::Lost;
pub use need::{need, need_of_all};
pub use recipe::{
    Anchor, Chroma, Format, Length, Metadata, Order, PlacedMark, Position, Recipe, Relative,
    Resample, Scale, Side, Size, Subject, Text,
};
pub use scratch::Scratch;
pub use told::about;
pub use treat::{Progress, Treated, treat, treat_all, treat_one};

pub(crate) use open::open_rgba;

/// Whether a file with this beginning, of 12 bytes or more, can be a picture at all.
pub fn may_be_picture(head: &[u8]) -> bool {
    probe::sniff(head).is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::open::in_its_colours;
    use super::pixels::Pixels;
    use super::*;
    use crate::{outcome::Step, template::About};

    pub fn recipe() -> Recipe {
        let rgba = [200, 40, 60, 180].repeat(12 * 9);
        Recipe {
            marks: vec![PlacedMark {
                mark: Subject::Image(Arc::new(Mark {
                    width: 12,
                    height: 9,
                    rgba,
                })),
                opacity: 60.0,
                scale: None,
                rotate: 0.0,
                position: Position::At(Anchor::BottomRight),
                margin: Length::Percent(10.0),
                min_picture: 0,
            }],
            size: Size::Height(40),
            quality: 30,
            output_quality: 90,
            chroma: Chroma::Half,
            resample: Resample::Fine,
            sharpen: 0,
            upscale: true,
            metadata: Metadata::Copyright,
            max_pixels: 100_000,
        }
    }

    /// A gradient with a little structure, as the encoders of other programs would write it.
    pub fn picture(width: usize, height: usize, channels: usize) -> Vec<u8> {
        (0..width * height * channels)
            .map(|at| {
                let (pixel, channel) = (at / channels, at % channels);
                u8::try_from(
                    (pixel % width * 3 + pixel / width * 2 + channel * 40 + (pixel % 7) * 5) % 256,
                )
                .unwrap()
            })
            .collect()
    }

    pub fn jpeg(width: usize, height: usize, sampling: turbojpeg::Subsamp) -> Vec<u8> {
        let pixels = picture(width, height, 3);
        let format = turbojpeg::PixelFormat::RGB;
        let image = turbojpeg::Image {
            pixels: &pixels[..],
            width,
            pitch: width * 3,
            height,
            format,
        };
        turbojpeg::compress(image, 85, sampling).unwrap().to_vec()
    }

    fn oriented(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let tiff = [
            &b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..],
            &[orientation, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let mut source = b"\xff\xd8".to_vec();
        markers::write(markers::APP1, b"Exif\0\0", &tiff, &mut source);
        source.extend(&jpeg[2..]);
        source
    }

    /// What several results of one decode are to those that are made alone.
    #[test]
    fn results_of_one_decode_are_those_of_their_own() {
        let mut scratch = Scratch::new().unwrap();
        let about = About::default();
        for orientation in [1, 6] {
            let source = oriented(&jpeg(400, 300, turbojpeg::Subsamp::Sub2x2), orientation);
            let recipes = [150, 60, 33].map(|height| Recipe {
                size: Size::Height(height),
                quality: 100,
                output_quality: 100,
                upscale: false,
                max_pixels: 1_000_000,
                ..recipe()
            });
            let orders =
                [(0, Format::Jpeg), (1, Format::Jpeg), (2, Format::Png)].map(|(at, wanted)| {
                    Order {
                        wanted,
                        recipe: &recipes[at],
                        about: &about,
                    }
                });
            let (mut made, mut decodes) = (Vec::new(), 0);
            treat_all::<PictureError>(&source, &orders, &mut scratch, &mut |progress| {
                match progress {
                    Progress::After(Step::Overlay) => decodes += 1,
                    Progress::After(_) => {}
                    Progress::Made(index, treated) => {
                        made.push((index, treated.width, treated.height, treated.bytes.to_vec()));
                    }
                }
                Ok(())
            })
            .unwrap();
            assert_eq!(decodes, 3, "each is marked");
            for ((order, (index, width, height, bytes)), at) in orders.iter().zip(&made).zip(0..) {
                assert_eq!(*index, at);
                let alone = treat_one(&source, order, &mut scratch, &mut |_| ()).unwrap();
                assert_eq!((*width, *height), (alone.width, alone.height));
                let alone = open_rgba(alone.bytes, 1_000_000).unwrap();
                let shared = open_rgba(bytes, 1_000_000).unwrap();
                let both = alone.rgba.iter().zip(&shared.rgba);
                let off: f64 = both
                    .map(|(one, other)| f64::from(one.abs_diff(*other)).powi(2))
                    .sum();
                let off = (off / f64::from(u32::try_from(alone.rgba.len()).unwrap())).sqrt();
                assert!(off < if at == 0 { 0.01 } else { 4.0 }, "{at}: {off}");
            }
        }
    }

    fn cmyk(width: usize, height: usize) -> Vec<u8> {
        cmyk_of(width, height, &picture(width, height, 4))
    }

    /// A JPEG of inverted C M Y K, as Adobe writes it.
    pub fn cmyk_of(width: usize, height: usize, pixels: &[u8]) -> Vec<u8> {
        let format = turbojpeg::PixelFormat::CMYK;
        let image = turbojpeg::Image {
            pixels,
            width,
            pitch: width * 4,
            height,
            format,
        };
        turbojpeg::compress(image, 85, turbojpeg::Subsamp::None)
            .unwrap()
            .to_vec()
    }

    pub fn png_of(
        width: u32,
        height: u32,
        colour: png::ColorType,
        depth: png::BitDepth,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        let wide = if depth == png::BitDepth::Sixteen {
            2
        } else {
            1
        };
        let data = picture(width as usize, height as usize, colour.samples() * wide);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&data)
            .unwrap();
        bytes
    }

    pub fn webp_of((width, height): (u32, u32), channels: usize, lossless: bool) -> Vec<u8> {
        let pixels = picture(width as usize, height as usize, channels);
        let layout = if channels == 4 {
            ::webp::PixelLayout::Rgba
        } else {
            ::webp::PixelLayout::Rgb
        };
        let encoder = ::webp::Encoder::new(&pixels, layout, width, height);
        encoder.encode_simple(lossless, 75.0).unwrap().to_vec()
    }

    fn sources() -> Vec<Vec<u8>> {
        use turbojpeg::Subsamp;
        let mut sources = vec![cmyk(33, 20)];
        for sampling in [
            Subsamp::None,
            Subsamp::Sub2x1,
            Subsamp::Sub2x2,
            Subsamp::Sub1x2,
            Subsamp::Sub4x1,
            Subsamp::Gray,
        ] {
            sources.push(jpeg(131, 97, sampling));
        }
        for colour in [
            png::ColorType::Grayscale,
            png::ColorType::GrayscaleAlpha,
            png::ColorType::Rgb,
            png::ColorType::Rgba,
        ] {
            for depth in [png::BitDepth::Eight, png::BitDepth::Sixteen] {
                sources.push(png_of(47, 61, colour, depth));
            }
        }
        for (channels, lossless) in [(3, false), (4, false), (3, true), (4, true)] {
            sources.push(webp_of((47, 61), channels, lossless));
        }
        sources
    }

    #[test]
    fn every_kind_becomes_either_format() {
        let mut scratch = Scratch::new().unwrap();
        for chroma in [Chroma::Half, Chroma::Full] {
            let recipe = Recipe { chroma, ..recipe() };
            for source in sources() {
                for wanted in [Format::Jpeg, Format::Png, Format::WebP] {
                    let mut steps = Vec::new();
                    let treated = treat(&source, wanted, &recipe, &mut scratch, &mut |step| {
                        steps.push(step);
                    })
                    .unwrap();
                    assert_eq!(treated.format, wanted);
                    assert_eq!((treated.height, treated.warning), (40, None));
                    assert_eq!(steps.contains(&Step::Recompress), wanted == Format::Jpeg);
                    let found = probe::probe(treated.bytes, &mut Vec::new()).unwrap();
                    assert_eq!(
                        (found.format, found.width, found.height),
                        (wanted, treated.width, treated.height)
                    );
                }
            }
        }
    }

    #[test]
    fn tiny_and_thin_pictures() {
        let mut scratch = Scratch::new().unwrap();
        for (width, height) in [(1, 1), (2, 1), (1, 2), (3, 3), (17, 1), (1, 300), (700, 3)] {
            for sampling in [
                turbojpeg::Subsamp::Sub2x2,
                turbojpeg::Subsamp::Sub4x1,
                turbojpeg::Subsamp::Sub1x2,
            ] {
                let source = jpeg(width, height, sampling);
                for (upscale, margin) in [(true, 0), (false, 0), (false, 50)] {
                    let mut recipe = Recipe {
                        upscale,
                        max_pixels: 1_000_000,
                        ..recipe()
                    };
                    recipe.marks[0].margin = Length::Pixels(margin);
                    recipe.marks[0].position = Position::At(Anchor::BottomRight);
                    for wanted in [Format::Jpeg, Format::Png, Format::WebP] {
                        let result = treat(&source, wanted, &recipe, &mut scratch, &mut |_| ());
                        assert!(
                            result.is_ok(),
                            "{width}×{height} {sampling:?} to {wanted:?}: {result:?}"
                        );
                    }
                }
            }
        }
    }

    /// Several marks of all sorts on every kind of picture, in any form.
    #[test]
    fn marks_of_all_sorts_are_laid_on_in_order() {
        let mut scratch = Scratch::new().unwrap();
        let mut recipe = recipe();
        let first = recipe.marks[0].clone();
        recipe.marks.extend([
            PlacedMark {
                position: Position::Tile {
                    spacing: Length::Percent(7.5),
                },
                scale: Some(Scale {
                    percent: 33.3,
                    side: Side::Shorter,
                }),
                rotate: 30.0,
                ..first.clone()
            },
            PlacedMark {
                mark: Subject::Image(Arc::new(Mark {
                    width: 2,
                    height: 2,
                    rgba: vec![255; 16],
                })),
                opacity: 100.0,
                ..first
            },
        ]);
        for source in sources() {
            for wanted in [Format::Jpeg, Format::Png, Format::WebP] {
                treat(&source, wanted, &recipe, &mut scratch, &mut |_| ()).unwrap();
            }
        }
        let source = png_of(60, 40, png::ColorType::Rgb, png::BitDepth::Eight);
        let treated = treat(&source, Format::Png, &recipe, &mut scratch, &mut |_| ()).unwrap();
        let mut pixels = Pixels::default();
        decode::png(treated.bytes, false, &mut Vec::new(), &mut pixels).unwrap();
        // The margin is 4; what was laid on last is on top.
        let last = (35 * 60 + 55) * 3;
        assert_eq!(pixels.bytes()[last..last + 3], [255; 3]);
    }

    #[test]
    fn a_grey_picture_takes_colour_only_from_a_coloured_mark() {
        let mut scratch = Scratch::new().unwrap();
        let grey_mark = Arc::new(Mark {
            width: 2,
            height: 2,
            rgba: [99, 99, 99, 200].repeat(4),
        });
        for source in [
            jpeg(50, 50, turbojpeg::Subsamp::Gray),
            png_of(50, 50, png::ColorType::Grayscale, png::BitDepth::Eight),
        ] {
            for (mark, channels) in [
                (recipe().marks[0].mark.clone(), 3),
                (Arc::clone(&grey_mark).into(), 1),
            ] {
                let mut recipe = recipe();
                recipe.marks[0].mark = mark;
                let treated =
                    treat(&source, Format::Png, &recipe, &mut scratch, &mut |_| ()).unwrap();
                let reader = png::Decoder::new(std::io::Cursor::new(treated.bytes))
                    .read_info()
                    .unwrap();
                assert_eq!(reader.info().color_type.samples(), channels);
                let treated =
                    treat(&source, Format::Jpeg, &recipe, &mut scratch, &mut |_| ()).unwrap();
                let header = turbojpeg::read_header(treated.bytes).unwrap();
                assert_eq!(header.subsamp == turbojpeg::Subsamp::Gray, channels == 1);
            }
        }
    }

    /// As a camera says it, without a profile.
    #[test]
    fn adobe_rgb_that_only_exif_tells_is_written_and_meant() {
        let mut source = b"\xff\xd8".to_vec();
        let tiff = exif::colours::tests::block(0xffff, "R03", false);
        markers::write(markers::APP1, b"Exif\0\0", &tiff, &mut source);
        source.extend(&jpeg(40, 40, turbojpeg::Subsamp::None)[2..]);
        let mut scratch = Scratch::new().unwrap();
        let mut recipe = recipe();
        recipe.quality = 100;
        recipe.output_quality = 100;
        recipe.chroma = Chroma::Full;
        recipe.marks[0].mark = Subject::Image(Arc::new(Mark {
            width: 9,
            height: 9,
            rgba: [255, 0, 0, 255].repeat(81),
        }));
        recipe.marks[0].opacity = 100.0;
        recipe.marks[0].position = Position::At(Anchor::Center);
        let treated = treat(&source, Format::Png, &recipe, &mut scratch, &mut |_| ()).unwrap();
        let png = treated.bytes.to_vec();
        let reader = png::Decoder::new(std::io::Cursor::new(&png))
            .read_info()
            .unwrap();
        let profile = reader.info().icc_profile.clone().unwrap();
        let mut pixels = Pixels::default();
        decode::png(&png, false, &mut Vec::new(), &mut pixels).unwrap();
        // sRGB's red in Adobe RGB (1998).
        let [red, green, blue] = pixels.bytes()[(20 * 40 + 20) * 3..][..3] else {
            panic!("a pixel")
        };
        assert!(
            red.abs_diff(219) <= 2 && green <= 2 && blue <= 2,
            "{red} {green} {blue}"
        );
        let treated = treat(&source, Format::Jpeg, &recipe, &mut scratch, &mut |_| ()).unwrap();
        let mut icc = Vec::new();
        probe::probe(treated.bytes, &mut icc).unwrap();
        assert_eq!(icc, *profile);
        // And as a mark of its own it comes into sRGB.
        let mut plain = Vec::new();
        plain.extend_from_slice(&source[..2]);
        plain.extend_from_slice(&source[6 + 6 + tiff.len()..]);
        assert_ne!(
            open_rgba(&source, 10_000).unwrap().rgba,
            open_rgba(&plain, 10_000).unwrap().rgba
        );
    }

    #[test]
    fn a_cut_picture_is_incomplete_and_never_published() {
        let mut scratch = Scratch::new().unwrap();
        for source in sources() {
            for part in 0..24 {
                let end = source.len() * part / 24;
                let result = treat(
                    &source[..end],
                    Format::Jpeg,
                    &recipe(),
                    &mut scratch,
                    &mut |_| (),
                );
                assert!(
                    matches!(result, Err(PictureError::Incomplete { .. })),
                    "{end} of {} bytes: {result:?}",
                    source.len()
                );
            }
        }
    }

    #[test]
    fn a_damaged_but_complete_jpeg_is_accepted_with_a_warning() {
        let mut source = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let middle = source.len() / 2;
        // A premature end of the entropy-coded data, but an end all the same.
        source.splice(middle..source.len() - 2, []);
        let mut scratch = Scratch::new().unwrap();
        let treated = treat(&source, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        let warning = treated.warning.unwrap();
        assert!(warning.contains("premature end"), "{warning}");
    }

    #[test]
    fn a_profile_is_kept_in_both_formats() {
        let mut icc = vec![7; 70_000];
        icc[16..20].copy_from_slice(b"RGB ");
        let mut scratch = Scratch::new().unwrap();
        let plain = jpeg(60, 50, turbojpeg::Subsamp::Sub2x2);
        let mut source = plain[..2].to_vec();
        for (number, part) in (1u8..).zip(icc.chunks(60_000)) {
            let length = u16::try_from(2 + 14 + part.len()).unwrap();
            source.extend([0xff, 0xe2]);
            source.extend(length.to_be_bytes());
            source.extend(b"ICC_PROFILE\0");
            source.extend([number, 2]);
            source.extend(part);
        }
        source.extend(&plain[2..]);
        let mut kept = Vec::new();
        let treated = treat(&source, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        probe::probe(treated.bytes, &mut kept).unwrap();
        assert!(kept == icc, "{} bytes of profile were kept", kept.len());
        let treated = treat(&source, Format::Png, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        let png = treated.bytes.to_vec();
        decode::png(&png, false, &mut kept, &mut Pixels::default()).unwrap();
        assert!(kept == icc, "{} bytes of profile were kept", kept.len());
        let treated = treat(&png, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        probe::probe(treated.bytes, &mut kept).unwrap();
        assert!(kept == icc, "{} bytes of profile were kept", kept.len());
        // The next picture has none.
        let treated = treat(&plain, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        probe::probe(treated.bytes, &mut kept).unwrap();
        assert!(kept.is_empty());
    }

    #[test]
    fn metadata_go_along_as_the_recipe_says() {
        let mut scratch = Scratch::new().unwrap();
        let mut source = jpeg(60, 50, turbojpeg::Subsamp::Sub2x2);
        // Orientation 6 and an artist, written as a camera would.
        let mut tiff = b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".to_vec();
        tiff.extend(b"\x3b\x01\x02\0\x08\0\0\0\x26\0\0\0\0\0\0\0Ann Lee\0");
        let mut segment = b"\xff\xe1\0\x36Exif\0\0".to_vec();
        segment.extend(&tiff);
        source.splice(2..2, segment);
        for (metadata, artist) in [
            (Metadata::Keep, &b"Ann Lee"[..]),
            (Metadata::Copyright, b"Ann Lee"),
            (Metadata::Strip, b""),
        ] {
            let recipe = Recipe {
                metadata,
                ..recipe()
            };
            let mut bytes = source.clone();
            let (jpeg, png, webp) = (Format::Jpeg, Format::Png, Format::WebP);
            for wanted in [jpeg, png, png, webp, webp, png, webp, jpeg] {
                let treated = treat(&bytes, wanted, &recipe, &mut scratch, &mut |_| ()).unwrap();
                bytes = treated.bytes.to_vec();
                let found = probe::probe(&bytes, &mut Vec::new()).unwrap();
                // Turned once, and never again.
                assert_eq!((found.width, found.height, found.orientation), (33, 40, 1));
                let block = match wanted {
                    Format::Jpeg => markers::before_scan(&bytes)
                        .find(|(marker, _)| *marker == 0xe1)
                        .map(|(_, body)| &body[6..]),
                    Format::Png => chunks::all(&bytes)
                        .find(|(kind, _)| *kind == b"eXIf")
                        .map(|(_, body)| body),
                    Format::WebP => riff::Walk::new(&bytes)
                        .find(|(kind, _)| *kind == b"EXIF")
                        .map(|(_, body)| &bytes[body]),
                };
                assert_eq!(exif::rights(block.unwrap_or_default()).artist, artist);
            }
        }
    }

    /// A JPEG with a profile of one segment.
    pub fn with_profile(jpeg: &[u8], icc: &[u8]) -> Vec<u8> {
        let mut source = jpeg[..2].to_vec();
        source.extend([0xff, 0xe2]);
        source.extend(u16::try_from(2 + 14 + icc.len()).unwrap().to_be_bytes());
        source.extend(b"ICC_PROFILE\0\x01\x01");
        source.extend(icc);
        source.extend(&jpeg[2..]);
        source
    }

    #[test]
    fn a_mark_looks_the_same_whatever_the_profile() {
        let red = Arc::new(Mark {
            width: 16,
            height: 16,
            rgba: [255, 0, 0, 255].repeat(256),
        });
        let mut recipe = recipe();
        recipe.output_quality = 100;
        recipe.chroma = Chroma::Full;
        recipe.marks[0] = PlacedMark {
            mark: red.into(),
            opacity: 100.0,
            scale: None,
            rotate: 0.0,
            position: Position::At(Anchor::TopLeft),
            margin: Length::Pixels(0),
            min_picture: 0,
        };
        let mut scratch = Scratch::new().unwrap();
        let adobe = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
        let gamma = moxcms::ColorProfile::new_gray_with_gamma(1.0);
        let gamma = gamma.encode().unwrap();
        let colour = jpeg(64, 64, turbojpeg::Subsamp::Sub2x2);
        let grey = jpeg(64, 64, turbojpeg::Subsamp::Gray);
        for (source, expected, profile) in [
            (with_profile(&colour, &adobe), [219, 0, 0], &adobe[..]),
            (colour.clone(), [255, 0, 0], &[]),
            // It takes colour and is sRGB then.
            (with_profile(&grey, &gamma), [255, 0, 0], &[]),
        ] {
            for wanted in [Format::Jpeg, Format::Png, Format::WebP] {
                let treated = treat(&source, wanted, &recipe, &mut scratch, &mut |_| ()).unwrap();
                let bytes = treated.bytes.to_vec();
                let opened = in_its_colours(&bytes, 100_000, &mut scratch).unwrap();
                let middle = (8 * opened.width as usize + 8) * 4;
                let pixel = &opened.rgba[middle..][..3];
                for (found, wanted) in pixel.iter().zip(expected) {
                    assert!(found.abs_diff(wanted) <= 2, "{pixel:?} for {expected:?}");
                }
                let mut icc = Vec::new();
                if wanted == Format::Jpeg {
                    probe::probe(&bytes, &mut icc).unwrap();
                    assert_eq!(icc, profile);
                }
            }
        }
    }

    /// Four inks, each patch so large that the middle of it is pure.
    #[test]
    fn cmyk_becomes_what_its_profile_says_or_what_adobe_means() {
        let (side, patches) = (
            16,
            [
                [255; 4],
                [0, 255, 255, 255],
                [128, 255, 255, 255],
                [255, 255, 255, 0],
            ],
        );
        let mut pixels = Vec::new();
        for _ in 0..side {
            for patch in patches {
                pixels.extend(patch.repeat(side));
            }
        }
        let plain = cmyk_of(side * patches.len(), side, &pixels);
        let press = colour::tests::press();
        let recipe = Recipe {
            marks: Vec::new(),
            size: Size::Height(16),
            quality: 100,
            output_quality: 100,
            chroma: Chroma::Full,
            ..recipe()
        };
        let mut scratch = Scratch::new().unwrap();
        // The greys of the profile are LittleCMS's.
        for (source, expected) in [
            (
                with_profile(&plain, &press),
                [[255; 3], [119; 3], [185; 3], [0; 3]],
            ),
            (plain, [[255; 3], [0, 255, 255], [128, 255, 255], [0; 3]]),
        ] {
            for wanted in [Format::Png, Format::Jpeg] {
                let treated = treat(&source, wanted, &recipe, &mut scratch, &mut |_| ()).unwrap();
                let bytes = treated.bytes.to_vec();
                let rgba = in_its_colours(&bytes, 10_000, &mut scratch).unwrap().rgba;
                assert!(scratch.colour.icc.is_empty(), "a profile of inks was kept");
                for (patch, wanted) in expected.iter().enumerate() {
                    let at = (side * side * patches.len() / 2 + patch * side + side / 2) * 4;
                    for (found, wanted) in rgba[at..at + 3].iter().zip(wanted) {
                        assert!(
                            found.abs_diff(*wanted) <= 4,
                            "{patch}: {:?}",
                            &rgba[at..at + 3]
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn errors_name_the_step() {
        let mut scratch = Scratch::new().unwrap();
        let source = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
        let error = treat(
            &source[..400],
            Format::Jpeg,
            &recipe(),
            &mut scratch,
            &mut |_| (),
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "decode: premature end of data");
        let recipe = Recipe {
            max_pixels: 1000,
            ..recipe()
        };
        let error = treat(&source, Format::Jpeg, &recipe, &mut scratch, &mut |_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "decode: 131×97 pixels are above max_pixels 1000"
        );
    }

    fn scaled(side: Side) -> Scale {
        let percent = 60.0;
        Scale { percent, side }
    }

    /// Other ones than a height of 40, with the same number.
    fn other_sizes() -> impl Iterator<Item = Size> {
        let boxed = |width, height| Size::Box { width, height };
        let ways = [
            Size::Original,
            Size::Width(40),
            Size::LongEdge(40),
            Size::ShortEdge(40),
            boxed(40, 40),
            boxed(40, 41),
        ];
        ways.into_iter()
    }

    #[test]
    fn the_fingerprint_is_stable_and_sees_every_field() {
        fn tile(spacing: Length) -> Position {
            Position::Tile { spacing }
        }
        let base = recipe();
        // Written down so that a change of the form is noticed: it would make every ledger stale.
        assert_eq!(base.fingerprint(), FINGERPRINT, "{:#x}", base.fingerprint());
        let fast = Recipe {
            resample: Resample::Fast,
            ..recipe()
        };
        assert_eq!(fast.fingerprint(), FINGERPRINT_OF_FAST);
        let changes: &[fn(&mut Recipe)] = &[
            |recipe| {
                let Subject::Image(mark) = &mut recipe.marks[0].mark else {
                    return;
                };
                Arc::make_mut(mark).rgba[5] ^= 1;
            },
            |recipe| recipe.marks[0].opacity = 61.0,
            |recipe| recipe.marks[0].scale = Some(scaled(Side::Shorter)),
            |recipe| recipe.marks[0].scale = Some(scaled(Side::Width)),
            |recipe| recipe.marks[0].scale = Some(scaled(Side::Height)),
            |recipe| recipe.marks[0].rotate = 60.0,
            |recipe| recipe.marks[0].position = Position::At(Anchor::TopLeft),
            |recipe| recipe.marks[0].position = tile(Length::Pixels(0)),
            |recipe| recipe.marks[0].position = tile(Length::Pixels(5)),
            |recipe| recipe.marks[0].position = tile(Length::Percent(5.0)),
            |recipe| recipe.marks[0].margin = Length::Pixels(10),
            |recipe| recipe.marks[0].min_picture = 1,
            |recipe| recipe.marks.push(recipe.marks[0].clone()),
            |recipe| recipe.size = Size::Height(41),
            |recipe| recipe.quality = 31,
            |recipe| recipe.output_quality = 91,
            |recipe| recipe.chroma = Chroma::Full,
            |recipe| recipe.resample = Resample::Fast,
            |recipe| recipe.sharpen = 1,
            |recipe| recipe.upscale = false,
            |recipe| recipe.metadata = Metadata::Keep,
            |recipe| recipe.max_pixels = 1,
        ];
        let others: Vec<_> = changes
            .iter()
            .map(|change| {
                let mut other = base.clone();
                change(&mut other);
                other
            })
            .chain(other_sizes().map(|size| Recipe {
                size,
                ..base.clone()
            }))
            .collect();
        let mut seen: Vec<_> = others.iter().map(Recipe::fingerprint).collect();
        seen.push(base.fingerprint());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), others.len() + 1);
    }

    const FINGERPRINT: u64 = 0xc05a_17d2_b730_a1e2;
    const FINGERPRINT_OF_FAST: u64 = 0xf610_7b9c_82c2_7a8a;

    /// Flips, cuts, zeroes and repeats parts of whole pictures: every outcome is fine but a panic.
    #[test]
    fn mutated_pictures_never_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below.max(1)
        };
        let mut scratch = Scratch::new().unwrap();
        let mut sources = sources();
        let adobe = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
        let mut written = sources[3].clone();
        // Metadata of every kind, as this program writes them.
        written.splice(2..2, *b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0");
        written.splice(
            2..2,
            *b"\xff\xed\0\x24Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x50\0\x03Ann",
        );
        sources.push(with_profile(&written, &adobe));
        let mut treated = 0;
        for round in 0..1000 {
            let mut bytes = sources[round % sources.len()].clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                let end = (at + 1 + random(12)).min(bytes.len());
                match random(6) {
                    0 | 1 => bytes[at] = u8::try_from(random(256)).unwrap(),
                    2 => bytes[at] ^= 1 << random(8),
                    3 => bytes[at..end].fill(0),
                    4 => {
                        let part = bytes[at..end].to_vec();
                        bytes.splice(at..at, part);
                    }
                    _ => {
                        bytes.drain(at..end);
                    }
                }
            }
            let wanted = [Format::Jpeg, Format::Png, Format::WebP][random(3)];
            let metadata = [Metadata::Keep, Metadata::Copyright][random(2)];
            let recipe = Recipe {
                metadata,
                ..recipe()
            };
            treated +=
                usize::from(treat(&bytes, wanted, &recipe, &mut scratch, &mut |_| ()).is_ok());
        }
        assert!(
            treated > 100,
            "only {treated} of 1000 got as far as the end"
        );
    }
}
