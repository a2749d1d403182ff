//! What a file's beginning says of the picture, read by seeking from header to header: enough to
//! know what it will take before it is in memory. Whether the rest is there and sound is `probe`'s
//! to say; where they disagree, the decoder's own limits hold.

use std::io::{self, BufRead, Read, Seek};

use super::chunks::{self, text};
use super::exif;
use super::markers::{self, APP0, APP1, APP2, Frame, Process, SOS, Segment, array};
use super::probe::{Probe, sniff};
use super::recipe::Format;
use super::riff;

/// A picture's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub probe: Probe,
    pub coding: Coding,
    /// Bytes of metadata and profile before the samples, as stored.
    pub around: u64,
    /// Bytes of the profile, inflated if it is stored deflated: the most that it can be.
    pub profile: u64,
}

/// How the samples are coded, as far as it costs memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Jpeg(JpegCoding),
    Png(PngCoding),
    WebP(WebPCoding),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegCoding {
    /// 1..=4.
    pub components: usize,
    /// Sampling factors across and down, 1..=4; those beyond `components` mean nothing.
    pub factors: [(u8, u8); 4],
    /// Whether all coefficients are held before the first row comes out: progressive ones, and
    /// those whose components come in scans of their own.
    pub whole: bool,
    /// Coded without a DCT, so that nothing can be scaled while it is decoded.
    pub lossless: bool,
    /// Three components may be RGB: a JFIF segment says that they are not.
    pub may_be_rgb: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PngCoding {
    /// 1..=4 once palette and transparency are expanded.
    pub channels: u8,
    /// 16 bits.
    pub deep: bool,
    pub interlaced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebPCoding {
    pub alpha: bool,
}

/// The longest profile that a PNG may inflate.
pub const LONGEST_PROFILE: u64 = 16 << 20;

/// Bytes of the shortest keyword of a profile in a text.
const KEYWORD: usize = text::ICC.len();

/// Deflate makes at most 1032 bytes of one.
const DEFLATE: u64 = 1032;

/// Reads the header, from the start of the file. `None` where it is none, or breaks off: then there
/// will be no picture either.
pub fn read(source: &mut (impl BufRead + Seek)) -> io::Result<Option<Head>> {
    let found = match start(source) {
        Ok(Some(Format::Jpeg)) => jpeg(source),
        Ok(Some(Format::Png)) => png(source),
        Ok(Some(Format::WebP)) => webp(source),
        Ok(None) => Ok(None),
        Err(cause) => Err(cause),
    };
    match found {
        Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        found => found,
    }
}

/// Leaves the source behind the signature, of a JPEG behind SOI, of a WebP before it.
fn start(source: &mut (impl BufRead + Seek)) -> io::Result<Option<Format>> {
    let signature: [u8; riff::START] = array(source)?;
    let format = sniff(&signature);
    source.seek_relative(match format {
        // Just SOI: the third byte belongs to the next marker.
        Some(Format::Jpeg) => -10,
        Some(Format::Png) => -4,
        // The length is read again.
        Some(Format::WebP) => -12,
        None => 0,
    })?;
    Ok(format)
}

fn jpeg(source: &mut (impl BufRead + Seek)) -> io::Result<Option<Head>> {
    let mut probe = Probe::new(Format::Jpeg);
    let (mut around, mut profile) = (0, 0);
    let mut coding: Option<JpegCoding> = None;
    let (mut upright, mut jfif) = (false, false);
    let mut body = Vec::new();
    while let Some(Segment { marker, length }) = markers::next(source)? {
        let length = u64::from(length);
        let awaited = match marker {
            SOS => true,
            APP0 => !jfif,
            APP1 => !upright,
            _ => markers::process(marker).is_some() && coding.is_none(),
        };
        body.clear();
        if awaited {
            source.take(length).read_to_end(&mut body)?;
        } else {
            source.seek_relative(i64::try_from(length).unwrap_or(0))?;
        }
        match marker {
            SOS => {
                let (Some(mut coding), Some(&in_scan)) = (coding, body.first()) else {
                    return Ok(None);
                };
                coding.whole |= usize::from(in_scan) < coding.components;
                coding.may_be_rgb = !jfif;
                return Ok(Some(Head {
                    probe,
                    coding: Coding::Jpeg(coding),
                    around,
                    profile,
                }));
            }
            // As libjpeg takes one.
            APP0 => jfif |= length >= 14 && body.starts_with(b"JFIF\0"),
            APP1 => {
                if let Some(tiff) = markers::exif(&body) {
                    probe.orientation = exif::orientation(tiff);
                    upright = true;
                }
            }
            APP2 => profile += length,
            _ => {
                if let Some(frame) = Frame::of(marker, &body)
                    && let Some((size, found)) = frame.size().zip(coding_of(frame))
                {
                    (probe.width, probe.height) = size;
                    coding = Some(found);
                }
            }
        }
        around += length;
    }
    Ok(None)
}

fn coding_of(frame: Frame<'_>) -> Option<JpegCoding> {
    let components = usize::from(frame.components()?);
    let mut factors = [(1, 1); 4];
    let mut described = frame.factors();
    for factor in factors
        .get_mut(..components)
        .filter(|used| !used.is_empty())?
    {
        *factor = described.next()?;
        if !(1..=4).contains(&factor.0) || !(1..=4).contains(&factor.1) {
            return None;
        }
    }
    Some(JpegCoding {
        components,
        factors,
        whole: frame.process == Process::Progressive,
        lossless: frame.process == Process::Lossless,
        may_be_rgb: true,
    })
}

fn png(source: &mut (impl BufRead + Seek)) -> io::Result<Option<Head>> {
    let (mut around, mut profile) = (0, 0);
    let mut header = None;
    let mut transparent = false;
    loop {
        let chunks::Header { length, kind } = chunks::next(source)?;
        let length = u64::from(length);
        // With the checksum.
        let mut rest = length + 4;
        match &kind {
            b"IHDR" if length >= 13 && header.is_none() => {
                let sides = [array(source)?, array(source)?].map(u32::from_be_bytes);
                let [depth, colour, _, _, interlace] = array(source)?;
                rest -= 13;
                header = Some((sides, depth, colour, interlace));
            }
            b"tRNS" => transparent = true,
            b"iCCP" => profile += length.saturating_mul(DEFLATE).min(LONGEST_PROFILE),
            b"tEXt" | b"zTXt" | b"iTXt" if length >= KEYWORD as u64 => {
                let keyword: [u8; KEYWORD] = array(source)?;
                rest -= KEYWORD as u64;
                if keyword == *text::ICC {
                    // The digits, and half as many bytes.
                    let digits = length.saturating_mul(DEFLATE).min(text::LONGEST as u64);
                    profile += digits + digits / 2;
                }
            }
            b"IDAT" | b"IEND" => break,
            _ => {}
        }
        around += length;
        // A length that leads beyond the end is met by the next read.
        source.seek_relative(i64::try_from(rest).unwrap_or(i64::MAX))?;
    }
    let Some(([width, height], depth, colour, interlace)) = header else {
        return Ok(None);
    };
    let channels = match colour {
        0 => 1,
        4 => 2,
        6 => 4,
        _ => 3,
    };
    let added = transparent && matches!(colour, 0 | 2 | 3);
    let probe = Probe {
        width,
        height,
        ..Probe::new(Format::Png)
    };
    let coding = Coding::Png(PngCoding {
        channels: channels + u8::from(added),
        deep: depth == 16,
        interlaced: interlace != 0,
    });
    Ok(Some(Head {
        probe,
        coding,
        around,
        profile,
    }))
}

fn webp(source: &mut (impl BufRead + Seek)) -> io::Result<Option<Head>> {
    let start: [u8; riff::START] = array(source)?;
    let end = riff::end(&start);
    let mut at = riff::START as u64;
    let (mut around, mut profile) = (0, 0);
    let (mut found, mut alpha) = (None, false);
    let mut body = Vec::new();
    // Metadata may stand behind the image.
    while at + 8 <= end {
        let riff::Header { kind, length } = riff::next(source)?;
        let padded = u64::from(length) + u64::from(length % 2);
        at += 8 + padded;
        let mut rest = padded;
        match &kind {
            b"VP8X" | b"VP8 " | b"VP8L" => {
                body.clear();
                let part = u64::from(length).min(riff::IMAGE_HEAD as u64);
                (&mut *source).take(part).read_to_end(&mut body)?;
                rest = rest.saturating_sub(body.len() as u64);
                let image = riff::Image::of(kind, &body);
                let extended = riff::Extended::of(&body).filter(|_| kind == *b"VP8X");
                alpha |= image.is_some_and(|image| image.alpha)
                    || extended.is_some_and(|extended| extended.alpha);
                found = found.or(image);
            }
            _ => {
                around += u64::from(length);
                profile += if kind == *b"ICCP" { length.into() } else { 0 };
            }
        }
        source.seek_relative(i64::try_from(rest).unwrap_or(i64::MAX))?;
    }
    Ok(found.map(|image| Head {
        probe: Probe {
            width: image.width,
            height: image.height,
            lossless: image.lossless,
            ..Probe::new(Format::WebP)
        },
        coding: Coding::WebP(WebPCoding { alpha }),
        around,
        profile,
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::probe::probe;
    use super::super::tests::{jpeg, png_of};
    use super::*;

    fn head(bytes: &[u8]) -> Head {
        read(&mut Cursor::new(bytes)).unwrap().expect("a header")
    }

    #[test]
    fn it_says_what_the_probe_says() {
        use turbojpeg::Subsamp;
        for (sampling, expected) in [
            (Subsamp::None, (1, 1)),
            (Subsamp::Sub2x2, (2, 2)),
            (Subsamp::Sub4x1, (4, 1)),
        ] {
            let bytes = jpeg(131, 97, sampling);
            let head = head(&bytes);
            assert_eq!(head.probe, probe(&bytes, &mut Vec::new()).unwrap());
            let Coding::Jpeg(JpegCoding {
                components: 3,
                factors,
                whole: false,
                lossless: false,
                may_be_rgb: false,
            }) = head.coding
            else {
                panic!("{head:?}");
            };
            assert_eq!(factors[0], expected);
        }
        let bytes = png_of(
            47,
            61,
            png::ColorType::GrayscaleAlpha,
            png::BitDepth::Sixteen,
        );
        let head = head(&bytes);
        assert_eq!(head.probe, probe(&bytes, &mut Vec::new()).unwrap());
        let expected = Coding::Png(PngCoding {
            channels: 2,
            deep: true,
            interlaced: false,
        });
        assert_eq!(head.coding, expected);
    }

    #[test]
    fn segments_are_passed_over_and_counted() {
        let plain = jpeg(16, 16, turbojpeg::Subsamp::Gray);
        let mut bytes = plain[..2].to_vec();
        bytes.extend(b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0");
        bytes.extend(b"\xff\xe2\x40\x02");
        bytes.resize(bytes.len() + 0x4000, 7);
        // Bytes between segments, and a fill byte.
        bytes.extend(b"junk\xff");
        bytes.extend(&plain[2..]);
        let (found, without) = (head(&bytes), head(&plain));
        assert_eq!(found.probe.orientation, 6);
        assert_eq!(found.profile, 0x4000);
        assert_eq!(found.around - without.around, 0x4000 + 0x20);
    }

    #[test]
    fn a_profile_in_a_text_is_counted() {
        let plain = png_of(5, 5, png::ColorType::Rgb, png::BitDepth::Eight);
        for (kind, body, expected) in [
            (b"zTXt", text::encoded("icc", &[7; 3000]).unwrap(), 1032),
            (b"zTXt", text::encoded("icm", &[7; 3000]).unwrap(), 1032),
            (b"zTXt", text::encoded("exif", &[7; 3000]).unwrap(), 0),
            (b"tEXt", b"Raw profile type i".to_vec(), 0),
            (b"iTXt", [text::ICC, &[b'c'; 2000]].concat(), u64::MAX),
        ] {
            let mut bytes = plain.clone();
            let length = u32::try_from(body.len()).unwrap();
            let chunk = [&length.to_be_bytes()[..], kind, &body, b"CRC!"].concat();
            bytes.splice(33..33, chunk);
            let expected = u64::from(length)
                .saturating_mul(expected)
                .min(text::LONGEST as u64)
                * 3
                / 2;
            assert_eq!(head(&bytes).profile, expected, "{}", body.len());
            assert_eq!(head(&bytes).probe, head(&plain).probe);
        }
    }

    #[test]
    fn no_prefix_and_no_text_is_a_header() {
        for whole in [
            &jpeg(16, 16, turbojpeg::Subsamp::Sub2x2)[..],
            &png_of(5, 5, png::ColorType::Rgb, png::BitDepth::Eight),
        ] {
            let ends = (0..whole.len())
                .filter(|end| read(&mut Cursor::new(&whole[..*end])).unwrap().is_some());
            let first = ends.min().expect("the whole header");
            assert!(first > 33, "{first}");
            assert_eq!(head(&whole[..first]), head(whole));
        }
        assert_eq!(
            read(&mut Cursor::new(b"hello, this is a note")).unwrap(),
            None
        );
    }
}
