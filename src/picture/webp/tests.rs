use std::io::Cursor;
use std::time::{Duration, Instant};

use super::super::probe::{self, probe};
use super::super::recipe::{Metadata, Recipe, Size};
use super::super::riff::{self, Along, Walk};
use super::super::tests::{picture, png_of, recipe, webp_of, with_profile};
use super::super::{Format, PictureError, Scratch, close, head, treat};
use super::*;

fn plain() -> Recipe {
    Recipe {
        marks: Vec::new(),
        size: Size::Original,
        quality: 100,
        ..recipe()
    }
}

fn treated(source: &[u8], wanted: Format, recipe: &Recipe) -> Result<Vec<u8>, PictureError> {
    let mut scratch = Scratch::new().unwrap();
    treat(source, wanted, recipe, &mut scratch, &mut |_| ()).map(|treated| treated.bytes.to_vec())
}

/// As libwebp decodes it: pixels and channels.
fn by_libwebp(bytes: &[u8]) -> (Vec<u8>, usize) {
    let image = webp::Decoder::new(bytes).decode().expect("a WebP");
    (image.to_vec(), image.layout().bytes_per_pixel().into())
}

fn chunk(bytes: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    let mut walk = Walk::new(bytes);
    let found = walk.find(|(kind, _)| **kind == wanted);
    found.map(|(_, body)| &bytes[body])
}

/// Four patches in a row, each 16 pixels wide and high.
const PATCHES: [[u8; 3]; 4] = [[255, 0, 0], [16, 200, 30], [255; 3], [40, 60, 180]];

fn jpeg_of_patches() -> Vec<u8> {
    let row: Vec<u8> = PATCHES
        .iter()
        .flat_map(|colour| colour.repeat(16))
        .collect();
    let pixels = row.repeat(16);
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width: 64,
        pitch: 64 * 3,
        height: 16,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image, 100, turbojpeg::Subsamp::None);
    jpeg.unwrap().to_vec()
}

#[test]
fn colours_stay_what_they_are() {
    let recipe = Recipe {
        output_quality: 100,
        ..plain()
    };
    let written = treated(&jpeg_of_patches(), Format::WebP, &recipe).unwrap();
    assert!(chunk(&written, *b"VP8 ").is_some(), "a JPEG becomes lossy");
    let (pixels, channels) = by_libwebp(&written);
    let again = treated(&written, Format::Png, &recipe).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(again)).read_info().unwrap();
    let mut ours = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut ours).unwrap();
    for (patch, colour) in PATCHES.iter().enumerate() {
        let at = (8 * 64 + patch * 16 + 8) * channels;
        for (channel, expected) in colour.iter().enumerate() {
            let (theirs, ours) = (pixels[at + channel], ours[at + channel]);
            assert!(
                theirs.abs_diff(*expected) <= 5,
                "{patch}: {theirs} of {expected}"
            );
            assert!(ours.abs_diff(theirs) <= 2, "{patch}: {ours} of {theirs}");
        }
    }
}

#[test]
fn a_png_stays_exact() {
    for (colour, depth) in [
        (png::ColorType::Rgb, png::BitDepth::Eight),
        (png::ColorType::Rgba, png::BitDepth::Eight),
        (png::ColorType::Grayscale, png::BitDepth::Eight),
        (png::ColorType::GrayscaleAlpha, png::BitDepth::Eight),
    ] {
        let source = png_of(47, 61, colour, depth);
        let samples = picture(47, 61, colour.samples());
        let expected: Vec<u8> = samples
            .chunks_exact(colour.samples())
            .flat_map(|pixel| match *pixel {
                [grey] => vec![grey; 3],
                [grey, alpha] => vec![grey, grey, grey, alpha],
                _ => pixel.to_vec(),
            })
            .collect();
        for quality in [100, 30] {
            let recipe = Recipe { quality, ..plain() };
            let written = treated(&source, Format::WebP, &recipe).unwrap();
            assert!(chunk(&written, *b"VP8L").is_some());
            let (pixels, _) = by_libwebp(&written);
            assert!(pixels == expected, "{colour:?} by quality {quality}");
            let again = treated(&written, Format::WebP, &recipe).unwrap();
            assert!(by_libwebp(&again).0 == expected, "{colour:?}, once more");
        }
    }
    let deep = png_of(47, 61, png::ColorType::Rgba, png::BitDepth::Sixteen);
    let (pixels, _) = by_libwebp(&treated(&deep, Format::WebP, &plain()).unwrap());
    let words = picture(47, 61, 8);
    let rounded = words.chunks_exact(2).map(|word| {
        let word = u32::from(u16::from_be_bytes([word[0], word[1]]));
        u8::try_from((word + 128) / 257).unwrap()
    });
    assert!(pixels.iter().copied().eq(rounded), "16 bits");
}

#[test]
fn what_is_read_is_what_libwebp_reads() {
    for (channels, lossless) in [(3, false), (4, false), (3, true), (4, true)] {
        let source = webp_of((47, 61), channels, lossless);
        let mut pixels = Pixels::default();
        decode(&source, &mut pixels).unwrap();
        let (expected, found) = by_libwebp(&source);
        assert_eq!((pixels.channels, found), (channels, channels));
        let furthest = pixels.bytes().iter().zip(&expected);
        let furthest = furthest.map(|(one, other)| one.abs_diff(*other)).max();
        assert!(
            furthest <= Some(u8::from(!lossless)),
            "{channels}: {furthest:?}"
        );
        // It becomes what it was: lossy or not, with its alpha.
        let written = treated(&source, Format::WebP, &plain()).unwrap();
        let found = probe(&written, &mut Vec::new()).unwrap();
        assert_eq!(found.lossless, lossless);
        assert_eq!(by_libwebp(&written).1, channels);
    }
}

#[test]
fn the_same_picture_gives_the_same_bytes() {
    for source in [jpeg_of_patches(), webp_of((47, 61), 4, false)] {
        let mut scratch = Scratch::new().unwrap();
        let mut once = || {
            let treated = treat(&source, Format::WebP, &recipe(), &mut scratch, &mut |_| ());
            treated.unwrap().bytes.to_vec()
        };
        assert!(once() == once());
    }
}

#[test]
fn a_profile_goes_along_unless_it_is_of_greys() {
    let adobe = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
    let grey = moxcms::ColorProfile::new_gray_with_gamma(1.0)
        .encode()
        .unwrap();
    let coloured = with_profile(&jpeg_of_patches(), &adobe);
    let written = treated(&coloured, Format::WebP, &plain()).unwrap();
    assert_eq!(chunk(&written, *b"ICCP"), Some(&adobe[..]));
    for wanted in [Format::WebP, Format::Jpeg, Format::Png] {
        let bytes = treated(&written, wanted, &plain()).unwrap();
        let mut icc = Vec::new();
        probe::probe(&bytes, &mut icc).unwrap();
        let is_png = wanted == Format::Png;
        assert!(icc == adobe || is_png && memchr::memmem::find(&bytes, b"iCCP").is_some());
    }
    // Half the light is 188 in sRGB.
    let image = turbojpeg::Image {
        pixels: &[128; 256][..],
        width: 16,
        pitch: 16,
        height: 16,
        format: turbojpeg::PixelFormat::GRAY,
    };
    let plane = turbojpeg::compress(image, 100, turbojpeg::Subsamp::Gray).unwrap();
    let written = treated(&with_profile(&plane, &grey), Format::WebP, &plain()).unwrap();
    assert_eq!(chunk(&written, *b"ICCP"), None);
    let (pixels, _) = by_libwebp(&written);
    assert!(pixels[0].abs_diff(188) <= 2, "{}", pixels[0]);
}

/// With everything that can go along, turned by its EXIF.
fn extended(image: &[u8]) -> Vec<u8> {
    let along = Along {
        icc: &moxcms::ColorProfile::new_adobe_rgb().encode().unwrap(),
        exif: b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
        xmp: b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    };
    let mut out = Vec::new();
    riff::write(image, &along, &mut out).unwrap();
    out
}

fn kinds() -> Vec<Vec<u8>> {
    let mut kinds = Vec::new();
    for (channels, lossless) in [(3, false), (4, false), (3, true), (4, true)] {
        let image = webp_of((31, 20), channels, lossless);
        kinds.push(extended(&image));
        kinds.push(image);
    }
    kinds
}

#[test]
fn the_header_says_what_the_probe_says() {
    for (number, bytes) in kinds().into_iter().enumerate() {
        let mut found = probe(&bytes, &mut Vec::new()).unwrap();
        let is_extended = number % 2 == 0;
        assert_eq!(found.orientation, if is_extended { 6 } else { 1 });
        assert_eq!((found.width, found.height), (31, 20));
        let head = head::read(&mut Cursor::new(&bytes)).unwrap().unwrap();
        found.orientation = 1;
        assert_eq!(head.probe, found);
        assert_eq!(head.profile > 0, is_extended);
        let alpha = number / 2 % 2 == 1;
        assert_eq!(head.coding, head::Coding::WebP(head::WebPCoding { alpha }));
        // What is turned has other sides.
        let written = treated(&bytes, Format::WebP, &plain()).unwrap();
        let written = probe(&written, &mut Vec::new()).unwrap();
        let size = if is_extended { (20, 31) } else { (31, 20) };
        assert_eq!(
            (written.width, written.height, written.orientation),
            (size.0, size.1, 1)
        );
    }
}

#[test]
fn what_breaks_off_may_become_whole() {
    for whole in kinds() {
        for end in 0..whole.len() {
            let mut bytes = whole[..end].to_vec();
            let result = probe(&bytes, &mut Vec::new());
            assert!(
                matches!(result, Err(PictureError::Incomplete { .. })),
                "{end} of {}: {result:?}",
                whole.len()
            );
            assert!(!close(&mut bytes), "{end}: it cannot be closed");
        }
        // Its length may be written last.
        let mut bytes = whole.clone();
        bytes[4..8].fill(0);
        let result = probe(&bytes, &mut Vec::new());
        assert!(
            matches!(result, Err(PictureError::Incomplete { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn what_follows_a_picture_is_not_looked_at() {
    for whole in kinds() {
        let expected = treated(&whole, Format::Png, &plain()).unwrap();
        for trailer in [&b"\0"[..], &[0; 600], &whole, b"EXIF\xff\xff\xff\xff"] {
            let bytes = [&whole[..], trailer].concat();
            assert!(treated(&bytes, Format::Png, &plain()).unwrap() == expected);
        }
    }
}

#[test]
fn what_is_no_still_picture_is_refused_in_words() {
    let still = webp_of((31, 20), 3, true);
    let mut animated = extended(&still);
    animated[20] |= 2;
    let mut larger = extended(&still);
    larger[24] += 1;
    let mut beyond = still.clone();
    beyond[16] += 40;
    for (bytes, cause) in [
        (animated, "an animated WebP is not taken"),
        (larger, "the headers disagree about the picture's size"),
        (beyond, "damaged chunk header at byte 12"),
        (
            b"RIFF\x0c\0\0\0WEBPJUNK\0\0\0\0".to_vec(),
            "there is no picture in it",
        ),
    ] {
        let error = treated(&bytes, Format::WebP, &plain()).unwrap_err();
        assert!(matches!(error, PictureError::Bad { .. }), "{error}");
        assert!(error.to_string().contains(cause), "{error}");
    }
    let few = Recipe {
        max_pixels: 619,
        ..plain()
    };
    let error = treated(&still, Format::WebP, &few).unwrap_err();
    assert!(
        error.to_string().contains("above max_pixels 619"),
        "{error}"
    );
}

#[test]
fn damage_never_panics() {
    let recipe = Recipe {
        metadata: Metadata::Keep,
        size: Size::Height(12),
        ..plain()
    };
    let mut scratch = Scratch::new().unwrap();
    let mut made = 0;
    for whole in kinds() {
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                let result = treat(&bytes, Format::Jpeg, &recipe, &mut scratch, &mut |_| ());
                made += usize::from(result.is_ok());
            }
        }
    }
    assert!(made > 100, "{made}");
}

/// Bits, lowest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        self.0
            .extend((0..count).map(|place| value >> place & 1 == 1));
        self
    }

    /// A code of one symbol.
    fn only(&mut self, symbol: u32) -> &mut Self {
        self.put(1, 1).put(0, 1).put(1, 1).put(symbol, 8)
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter()
                .rev()
                .fold(0, |sum, bit| sum << 1 | u8::from(*bit))
        };
        self.0.chunks(8).map(byte).collect()
    }
}

#[test]
fn codes_are_counted_before_they_are_built() {
    // A picture of 4×4, one block, whose number asks for 65536 sets.
    let mut bits = Bits::default();
    bits.put(0x2f, 8).put(3, 14).put(3, 14).put(0, 4);
    bits.put(0, 1).put(0, 1).put(1, 1).put(0, 3);
    bits.put(0, 1).only(255).only(255).only(0).only(0).only(0);
    for _ in 0..5 * 4000 {
        // The lengths 1 to 10, and 10 once more.
        bits.put(0, 1).put(10, 4);
        for place in 0..14 {
            let coded = [5, 6, 7, 9, 10, 11, 12, 13].contains(&place);
            let first = place == 3 || place == 4;
            bits.put(
                if coded {
                    4
                } else if first {
                    2
                } else {
                    0
                },
                3,
            );
        }
        // Eleven lengths are told.
        bits.put(1, 1).put(1, 3).put(9, 4);
        // Codes of two bits are those of lengths 1 and 2, of four those of 3 to 10.
        let reversed = |code: u32, count: u32| code.reverse_bits() >> (32 - count);
        bits.put(reversed(0, 2), 2).put(reversed(1, 2), 2);
        for code in (8..16).chain([15]) {
            bits.put(reversed(code, 4), 4);
        }
    }
    let body = bits.bytes();
    let mut bytes = b"RIFF\0\0\0\0WEBPVP8L".to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(&body);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let length = u32::try_from(bytes.len() - 8).unwrap();
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    let start = Instant::now();
    let error = treated(&bytes, Format::WebP, &plain()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(error.to_string().contains("more codes than any"), "{error}");
    // What real pictures have is little, and is read to its end.
    for (channels, most) in [(3, 400_000), (4, 400_000)] {
        let bytes = webp_of((300, 200), channels, true);
        let codes = trees::of_image(chunk(&bytes, *b"VP8L").unwrap(), CODES).unwrap();
        assert!((400..most).contains(&codes), "{codes}");
    }
}

#[test]
fn what_is_written_tells_what_it_takes() {
    let recipe = Recipe {
        max_pixels: 1_000_000,
        ..plain()
    };
    // Bytes a pixel above what the same picture takes as a JPEG.
    let more = |source: &[u8]| {
        let length = source.len() as u64;
        let [webp, jpeg] = [Format::WebP, Format::Jpeg].map(|wanted| {
            super::super::need(&mut Cursor::new(source), length, wanted, &recipe).unwrap()
        });
        webp.saturating_sub(jpeg) / (800 * 600)
    };
    let of = |channels, lossless| more(&webp_of((800, 600), channels, lossless));
    for (channels, lossless, expected) in [
        (3, false, 20..44),
        (3, true, 30..56),
        (4, true, 30..56),
        (4, false, 70..92),
    ] {
        let found = of(channels, lossless);
        assert!(expected.contains(&found), "{channels} {lossless}: {found}");
    }
}
