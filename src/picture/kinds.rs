//! Tests only: every kind of JPEG and PNG that programs write, and those that nobody should.

use std::time::{Duration, Instant};

use super::planes::{Planes, Sampling};
use super::probe::Damage;
use super::tests::{cmyk_of, jpeg, picture, png_of, recipe, with_profile};
use super::turbo::Compressor;
use super::*;

const PROGRESSIVE: &[u8] = include_bytes!("../../tests/reference/photo-422-progressive.jpg");

fn treated(source: &[u8], wanted: Format, recipe: &Recipe) -> Result<Vec<u8>, PictureError> {
    let mut scratch = Scratch::new().unwrap();
    treat(source, wanted, recipe, &mut scratch, &mut |_| ()).map(|treated| treated.bytes.to_vec())
}

#[test]
fn the_coding_of_a_jpeg_makes_no_difference() {
    let mut planes = Planes::default();
    Compressor::new()
        .unwrap()
        .planes_of(&picture(131, 97, 3), (131, 97), Sampling::S420, &mut planes)
        .unwrap();
    let mut results = Vec::new();
    for (progressive, arithmetic, restart) in [
        (false, false, 0),
        (true, false, 0),
        (false, true, 0),
        (true, true, 0),
        (false, false, 3),
        (true, false, 5),
    ] {
        let mut compressor = Compressor::new().unwrap();
        compressor.code(progressive, arithmetic, restart).unwrap();
        let mut source = Vec::new();
        let length = compressor
            .jpeg(&planes, (131, 97), 85, &[], 0, &mut source)
            .unwrap();
        source.truncate(length);
        results.push(treated(&source, Format::Jpeg, &recipe()).unwrap());
        // What multi-picture files and motion photos carry behind the picture.
        source.extend_from_slice(&source.clone());
        source.extend(b"\0\0\0\x18ftypmp42");
        results.push(treated(&source, Format::Jpeg, &recipe()).unwrap());
    }
    assert!(results.iter().all(|result| *result == results[0]));
}

/// A PNG of these chunks between its header and its end.
fn png_with(
    header: [u8; 5],
    (width, height): (u32, u32),
    chunks: &[(&[u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let mut ihdr = width.to_be_bytes().to_vec();
    ihdr.extend(height.to_be_bytes());
    ihdr.extend(header);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let ends = [(b"IHDR", ihdr)].into_iter().chain(chunks.iter().cloned());
    for (kind, body) in ends.chain([(b"IEND", Vec::new())]) {
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(&body);
        bytes.extend(kind);
        bytes.extend(body);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zlib, data).unwrap();
    zlib.finish().unwrap()
}

/// Unscaled and unmarked.
fn plain() -> Recipe {
    Recipe {
        marks: Vec::new(),
        upscale: false,
        ..recipe()
    }
}

fn pixels(png: &[u8]) -> Vec<u8> {
    open_rgba(png, 10_000).unwrap().rgba
}

#[test]
fn palettes_small_depths_and_transparent_colours_are_expanded() {
    let (red, clear, white) = ([255, 0, 0, 255], [0, 0, 255, 0], [255; 4]);
    let palette = |transparent: bool| {
        let mut chunks = vec![(b"PLTE", vec![255, 0, 0, 0, 0, 255])];
        if transparent {
            chunks.push((b"tRNS", vec![255, 0]));
        }
        chunks
    };
    // Depth, colour type, chunks, one row of two pixels, what they are.
    let cases = [
        (1, 3, palette(true), vec![0b0100_0000], [red, clear]),
        (2, 3, palette(true), vec![0b0001_0000], [red, clear]),
        (4, 3, palette(true), vec![0x01], [red, clear]),
        (8, 3, palette(false), vec![0, 1], [red, [0, 0, 255, 255]]),
        (1, 0, vec![], vec![0b1000_0000], [white, [0, 0, 0, 255]]),
        (2, 0, vec![], vec![0b1101_0000], [white, [85, 85, 85, 255]]),
        (4, 0, vec![], vec![0xf1], [white, [17, 17, 17, 255]]),
        (
            8,
            0,
            vec![(b"tRNS", vec![0, 9])],
            vec![255, 9],
            [white, [9, 9, 9, 0]],
        ),
        (
            8,
            2,
            vec![(b"tRNS", vec![0, 0, 0, 0, 0, 255])],
            vec![255, 0, 0, 0, 0, 255],
            [red, clear],
        ),
        (8, 4, vec![], vec![255, 255, 9, 0], [white, [9, 9, 9, 0]]),
    ];
    for (depth, colour, mut chunks, row, expected) in cases {
        let data = [vec![0], row].concat();
        chunks.push((b"IDAT", deflated(&data)));
        for interlaced in [0, 1] {
            // One row of two pixels is two passes of a pixel each.
            if interlaced == 1 && depth == 8 {
                let half = (data.len() - 1) / 2;
                let passes = [&[0], &data[1..=half], &[0], &data[1 + half..]].concat();
                *chunks.last_mut().unwrap() = (b"IDAT", deflated(&passes));
            } else if interlaced == 1 {
                continue;
            }
            let source = png_with([depth, colour, 0, 0, interlaced], (2, 1), &chunks);
            let result = treated(&source, Format::Png, &plain()).unwrap();
            assert_eq!(
                pixels(&result),
                expected.concat(),
                "{depth} {colour} {interlaced}"
            );
        }
    }
}

#[test]
fn depth_and_colour_description_of_a_png_stay() {
    let deep = png_of(9, 7, png::ColorType::Rgb, png::BitDepth::Sixteen);
    let found = |png: &[u8], wanted: &[u8; 4]| {
        let result = treated(png, Format::Png, &plain()).unwrap();
        chunks::all(&result)
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, body)| body.to_vec())
    };
    assert_eq!(found(&deep, b"IHDR").unwrap()[8..10], [16, 2]);
    let cases: [(&[u8; 4], Vec<u8>); 7] = [
        (b"gAMA", 100_000u32.to_be_bytes().to_vec()),
        (b"sRGB", vec![1]),
        (b"cICP", vec![12, 13, 0, 1]),
        (
            b"cHRM",
            WIDE.iter().flat_map(|value| value.to_be_bytes()).collect(),
        ),
        (b"mDCV", (1..=24).collect()),
        (b"cLLI", (1..=8).collect()),
        (b"pHYs", vec![0, 0, 46, 35, 0, 0, 46, 35, 1]),
    ];
    for (kind, body) in cases {
        let data = (b"IDAT", deflated(&[0, 1, 2, 3]));
        let source = png_with([8, 2, 0, 0, 0], (1, 1), &[(kind, body.clone()), data]);
        assert_eq!(found(&source, kind), Some(body), "{kind:?}");
    }
}

/// Adobe RGB (1998), as cHRM has it.
const WIDE: [u32; 8] = [
    31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000,
];

#[test]
fn what_the_samples_mean_stays_and_what_is_no_longer_true_goes() {
    let chunks = [
        (b"cICP", vec![12, 13, 0, 1]),
        (b"sRGB", vec![0]),
        (b"gAMA", 45_455u32.to_be_bytes().to_vec()),
        (b"sBIT", vec![5, 6, 5]),
        (b"bKGD", vec![0; 6]),
        (b"tIME", vec![7, 0xd0, 1, 1, 1, 1, 1]),
        (b"IDAT", deflated(&[0, 1, 2, 3])),
        (b"gAMA", 100_000u32.to_be_bytes().to_vec()),
    ];
    let source = png_with([8, 2, 0, 0, 0], (1, 1), &chunks);
    for metadata in [Metadata::Keep, Metadata::Copyright, Metadata::Strip] {
        let recipe = Recipe {
            metadata,
            ..plain()
        };
        let result = treated(&source, Format::Png, &recipe).unwrap();
        let written: Vec<_> = chunks::all(&result).collect();
        let kinds: Vec<_> = written.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(
            kinds,
            [b"IHDR", b"cICP", b"sRGB", b"gAMA", b"IDAT", b"IEND"]
        );
        assert_eq!(written[3].1, 45_455u32.to_be_bytes());
    }
}

#[test]
fn a_jpeg_of_a_png_means_the_same_colours() {
    let linear = (b"gAMA", 100_000u32.to_be_bytes().to_vec());
    let usual = (b"gAMA", 45_455u32.to_be_bytes().to_vec());
    let wide = (b"cICP", vec![12, 13, 0, 1]);
    // Colour type, its one pixel, chunk, the same in sRGB.
    for (colour, pixel, chunk, expected) in [
        (2, vec![55, 55, 55], linear.clone(), [128; 3]),
        (0, vec![55], linear.clone(), [128; 3]),
        (2, vec![128, 128, 128], usual, [128; 3]),
        (2, vec![234, 51, 35], wide, [255, 0, 0]),
    ] {
        let row = [vec![0], pixel.repeat(16)].concat();
        let data = (b"IDAT", deflated(&row.repeat(16)));
        let source = png_with([8, colour, 0, 0, 0], (16, 16), &[chunk.clone(), data]);
        let recipe = Recipe {
            quality: 100,
            output_quality: 100,
            ..plain()
        };
        let result = treated(&source, Format::Jpeg, &recipe).unwrap();
        let rgba = open_rgba(&result, 10_000).unwrap().rgba;
        for (found, wanted) in rgba[..3].iter().zip(expected) {
            assert!(found.abs_diff(wanted) <= 3, "{:?} by {chunk:?}", &rgba[..3]);
        }
    }
    // A grey picture that takes colour is sRGB, and says nothing else.
    let data = (
        b"IDAT",
        deflated(&[[0].as_slice(), &[55; 60]].concat().repeat(60)),
    );
    let source = png_with([8, 0, 0, 0, 0], (60, 60), &[linear, data]);
    let result = treated(&source, Format::Png, &recipe()).unwrap();
    assert!(super::chunks::all(&result).all(|(kind, _)| kind != b"gAMA" && kind != b"iCCP"));
    assert_eq!(pixels(&result)[..3], [128; 3]);
}

#[test]
fn of_an_animation_the_first_frame_is_taken() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[1, 2, 3]).unwrap();
    writer.write_image_data(&[4, 5, 6]).unwrap();
    writer.finish().unwrap();
    let result = treated(&bytes, Format::Png, &plain()).unwrap();
    assert_eq!(pixels(&result), [1, 2, 3, 255]);
    assert!(super::chunks::all(&result).all(|(kind, _)| kind != b"acTL"));
}

/// The PNG with a wrong checksum at the first chunk of this kind.
fn with_wrong_checksum(mut png: Vec<u8>, kind: [u8; 4]) -> Vec<u8> {
    let at = memchr::memmem::find(&png, &kind).unwrap();
    let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
    png[at + 4 + length] ^= 1;
    png
}

#[test]
fn a_png_whose_picture_data_has_a_wrong_checksum_is_accepted_with_a_warning() {
    let whole = png_of(47, 61, png::ColorType::Rgb, png::BitDepth::Eight);
    let expected = treated(&whole, Format::Png, &plain()).unwrap();
    let mut scratch = Scratch::new().unwrap();
    let mut warned = |source: &[u8]| {
        let result = treat(source, Format::Png, &plain(), &mut scratch, &mut |_| ());
        result.map(|treated| (treated.bytes.to_vec(), treated.warning))
    };
    let (bytes, warning) = warned(&with_wrong_checksum(whole.clone(), *b"IDAT")).unwrap();
    assert!(bytes == expected);
    assert_eq!(warning.as_deref(), Some("chunk IDAT has a wrong checksum"));
    assert_eq!(warned(&whole).unwrap().1, None);
    let error = warned(&with_wrong_checksum(whole.clone(), *b"IHDR")).unwrap_err();
    assert_eq!(error.to_string(), "decode: chunk IHDR has a wrong checksum");
    // Nobody looks at zlib's own checksum.
    let mut stream = deflated(&[0, 1, 2, 3]);
    *stream.last_mut().unwrap() ^= 1;
    let source = png_with([8, 2, 0, 0, 0], (1, 1), &[(b"IDAT", stream)]);
    assert_eq!(warned(&source).unwrap().1, None);
    // Data that cannot be inflated is no picture, whatever its checksum.
    let mut torn = whole.clone();
    let at = memchr::memmem::find(&torn, b"IDAT").unwrap();
    torn[at + 40..at + 60].fill(0xff);
    let error = warned(&torn).unwrap_err();
    assert!(matches!(error, PictureError::Bad { .. }), "{error}");
    assert!(
        error.to_string().contains("the compressed picture data"),
        "{error}"
    );
}

type Chunks = Vec<(&'static [u8; 4], Vec<u8>)>;

/// Chunks in front of the picture data and behind them, of which the still picture needs none.
fn beside_the_still_picture(rows: &[u8]) -> Vec<(Chunks, Chunks)> {
    let control = |sequence: u8, width: u8| {
        let mut body = vec![0, 0, 0, sequence, 0, 0, 0, width, 0, 0, 0, 2];
        body.resize(26, 0);
        (b"fcTL", body)
    };
    let animated = (b"acTL", vec![0, 0, 0, 2, 0, 0, 0, 0]);
    let frame = |sequence: u8| (b"fdAT", [&[0, 0, 0, sequence], rows].concat());
    let rest = vec![control(1, 2), frame(2)];
    vec![
        (vec![animated.clone(), control(0, 2)], rest.clone()),
        // A first number that is none, a size that is not the picture's, a body cut short.
        (vec![animated.clone(), control(7, 2)], rest.clone()),
        (vec![animated.clone(), control(0, 9)], rest.clone()),
        (vec![animated.clone(), (b"fcTL", vec![0; 4])], rest),
        (vec![control(0, 2), control(0, 2)], vec![frame(9)]),
        (vec![frame(0), animated], vec![]),
        (
            vec![(b"acTL", vec![1])],
            vec![(b"fcTL", vec![]), (b"fdAT", vec![])],
        ),
        // A palette for screens of few colours.
        (vec![(b"PLTE", vec![1, 2, 3, 4])], vec![]),
        (vec![(b"eXIf", vec![0xff; 99])], vec![]),
        // Colours of samples that no PNG has,.
        (vec![(b"cICP", vec![1, 13, 1, 1])], vec![]),
        (vec![(b"sBIT", vec![]), (b"gAMA", vec![])], vec![]),
    ]
}

/// Browsers and libpng show such pictures without a word.
#[test]
fn what_is_damaged_beside_the_still_picture_costs_nothing() {
    let rows = deflated(&[0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
    let (front, back) = rows.split_at(rows.len() / 2);
    let (front, back) = ([(b"IDAT", front.to_vec())], [(b"IDAT", back.to_vec())]);
    let mut scratch = Scratch::new().unwrap();
    let mut shown = |png: &[u8]| {
        let treated = treat(png, Format::Png, &plain(), &mut scratch, &mut |_| ()).unwrap();
        assert_eq!(treated.warning, None);
        pixels(treated.bytes)
    };
    let expected = [1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255];
    for (before, after) in beside_the_still_picture(&rows) {
        let usual = [&before[..], &front, &back, &after].concat();
        let among = [&before[..], &front, &after, &back, &after].concat();
        for chunks in [usual, among] {
            let png = png_with([8, 2, 0, 0, 0], (2, 2), &chunks);
            let kinds = chunks.iter().map(|(kind, _)| *kind);
            let kinds: Vec<_> = kinds.filter(|kind| *kind != b"IDAT").collect();
            assert_eq!(shown(&png), expected, "{kinds:?}");
            for kind in kinds {
                let png = with_wrong_checksum(png.clone(), *kind);
                assert_eq!(shown(&png), expected, "{kind:?}");
            }
        }
    }
}

#[test]
fn a_damaged_chunk_turns_no_picture() {
    // Orientation 6, in an EXIF of one entry.
    let turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let rows = deflated(&[[0].as_slice(), &[9; 9]].concat().repeat(2));
    let chunks = [(b"eXIf", turned.to_vec()), (b"IDAT", rows)];
    let whole = png_with([8, 2, 0, 0, 0], (3, 2), &chunks);
    let damaged = with_wrong_checksum(whole.clone(), *b"eXIf");
    for (source, size) in [(whole, (2, 3)), (damaged, (3, 2))] {
        let result = treated(&source, Format::Png, &plain()).unwrap();
        let probe = probe::probe(&result, &mut Vec::new()).unwrap();
        assert_eq!((probe.width, probe.height), size);
    }
    // Of pictures with alpha it says nothing.
    let chunks = [(b"tRNS", vec![1]), (b"IDAT", deflated(&[0, 1, 2, 3, 4]))];
    let png = with_wrong_checksum(png_with([8, 6, 0, 0, 0], (1, 1), &chunks), *b"tRNS");
    let mut scratch = Scratch::new().unwrap();
    let treated = treat(&png, Format::Png, &plain(), &mut scratch, &mut |_| ()).unwrap();
    assert_eq!(treated.warning, None);
}

#[test]
fn transparency_with_a_wrong_checksum_is_left_out_with_a_warning() {
    let chunks = [
        (b"tRNS", vec![0, 1, 0, 2, 0, 3]),
        (b"IDAT", deflated(&[0, 1, 2, 3])),
    ];
    let whole = png_with([8, 2, 0, 0, 0], (1, 1), &chunks);
    let mut scratch = Scratch::new().unwrap();
    let damaged = with_wrong_checksum(whole.clone(), *b"tRNS");
    assert!(
        open_rgba(&damaged, 10_000).is_err(),
        "as a mark it would be opaque"
    );
    for (source, alpha, warning) in [
        (whole.clone(), 0, None),
        (
            damaged.clone(),
            255,
            Some("chunk tRNS has a wrong checksum"),
        ),
        // Damaged samples do not make damaged transparency credible.
        (
            with_wrong_checksum(damaged, *b"IDAT"),
            255,
            Some(Damage::Data.text()),
        ),
    ] {
        let treated = treat(&source, Format::Png, &plain(), &mut scratch, &mut |_| ()).unwrap();
        assert_eq!(treated.warning.as_deref(), warning);
        assert_eq!(pixels(treated.bytes)[3], alpha);
    }
}

/// As ImageMagick writes profiles that libpng does not take, and `convert` those of its MIFF.
#[test]
fn a_colour_profile_in_a_text_counts_where_no_chunk_tells_the_colours() {
    let adobe = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
    let text = |name| (b"zTXt", chunks::text::encoded(name, &adobe).unwrap());
    let data = (
        b"IDAT",
        deflated(&[[0].as_slice(), &[9; 180]].concat().repeat(50)),
    );
    let gamma = (b"gAMA", 100_000u32.to_be_bytes().to_vec());
    for (chunks, counts) in [
        (vec![text("icc"), data.clone()], true),
        (vec![text("icm"), data.clone()], true),
        (vec![gamma, text("icc"), data.clone()], true),
        (vec![(b"sRGB", vec![0]), text("icc"), data.clone()], false),
        (
            vec![(b"cICP", vec![1, 13, 0, 1]), text("icc"), data.clone()],
            false,
        ),
        // The colours of a PNG stand in front of its samples.
        (vec![data.clone(), text("icc")], false),
        (vec![text("exif"), data], false),
    ] {
        let source = png_with([8, 2, 0, 0, 0], (60, 50), &chunks);
        for metadata in [Metadata::Keep, Metadata::Strip] {
            let recipe = Recipe {
                metadata,
                ..recipe()
            };
            let mut icc = Vec::new();
            let result = treated(&source, Format::Jpeg, &recipe).unwrap();
            probe::probe(&result, &mut icc).unwrap();
            assert_eq!(icc == adobe, counts, "{} chunks", chunks.len());
            let damaged = with_wrong_checksum(source.clone(), *b"zTXt");
            let result = treated(&damaged, Format::Jpeg, &recipe).unwrap();
            probe::probe(&result, &mut icc).unwrap();
            assert!(icc != adobe, "a damaged text says nothing");
            let result = treated(&source, Format::Png, &recipe).unwrap();
            let mut written = super::chunks::all(&result).map(|(kind, _)| *kind);
            assert_eq!(written.any(|kind| kind == *b"iCCP"), counts);
            assert!(super::chunks::all(&result).all(|(kind, _)| kind != b"zTXt"));
        }
    }
}

/// Pillow alone turns by XMP; browsers and libvips show the picture as it is stored. So does the
/// output, and what is kept of the packet says so to those who look there.
#[test]
fn an_orientation_in_xmp_alone_turns_nothing_and_is_reset() {
    let packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation=\"6\"/></rdf:RDF></x:xmpmeta>";
    let body = [&b"http://ns.adobe.com/xap/1.0/\0"[..], packet].concat();
    let mut source = jpeg(60, 50, turbojpeg::Subsamp::Sub2x2);
    let mut segment = vec![0xff, 0xe1];
    segment.extend(u16::try_from(2 + body.len()).unwrap().to_be_bytes());
    segment.extend(&body);
    source.splice(2..2, segment);
    let text = [&b"XML:com.adobe.xmp\0\0\0\0\0"[..], packet].concat();
    let row = [[0].as_slice(), &[9; 180]].concat();
    let chunks = [(b"iTXt", text), (b"IDAT", deflated(&row.repeat(50)))];
    let png = png_with([8, 2, 0, 0, 0], (60, 50), &chunks);
    for source in [source, png] {
        for wanted in [Format::Jpeg, Format::Png] {
            let recipe = Recipe {
                metadata: Metadata::Keep,
                ..plain()
            };
            let result = treated(&source, wanted, &recipe).unwrap();
            let found = probe::probe(&result, &mut Vec::new()).unwrap();
            assert_eq!((found.width, found.height, found.orientation), (48, 40, 1));
            assert!(memchr::memmem::find(&result, b"tiff:Orientation=\"1\"").is_some());
        }
    }
}

fn within(limit: Duration, what: &str, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    let taken = start.elapsed();
    assert!(taken < limit, "{what} took {taken:?}");
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_png_of_a_few_bytes_is_not_a_hundred_megapixels() {
    let source = png_with(
        [8, 6, 0, 0, 0],
        (10_000, 10_000),
        &[(b"IDAT", deflated(&[0; 64]))],
    );
    let recipe = Recipe {
        max_pixels: 100_000_000,
        ..recipe()
    };
    let error = treated(&source, Format::Jpeg, &recipe).unwrap_err();
    assert!(
        error.to_string().contains("less data than the picture"),
        "{error}"
    );
}

#[test]
fn headers_that_promise_too_much_are_refused_before_anything_is_allocated() {
    let mut huge = jpeg(16, 16, turbojpeg::Subsamp::Sub2x2);
    let sof = memchr::memmem::find(&huge, b"\xff\xc0").unwrap();
    huge[sof + 5..sof + 9].fill(0xff);
    let idat = [(b"IDAT", deflated(&[0; 64]))];
    for source in [
        huge,
        png_with([16, 6, 0, 0, 0], (i32::MAX as u32, i32::MAX as u32), &idat),
        png_with([8, 2, 0, 0, 0], (100_001, 1), &idat),
    ] {
        let error = treated(&source, Format::Jpeg, &recipe()).unwrap_err();
        assert!(
            error.to_string().contains("above max_pixels 100000"),
            "{error}"
        );
    }
}

#[test]
fn inflated_bombs_end_early() {
    let bomb = deflated(&vec![0; 200 << 20]);
    for (kind, head) in [
        (b"iCCP", &b"profile\0\0"[..]),
        (b"zTXt", b"Author\0\0"),
        (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0"),
        (b"IDAT", b""),
    ] {
        let body = [head, &bomb].concat();
        let picture = (b"IDAT", deflated(&[0, 1, 2, 3]));
        let source = png_with([8, 2, 0, 0, 0], (1, 1), &[(kind, body), picture]);
        within(SOON, "a bomb", || {
            // Whether it is refused or its text left out, the result is no bomb.
            if let Ok(result) = treated(&source, Format::Jpeg, &recipe()) {
                assert!(result.len() < 10_000);
            }
        });
    }
}

#[test]
fn endless_scans_are_refused() {
    // Everything from the last scan on, again and again.
    let last = memchr::memmem::rfind(PROGRESSIVE, b"\xff\xda").unwrap();
    let (start, scan) = PROGRESSIVE.split_at(last);
    let scan = &scan[..scan.len() - 2];
    let bomb = |scans| [start, &scan.repeat(scans), b"\xff\xd9"].concat();
    within(SOON, "many scans", || {
        let error = treated(&bomb(5000), Format::Jpeg, &recipe()).unwrap_err();
        assert!(matches!(error, PictureError::Bad { .. }), "{error}");
        assert!(error.to_string().contains("scans"), "{error}");
    });
    assert!(treated(&bomb(1), Format::Jpeg, &recipe()).is_ok());
}

#[test]
fn a_hostile_profile_costs_nothing_but_itself() {
    let adobe = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
    let plain = jpeg(40, 40, turbojpeg::Subsamp::Sub2x2);
    for at in (0..adobe.len()).step_by(3) {
        let mut icc = adobe.clone();
        icc[at] = !icc[at];
        treated(&with_profile(&plain, &icc), Format::Jpeg, &recipe()).unwrap();
    }
}

#[test]
fn a_bad_picture_does_not_spoil_the_next() {
    let good = jpeg(131, 97, turbojpeg::Subsamp::Sub2x2);
    let expected = treated(&good, Format::Jpeg, &recipe()).unwrap();
    let mut scratch = Scratch::new().unwrap();
    let start = memchr::memmem::find(&good, b"\xff\xdb").unwrap();
    // Every byte of tables and headers wrong in turn.
    for at in start..memchr::memmem::find(&good, b"\xff\xda").unwrap() {
        let mut bad = good.clone();
        bad[at] = !bad[at];
        drop(treat(
            &bad,
            Format::Jpeg,
            &recipe(),
            &mut scratch,
            &mut |_| (),
        ));
        let next = treat(&good, Format::Jpeg, &recipe(), &mut scratch, &mut |_| ()).unwrap();
        assert!(next.bytes == expected, "after byte {at} was wrong");
    }
}

/// The picture in libjpeg's eighths seldom ends with a whole sample: packed pixels end where planes do.
#[test]
fn packed_pixels_are_no_wider_than_planes() {
    let (width, height) = (605, 806);
    let wave = |x: usize, y: usize| {
        let [x, y] = [x, y].map(|side| f64::from(u32::try_from(side).unwrap()));
        let wave = (x * 0.8).sin() * (y * 0.7).cos() * 60.0;
        let slope = (x / 10.0 + y / 13.0).rem_euclid(60.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "30..=220"
        )]
        let sample = (90.0 + wave + slope) as u8;
        sample
    };
    let grey = (0..width * height).map(|at| wave(at % width, at / width));
    let rgb: Vec<u8> = grey.flat_map(|sample| [sample; 3]).collect();
    let inks: Vec<u8> = rgb
        .chunks_exact(3)
        .flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255])
        .collect();
    let planar = turbojpeg::Image {
        pixels: &rgb[..],
        width,
        pitch: width * 3,
        height,
        format: turbojpeg::PixelFormat::RGB,
    };
    let planar = turbojpeg::compress(planar, 85, turbojpeg::Subsamp::None).unwrap();
    let mut whole = Vec::new();
    let sides = [width, height].map(|side| u32::try_from(side).unwrap());
    let mut encoder = png::Encoder::new(&mut whole, sides[0], sides[1]);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&rgb)
        .unwrap();
    let recipe = Recipe {
        size: Size::Height(480),
        quality: 100,
        max_pixels: 1_000_000,
        ..plain()
    };
    let made = |source: &[u8]| {
        let result = treated(source, Format::Png, &recipe).unwrap();
        open_rgba(&result, 1_000_000).unwrap().rgba
    };
    // Scaled at full size.
    let expected = made(&whole);
    let decibels = |source: &[u8]| {
        let found = made(source);
        let pairs = found.iter().zip(&expected);
        let squares = pairs.map(|(one, other)| f64::from(one.abs_diff(*other)).powi(2));
        let mean = squares.sum::<f64>() / f64::from(u32::try_from(expected.len()).unwrap());
        10.0 * (255.0_f64.powi(2) / mean.max(1e-9)).log10()
    };
    let (planar, packed) = (decibels(&planar), decibels(&cmyk_of(width, height, &inks)));
    assert!(
        packed > planar - 1.0,
        "{packed:.1} dB, {planar:.1} dB planar"
    );
}

#[test]
fn a_decoder_that_gives_up_after_a_warning_has_made_no_picture() {
    // The first scan lacks bytes, and behind it stands a segment of a length that it cannot have.
    let scan = memchr::memmem::find(PROGRESSIVE, b"\xff\xda").unwrap();
    let second = scan + 2 + memchr::memmem::find(&PROGRESSIVE[scan + 2..], b"\xff\xda").unwrap();
    let tables = memchr::memmem::find(&PROGRESSIVE[scan..second], b"\xff\xc4");
    let end = tables.map_or(second, |at| scan + at);
    let source = [
        &PROGRESSIVE[..end - 100],
        b"\xff\xdd\0\x05abc",
        &PROGRESSIVE[end..],
    ]
    .concat();
    let error = treated(&source, Format::Jpeg, &recipe()).unwrap_err();
    assert!(matches!(error, PictureError::Bad { .. }), "{error}");
}
