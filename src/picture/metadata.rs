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
use super::chunks::{self, text};
use super::exif::{self, Change, Resolution, Rights};
use super::head::{Coding, Head};
use super::markers::{self, APP0, APP1, APP13, COM};
use super::preview;
use super::probe::Probe;
use super::recipe::{Format, Metadata};
use super::riff;
use packet::SIGNATURE as XMP;
use texts::Told;

pub use lost::Lost;

const EXIF: &[u8] = b"Exif\0\0";
const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0";

/// Bytes that the body of a JPEG segment can have.
const SEGMENT: usize = 65_533;

/// Bytes of a PNG's EXIF, of its XMP, and of its texts together: what is longer is left out. They may
/// stand behind the samples, where no header tells of them.
const LONGEST: usize = text::LONGEST;

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
        Coding::Jpeg(_) | Coding::WebP(_) => head.around,
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
        Format::Png | Format::WebP => Lost::default(),
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
            exchanged: source.orientation > 4,
        }),
    };
    match source.format {
        Format::Jpeg => from_jpeg(bytes, kept, blocks),
        Format::Png => from_png(bytes, kept, blocks),
        Format::WebP => from_webp(bytes, kept, blocks),
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
    let by_exif = rights.resolution.map(per_metre);
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
    for (kind, body) in chunks::all(bytes) {
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
                if let Some(packet) = text::international(&body[PNG_XMP.len()..]) {
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

fn from_webp(bytes: &[u8], kept: Kept, blocks: &mut Blocks) {
    let mut tiff: &[u8] = &[];
    for (kind, body) in riff::Walk::new(bytes) {
        let body = bytes.get(body).unwrap_or_default();
        match kind {
            b"EXIF" if tiff.is_empty() => tiff = riff::tiff(body),
            b"XMP " if blocks.xmp.is_empty() => keep_xmp(body, kept, &mut blocks.xmp),
            _ => {}
        }
    }
    let rights = exif::rights(tiff);
    keep_exif(tiff, &rights, kept, &mut blocks.exif);
    let resolution = rights.resolution.map(per_metre);
    blocks.density = resolution.and_then(density);
    blocks.physical = resolution.map(physical);
}

/// Pixels per metre.
fn per_metre(found: Resolution) -> (f64, f64) {
    let ratio = |(above, below)| f64::from(above) / f64::from(below);
    let metre = if found.unit == 3 { 100.0 } else { INCHES };
    (ratio(found.x) * metre, ratio(found.y) * metre)
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
        if exif::mend(out, change) {
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

    /// EXIF and XMP of a WebP, which has no place for anything else; the profile is not metadata.
    pub fn along<'a>(&'a self, icc: &'a [u8]) -> riff::Along<'a> {
        riff::Along {
            icc,
            exif: &self.exif,
            xmp: &self.xmp,
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
            && let Some(body) = text::encoded("iptc", &self.resources)
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
mod tests;
