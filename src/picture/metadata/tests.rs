//! Whole pictures in, whole blocks out: each form of metadata under each policy.

use super::*;

fn of(format: Format) -> Probe {
    Probe {
        width: 9,
        height: 9,
        ..Probe::new(format)
    }
}

const PACKET: &[u8] = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:creator>Ann</dc:creator><dc:subject>Rome</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>";

/// A JPEG's segments up to its scan: JFIF at 300 per inch, EXIF, XMP, IPTC.
fn jpeg() -> Vec<u8> {
    let mut bytes = b"\xff\xd8".to_vec();
    markers::write(
        0xe0,
        b"JFIF\0\x01\x02",
        b"\x01\x01\x2c\x01\x2c\0\0",
        &mut bytes,
    );
    let mut tiff = Vec::new();
    let rights = Rights {
        artist: b"Ann",
        copyright: b"Ann's",
        ..Rights::default()
    };
    exif::write(&rights, &mut tiff);
    markers::write(0xe1, EXIF, &tiff, &mut bytes);
    markers::write(0xe1, XMP, PACKET, &mut bytes);
    let resources = b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x50\0\x03Ann8BIM\x04\x0c\0\0\0\0\0\x02TH";
    markers::write(APP13, iptc::SIGNATURE, &resources[..9], &mut bytes);
    markers::write(APP13, iptc::SIGNATURE, &resources[9..], &mut bytes);
    bytes.extend(b"\xff\xda\0\x02");
    bytes
}

fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in chunks.iter().chain(&[(b"IEND", &b""[..])]) {
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(*kind);
        bytes.extend(*body);
        let mut checksum = flate2::Crc::new();
        checksum.update(*kind);
        checksum.update(body);
        bytes.extend(checksum.sum().to_be_bytes());
    }
    bytes
}

fn written_as_png(blocks: &Blocks) -> Vec<([u8; 4], Vec<u8>)> {
    let mut chunks = Vec::new();
    blocks
        .chunks(|kind, body| {
            chunks.push((kind.0, body.to_vec()));
            Ok::<_, ()>(())
        })
        .unwrap();
    chunks
}

#[test]
fn the_rights_of_a_jpeg_survive_twice() {
    let mut blocks = Blocks::default();
    collect(
        &jpeg(),
        &of(Format::Jpeg),
        Metadata::Copyright,
        (9, 9),
        &mut blocks,
    );
    assert_eq!(blocks.density, Some([1, 1, 44, 1, 44]));
    let mut again = b"\xff\xd8".to_vec();
    blocks.segments(&mut again);
    again.extend(b"\xff\xda\0\x02");
    for part in [
        &b"Ann's\0"[..],
        b"<dc:creator>Ann<",
        b"\x1c\x02\x50\0\x03Ann",
    ] {
        assert!(memchr::memmem::find(&again, part).is_some(), "{part:?}");
    }
    assert!(memchr::memmem::find(&again, b"Rome").is_none());
    let mut second = Blocks::default();
    collect(
        &again,
        &of(Format::Jpeg),
        Metadata::Copyright,
        (9, 9),
        &mut second,
    );
    assert_eq!(
        (&blocks.exif, &blocks.xmp, &blocks.resources),
        (&second.exif, &second.xmp, &second.resources)
    );
}

#[test]
fn what_is_too_long_is_left_out_of_a_png() {
    let half = |name: &[u8]| [name, &vec![b'x'; LONGEST / 2]].concat();
    let mut packet = PNG_XMP.to_vec();
    packet.extend([0; 4]);
    packet.extend(vec![b' '; LONGEST]);
    let bytes = png(&[
        (b"IDAT", b""),
        (b"tEXt", &half(b"First\0")),
        (b"tEXt", &half(b"Second\0")),
        (
            b"eXIf",
            &[b"II*\0\x08\0\0\0\0\0", &vec![0; LONGEST][..]].concat(),
        ),
        (b"iTXt", &packet),
    ]);
    let mut blocks = Blocks::default();
    collect(
        &bytes,
        &of(Format::Png),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    let chunks = written_as_png(&blocks);
    assert_eq!(chunks.len(), 1);
    assert!(chunks[0].1.starts_with(b"First\0"));
}

/// Every place that is known to hold one, each with a picture of its own.
#[test]
fn no_picture_of_the_unmarked_one_stays() {
    let hidden = crate::picture::tests::jpeg(16, 16, turbojpeg::Subsamp::Gray);
    let letters = "/9j/4AAQSkZJRgABAQEASABI".repeat(9);
    let mut bytes = b"\xff\xd8".to_vec();
    markers::write(APP0, b"JFXX\0\x10", &hidden, &mut bytes);
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    tiff.extend(&hidden);
    tiff.extend(b"maker note");
    markers::write(APP1, EXIF, &tiff, &mut bytes);
    let from = "http://purl.org/dc/elements/1.1/'>";
    let depth = "xmlns:d='http://ns.google.com/photos/1.0/depthmap/' d:Data='";
    let packet = String::from_utf8(PACKET.to_vec()).unwrap();
    let packet = packet.replace(
        from,
        &format!("{} {depth}{letters}'>", &from[..from.len() - 1]),
    );
    markers::write(APP1, XMP, packet.as_bytes(), &mut bytes);
    let extension = b"http://ns.adobe.com/xmp/extension/\0";
    markers::write(APP1, extension, letters.as_bytes(), &mut bytes);
    markers::write(APP1, b"FLIR\0\x01\0\0", &hidden, &mut bytes);
    markers::write(0xe2, b"MPF\0", &tiff, &mut bytes);
    markers::write(0xe2, b"FPXR\0", &hidden, &mut bytes);
    let mut resources = b"8BIM\x04\x0c\0\0".to_vec();
    resources.extend(u32::try_from(hidden.len()).unwrap().to_be_bytes());
    resources.extend(&hidden);
    markers::write(APP13, iptc::SIGNATURE, &resources, &mut bytes);
    bytes.extend(b"\xff\xda\0\x02");
    let mut blocks = Blocks::default();
    collect(
        &bytes,
        &of(Format::Jpeg),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    let mut segments = Vec::new();
    blocks.segments(&mut segments);
    assert!(!preview::within(&segments));
    for kept in [&b"maker note"[..], b"Rome"] {
        assert!(memchr::memmem::find(&segments, kept).is_some());
    }
    let text = [b"Thumbnail\0", letters.as_bytes()].concat();
    let bytes = png(&[(b"tEXt", &text), (b"eXIf", &tiff)]);
    collect(
        &bytes,
        &of(Format::Png),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    let chunks = written_as_png(&blocks);
    assert_eq!(chunks.len(), 1);
    assert!(!preview::within(&chunks[0].1));
}

/// As ImageMagick and Exiv2 write them.
#[test]
fn profiles_in_texts_count_as_a_jpegs_blocks() {
    let mut tiff = Vec::new();
    let rights = Rights {
        artist: b"Ann",
        ..Rights::default()
    };
    exif::write(&rights, &mut tiff);
    let iim = b"\x1c\x02\x50\0\x03Ann\x1c\x02\x5a\0\x04Rome";
    let chunks = [
        ("exif", [EXIF, &tiff].concat()),
        ("iptc", iim.to_vec()),
        ("xmp", PACKET.to_vec()),
    ]
    .map(|(name, profile)| super::text::encoded(name, &profile).unwrap());
    let bytes = png(&chunks.each_ref().map(|body| (b"zTXt", &body[..])));
    let mut blocks = Blocks::default();
    for policy in [Metadata::Copyright, Metadata::Keep] {
        collect(&bytes, &of(Format::Png), policy, (9, 9), &mut blocks);
        assert_eq!(blocks.exif, tiff);
        let all = policy == Metadata::Keep;
        for block in [&blocks.xmp, &blocks.resources] {
            let has = |part: &[u8]| memchr::memmem::find(block, part).is_some();
            assert_eq!((has(b"Ann"), has(b"Rome")), (true, all), "{policy:?}");
        }
        // And once more, out of what a PNG has become.
        let first = blocks.resources.clone();
        let chunks = written_as_png(&blocks);
        let chunks: Vec<_> = chunks
            .iter()
            .map(|(kind, body)| (kind, &body[..]))
            .collect();
        collect(&png(&chunks), &of(Format::Png), policy, (9, 9), &mut blocks);
        assert_eq!((&blocks.exif, &blocks.resources), (&tiff, &first));
    }
}

#[test]
fn comments_stay_under_keep_in_either_format() {
    let mut bytes = b"\xff\xd8".to_vec();
    markers::write(COM, b"", "K\u{f6}ln".as_bytes(), &mut bytes);
    markers::write(COM, b"", b"by Ann", &mut bytes);
    let hidden = crate::picture::tests::jpeg(16, 16, turbojpeg::Subsamp::Gray);
    markers::write(COM, b"", &hidden, &mut bytes);
    bytes.extend(b"\xff\xda\0\x02");
    let mut blocks = Blocks::default();
    collect(
        &bytes,
        &of(Format::Jpeg),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    let segments = b"\xff\xfe\0\x07K\xc3\xb6ln\xff\xfe\0\x08by Ann";
    let written = |blocks: &Blocks| {
        let mut out = Vec::new();
        blocks.segments(&mut out);
        out
    };
    assert_eq!(written(&blocks), segments);
    let chunks = written_as_png(&blocks);
    assert_eq!(chunks[1], (*b"tEXt", b"Comment\0by Ann".to_vec()));
    let chunks: Vec<_> = chunks
        .iter()
        .map(|(kind, body)| (kind, &body[..]))
        .collect();
    collect(
        &png(&chunks[..1]),
        &of(Format::Png),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    assert_eq!(written(&blocks), segments[..9]);
    collect(
        &bytes,
        &of(Format::Jpeg),
        Metadata::Copyright,
        (9, 9),
        &mut blocks,
    );
    assert!(written(&blocks).is_empty() && written_as_png(&blocks).is_empty());
}

#[test]
fn keep_takes_all_and_strip_nothing() {
    let mut blocks = Blocks::default();
    collect(
        &jpeg(),
        &of(Format::Jpeg),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    assert_eq!(blocks.xmp, PACKET);
    assert!(!blocks.resources.is_empty() && !blocks.exif.is_empty());
    assert!(memchr::memmem::find(&blocks.resources, b"TH").is_none());
    collect(
        &jpeg(),
        &of(Format::Jpeg),
        Metadata::Strip,
        (9, 9),
        &mut blocks,
    );
    let mut out = Vec::new();
    blocks.segments(&mut out);
    assert!(out.is_empty() && blocks.density.is_none() && written_as_png(&blocks).is_empty());
}

#[test]
fn a_pngs_texts_are_kept_and_become_exif_in_a_jpeg() {
    let physical = b"\0\0\x2e\x23\0\0\x2e\x23\x01";
    let mut compressed = PNG_XMP.to_vec();
    compressed.extend(b"\x01\0\0\0");
    let mut zlib = flate2::write::ZlibEncoder::new(&mut compressed, flate2::Compression::default());
    std::io::Write::write_all(&mut zlib, PACKET).unwrap();
    zlib.finish().unwrap();
    let bytes = png(&[
        (b"pHYs", physical),
        (b"tEXt", b"Copyright\0\xa9 Ann"),
        (b"tEXt", b"Comment\0in Rome"),
        (b"zTXt", b"Raw profile type exif\0\0x"),
        (b"iTXt", &compressed),
    ]);
    let mut blocks = Blocks::default();
    collect(
        &bytes,
        &of(Format::Png),
        Metadata::Copyright,
        (9, 9),
        &mut blocks,
    );
    assert_eq!(blocks.density, Some([1, 1, 44, 1, 44]));
    assert_eq!(exif::rights(&blocks.exif).copyright, "© Ann".as_bytes());
    let chunks = written_as_png(&blocks);
    let kinds: Vec<_> = chunks.iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [b"pHYs", b"eXIf", b"iTXt", b"tEXt"]);
    assert_eq!(chunks[0].1, physical);
    assert_eq!(chunks[3].1, b"Copyright\0\xa9 Ann");
    collect(
        &bytes,
        &of(Format::Png),
        Metadata::Keep,
        (9, 9),
        &mut blocks,
    );
    let texts = written_as_png(&blocks).split_off(3);
    assert_eq!(texts[1].1, b"Comment\0in Rome");
    assert_eq!(texts.len(), 2);
}

#[test]
fn a_bomb_in_a_text_is_left_out() {
    let mut compressed = PNG_XMP.to_vec();
    compressed.extend(b"\x01\0\0\0");
    let mut zlib = flate2::write::ZlibEncoder::new(&mut compressed, flate2::Compression::best());
    std::io::Write::write_all(&mut zlib, &vec![b' '; 40 << 20]).unwrap();
    zlib.finish().unwrap();
    let mut blocks = Blocks::default();
    let bytes = png(&[(b"iTXt", &compressed)]);
    for policy in [Metadata::Keep, Metadata::Copyright] {
        collect(&bytes, &of(Format::Png), policy, (9, 9), &mut blocks);
        assert!(blocks.xmp.is_empty());
    }
}
