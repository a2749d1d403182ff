//! What goes along with a picture besides its colours: collected from the source, mended or cut
//! down, and written in the form of either format. EXIF, XMP, IPTC and the resolution.
//!
//! Blocks are handled as bytes: each kind is a few tags or properties, and a source's structure is
//! hostile until shown otherwise. The colour profile is not metadata, it is what the samples mean.

mod iptc;
mod lost;
mod mend;
mod packet;
mod texts;
mod xmp;

use png::chunk::{self, ChunkType};

use super::bytes::times;
use super::exif::{self, Rights};
use super::head::{Coding, Head};
use super::markers::{self, APP0, APP1, APP13, COM};
use super::preview;
use super::probe::{self, Probe};
use super::recipe::{Format, Metadata};
use mend::Change;
use packet::SIGNATURE as XMP;
use texts::Told;

pub use lost::Lost;

const EXIF: &[u8] = b"Exif\0\0";
const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0";

/// Bytes that the body of a JPEG segment can have.
const SEGMENT: usize = 65_533;

/// Bytes of a PNG's EXIF, of its XMP, and of its texts together: what is longer is left out. They may
/// stand behind the samples, where no header tells of them.
const LONGEST: usize = texts::LONGEST;

/// Metadata of one picture, ready to be written; kept from picture to picture for its buffers.
#[derive(Debug, Default)]
pub struct Blocks {
    /// A TIFF block.
    exif: Vec<u8>,
    /// A packet.
    xmp: Vec<u8>,
    /// Photoshop's image resources.
    resources: Vec<u8>,
    /// PNG's text chunks: length, type and body of each.
    texts: Vec<u8>,
    /// JPEG's comments: length and body of each.
    comments: Vec<u8>,
    /// Pixels per unit as JFIF has them: unit, x, y.
    pub density: Option<[u8; 5]>,
    /// The same as pHYs has them.
    physical: Option<[u8; 9]>,
    /// What is not written under any policy.
    pub lost: Lost,
    /// Room for resources in several segments.
    joined: Vec<u8>,
}

impl Blocks {
    /// Bytes that are held from one picture to the next.
    pub fn kept(&self) -> usize {
        let buffers = [
            &self.exif,
            &self.xmp,
            &self.resources,
            &self.texts,
            &self.comments,
            &self.joined,
        ];
        buffers.into_iter().map(Vec::capacity).sum()
    }
}

/// Bytes that metadata take while they are collected, mended and written: told by the header of a
/// file of `length` bytes.
pub fn need(head: &Head, length: u64) -> u64 {
    let around = match head.coding {
        // A PNG's may stand behind its samples.
        Coding::Png(_) => head.around.max(length.min(3 * LONGEST as u64)),
        Coding::Jpeg(_) => head.around,
    };
    times(around, 3)
}

/// Collects what `policy` keeps for a written picture of `size`. What is damaged is left out: a
/// picture does not fail for its metadata.
pub fn collect(
    bytes: &[u8],
    source: &Probe,
    policy: Metadata,
    size: (u32, u32),
    blocks: &mut Blocks,
) {
    for buffer in [
        &mut blocks.exif,
        &mut blocks.xmp,
        &mut blocks.resources,
        &mut blocks.texts,
        &mut blocks.comments,
        &mut blocks.joined,
    ] {
        buffer.clear();
    }
    (blocks.density, blocks.physical) = (None, None);
    blocks.lost = match source.format {
        Format::Jpeg => lost::lost(bytes),
        Format::Png => Lost::default(),
    };
    let kept = match policy {
        Metadata::Strip => return,
        Metadata::Copyright => Kept::Rights,
        Metadata::Keep => Kept::All(Change {
            // The first four orientations leave the sides as they are.
            from: match source.orientation {
                ..=4 => (source.width, source.height),
                _ => (source.height, source.width),
            },
            to: size,
            turned: source.orientation != 1,
        }),
    };
    match source.format {
        Format::Jpeg => from_jpeg(bytes, kept, blocks),
        Format::Png => from_png(bytes, kept, blocks),
    }
}

/// What of a picture's metadata is kept, if any.
#[derive(Clone, Copy)]
enum Kept {
    Rights,
    All(Change),
}

impl Kept {
    fn all(self) -> bool {
        matches!(self, Self::All(_))
    }
}

fn from_jpeg(bytes: &[u8], kept: Kept, blocks: &mut Blocks) {
    let mut tiff: &[u8] = &[];
    for (marker, body) in markers::before_scan(bytes) {
        if let (APP1, Some(block)) = (marker, markers::exif(body)) {
            // The first counts, as for the orientation.
            tiff = if tiff.is_empty() { block } else { tiff };
        } else if let (APP1, Some(packet)) = (marker, body.strip_prefix(XMP)) {
            if blocks.xmp.is_empty() {
                keep_xmp(packet, kept, &mut blocks.xmp);
            }
        } else if let (APP13, Some(part)) = (marker, body.strip_prefix(iptc::SIGNATURE)) {
            // A resource may go on in the next segment.
            blocks.joined.extend_from_slice(part);
        } else if marker == COM && kept.all() && !preview::within(body) {
            blocks.comment(body);
            if let Some((kind, body)) = texts::comment(body) {
                blocks.text(kind.0, &body);
            }
        } else if let (APP0, Some([_, _, unit @ 1..=2, x1, x0, y1, y0, ..])) =
            (marker, body.strip_prefix(b"JFIF\0"))
        {
            blocks.density = Some([*unit, *x1, *x0, *y1, *y0]).filter(|d| d[1..3] != [0, 0]);
        }
    }
    keep_resources(&blocks.joined, kept, &mut blocks.resources);
    let rights = exif::rights(tiff);
    keep_exif(tiff, &rights, kept, &mut blocks.exif);
    let by_exif = rights.resolution.map(|found| {
        let ratio = |(above, below)| f64::from(above) / f64::from(below);
        let metre = if found.unit == 3 { 100.0 } else { INCHES };
        (ratio(found.x) * metre, ratio(found.y) * metre)
    });
    let by_jfif = blocks.density.map(|[unit, x1, x0, y1, y0]| {
        let dots = |high, low| f64::from(u16::from_be_bytes([high, low]));
        let metre = if unit == 2 { 100.0 } else { INCHES };
        (dots(x1, x0) * metre, dots(y1, y0) * metre)
    });
    blocks.density = blocks.density.or(by_exif.and_then(density));
    blocks.physical = by_jfif.or(by_exif).map(physical);
}

fn from_png(bytes: &[u8], kept: Kept, blocks: &mut Blocks) {
    let mut tiff: &[u8] = &[];
    let mut told = Told::default();
    for (kind, body) in probe::chunks(bytes) {
        match kind {
            b"eXIf" if body.len() <= LONGEST => tiff = body,
            b"pHYs" => {
                blocks.physical = body.try_into().ok();
                if let &[x3, x2, x1, x0, y3, y2, y1, y0, 1] = body {
                    let dots = |bytes| f64::from(u32::from_be_bytes(bytes));
                    blocks.density = density((dots([x3, x2, x1, x0]), dots([y3, y2, y1, y0])));
                }
            }
            b"iTXt" if body.starts_with(PNG_XMP) && body.len() <= LONGEST => {
                if let Some(packet) = texts::international(&body[PNG_XMP.len()..]) {
                    blocks.xmp.clear();
                    keep_xmp(&packet, kept, &mut blocks.xmp);
                }
            }
            b"tEXt" | b"zTXt" | b"iTXt"
                if blocks.texts.len() + body.len() <= LONGEST
                    && told.take(*kind, body, kept.all()) =>
            {
                blocks.text(*kind, body);
            }
            _ => {}
        }
    }
    // What has a chunk of its own counts for more.
    let tiff = if tiff.is_empty() { &told.exif } else { tiff };
    if blocks.xmp.is_empty() {
        keep_xmp(&told.xmp, kept, &mut blocks.xmp);
    }
    keep_resources(&told.resources, kept, &mut blocks.resources);
    if !told.comment.is_empty() {
        blocks.comment(&told.comment);
    }
    let mut rights = exif::rights(tiff);
    for (found, text) in [
        (&mut rights.artist, &told.author),
        (&mut rights.copyright, &told.copyright),
    ] {
        if found.is_empty() {
            *found = text;
        }
    }
    keep_exif(tiff, &rights, kept, &mut blocks.exif);
}

fn keep_resources(resources: &[u8], kept: Kept, out: &mut Vec<u8>) {
    match kept {
        Kept::All(_) => iptc::keep(resources, out),
        Kept::Rights => iptc::keep_rights(resources, out),
    }
}

fn keep_exif(tiff: &[u8], rights: &Rights<'_>, kept: Kept, out: &mut Vec<u8>) {
    if let Kept::All(change) = kept
        && !tiff.is_empty()
    {
        out.extend_from_slice(tiff);
        if exif::mend(out, change.to) {
            return;
        }
        out.clear();
    }
    exif::write(rights, out);
}

fn keep_xmp(packet: &[u8], kept: Kept, out: &mut Vec<u8>) {
    match kept {
        Kept::All(change) => mend::keep(packet, change, out),
        Kept::Rights => xmp::keep_rights(packet, out),
    }
}

/// A metre in inches.
const INCHES: f64 = 1.0 / 0.0254;

/// Pixels per metre in JFIF's words: per inch, since whole numbers are what is meant there.
fn density((x, y): (f64, f64)) -> Option<[u8; 5]> {
    let side = |metre: f64| u16::try_from(whole(metre / INCHES)).ok().filter(|&s| s > 0);
    let ([x1, x0], [y1, y0]) = (side(x)?.to_be_bytes(), side(y)?.to_be_bytes());
    Some([1, x1, x0, y1, y0])
}

fn physical((x, y): (f64, f64)) -> [u8; 9] {
    let ([x3, x2, x1, x0], [y3, y2, y1, y0]) = (whole(x).to_be_bytes(), whole(y).to_be_bytes());
    [x3, x2, x1, x0, y3, y2, y1, y0, 1]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which is what is wanted"
)]
fn whole(value: f64) -> u32 {
    value.round() as u32
}

impl Blocks {
    fn text(&mut self, kind: [u8; 4], body: &[u8]) {
        if let Ok(length) = u32::try_from(body.len()) {
            self.texts.extend(length.to_be_bytes());
            self.texts.extend(kind);
            self.texts.extend(body);
        }
    }

    /// Takes a comment, unless no segment is long enough for it.
    fn comment(&mut self, text: &[u8]) {
        if let Some(length) = u16::try_from(text.len())
            .ok()
            .filter(|&l| usize::from(l) <= SEGMENT)
        {
            self.comments.extend(length.to_be_bytes());
            self.comments.extend(text);
        }
    }

    /// Appends the segments of a JPEG. What does not fit into a segment is left out, which can only
    /// happen to what came from a PNG.
    pub fn segments(&self, out: &mut Vec<u8>) {
        for (head, block) in [(EXIF, &self.exif), (XMP, &self.xmp)] {
            if !block.is_empty() && head.len() + block.len() <= SEGMENT {
                markers::write(APP1, head, block, out);
            }
        }
        for part in self.resources.chunks(SEGMENT - iptc::SIGNATURE.len()) {
            markers::write(APP13, iptc::SIGNATURE, part, out);
        }
        let mut rest = &self.comments[..];
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((text, after)) = after.split_at_checked(length) else {
                break;
            };
            markers::write(COM, &[], text, out);
            rest = after;
        }
    }

    /// Hands out the chunks of a PNG. IPTC has no chunk there, but a text that most programs read.
    pub fn chunks<E>(
        &self,
        mut write: impl FnMut(ChunkType, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(physical) = &self.physical {
            write(chunk::pHYs, physical)?;
        }
        if !self.exif.is_empty() {
            write(chunk::eXIf, &self.exif)?;
        }
        if !self.xmp.is_empty() {
            // Not compressed, no language, no translated keyword.
            write(chunk::iTXt, &[PNG_XMP, &[0; 4], &self.xmp].concat())?;
        }
        if !self.resources.is_empty()
            && let Some(body) = texts::encoded("iptc", &self.resources)
        {
            write(chunk::zTXt, &body)?;
        }
        let mut rest = &self.texts[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(0);
            let Some((kind, after)) = after.split_first_chunk::<4>() else {
                break;
            };
            let Some((body, after)) = after.split_at_checked(length) else {
                break;
            };
            write(ChunkType(*kind), body)?;
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
        let resources =
            b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x50\0\x03Ann8BIM\x04\x0c\0\0\0\0\0\x02TH";
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
            bytes.extend(b"CRC!");
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
        .map(|(name, profile)| texts::encoded(name, &profile).unwrap());
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
        let mut zlib =
            flate2::write::ZlibEncoder::new(&mut compressed, flate2::Compression::default());
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
        let mut zlib =
            flate2::write::ZlibEncoder::new(&mut compressed, flate2::Compression::best());
        std::io::Write::write_all(&mut zlib, &vec![b' '; 40 << 20]).unwrap();
        zlib.finish().unwrap();
        let mut blocks = Blocks::default();
        let bytes = png(&[(b"iTXt", &compressed)]);
        for policy in [Metadata::Keep, Metadata::Copyright] {
            collect(&bytes, &of(Format::Png), policy, (9, 9), &mut blocks);
            assert!(blocks.xmp.is_empty());
        }
    }
}
