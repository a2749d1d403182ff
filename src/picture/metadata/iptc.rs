//! Photoshop's image resources (APP13), in which IPTC-IIM travels: what is kept of them.

use super::super::preview;

pub const SIGNATURE: &[u8] = b"Photoshop 3.0\0";

const IPTC: u16 = 0x0404;
const COPYRIGHT_FLAG: u16 = 0x040a;
const URL: u16 = 0x040b;
/// Thumbnails of the unmarked picture, and EXIF and XMP once more, with thumbnails of their own.
const LEFT_OUT: [u16; 5] = [0x0409, 0x040c, 0x0422, 0x0423, 0x0424];

/// Appends the resources without pictures of the unmarked one.
pub fn keep(resources: &[u8], out: &mut Vec<u8>) {
    each(resources, |id, name, data| {
        if id == IPTC {
            write(id, name, &without_previews(data), out);
        } else if !LEFT_OUT.contains(&id) && !preview::within(data) {
            write(id, name, data, out);
        }
    });
}

/// Appends what tells of maker and owner: of IPTC by-line, its title, credit, source, copyright
/// notice, contact, and the date and time of the picture; the copyright flag and its address.
pub fn keep_rights(resources: &[u8], out: &mut Vec<u8>) {
    each(resources, |id, name, data| match id {
        IPTC => {
            let rights = rights(data);
            if !rights.is_empty() {
                write(id, name, &rights, out);
            }
        }
        COPYRIGHT_FLAG | URL => write(id, name, data, out),
        _ => {}
    });
}

/// Appends what a PNG has under the name of a profile: resources, or IIM alone; and of IIM once.
pub fn join(profile: &[u8], out: &mut Vec<u8>) {
    let mut known = false;
    each(out, |id, _, _| known |= id == IPTC);
    if profile.starts_with(b"\x1c") && !known {
        write(IPTC, &[0; 2], profile, out);
    }
    each(profile, |id, name, data| {
        if id != IPTC || !known {
            write(id, name, data, out);
        }
    });
}

/// Calls `take` with number, name (as stored, padded) and data of each resource.
fn each(mut rest: &[u8], mut take: impl FnMut(u16, &[u8], &[u8])) {
    while let [b'8', b'B', b'I', b'M', high, low, after @ ..] = rest {
        let Some(&letters) = after.first() else {
            return;
        };
        let Some((name, after)) =
            after.split_at_checked((1 + usize::from(letters)).next_multiple_of(2))
        else {
            return;
        };
        let Some((length, after)) = after.split_first_chunk::<4>() else {
            return;
        };
        let Ok(length) = usize::try_from(u32::from_be_bytes(*length)) else {
            return;
        };
        let Some((data, after)) = after.split_at_checked(length) else {
            return;
        };
        take(u16::from_be_bytes([*high, *low]), name, data);
        rest = after.get(length % 2..).unwrap_or_default();
    }
}

fn write(id: u16, name: &[u8], data: &[u8], out: &mut Vec<u8>) {
    out.extend(b"8BIM");
    out.extend(id.to_be_bytes());
    out.extend(name);
    out.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    out.extend(data);
    out.resize(out.len() + data.len() % 2, 0);
}

/// The datasets of IIM that are kept. The coded character set comes along, since without it the
/// others are read wrongly, but not alone.
fn rights(iim: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut any = false;
    for (number, whole) in datasets(iim) {
        let kept = matches!(number, (2, 55 | 60 | 80 | 85 | 110 | 115 | 116 | 118));
        if kept || number == (1, 90) {
            any |= kept;
            out.extend(whole);
        }
    }
    if any { out } else { Vec::new() }
}

/// IIM without its object preview (2:200 to 202) and the records of the object itself (7 to 9).
fn without_previews(iim: &[u8]) -> Vec<u8> {
    let kept = datasets(iim).filter(|(number, whole)| {
        !matches!(number, (2, 200..=202) | (7..=9, _)) && !preview::within(whole)
    });
    kept.flat_map(|(_, whole)| whole).copied().collect()
}

/// Record and number of each dataset, and its bytes as a whole.
fn datasets(mut rest: &[u8]) -> impl Iterator<Item = ((u8, u8), &[u8])> {
    std::iter::from_fn(move || {
        let &[0x1c, record, set, high, low, ref after @ ..] = rest else {
            return None;
        };
        let short = usize::from(u16::from_be_bytes([high & 0x7f, low]));
        // From 32 KB on the length's own length stands there.
        let (head, length) = if high < 0x80 {
            (5, short)
        } else {
            let digits = after.get(..short).filter(|digits| digits.len() <= 4)?;
            let fold = |length: usize, digit: &u8| length << 8 | usize::from(*digit);
            (5 + short, digits.iter().fold(0, fold))
        };
        let (whole, following) = rest.split_at_checked(head.checked_add(length)?)?;
        rest = following;
        Some(((record, set), whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: u16, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(id, b"\x03abc", data, &mut out);
        out
    }

    fn whole() -> Vec<u8> {
        let iim =
            b"\x1c\x01\x5a\0\x03\x1b%G\x1c\x02\x37\0\x0820240501\x1c\x02\x50\0\x03Ann\x1c\x02\x5a\0\x04Rome\x1c\x02\x74\0\x01A";
        [
            resource(0x040c, b"THUMB"),
            resource(IPTC, iim),
            resource(COPYRIGHT_FLAG, b"\x01"),
            resource(0x03ed, b"0123456789abcdef"),
        ]
        .concat()
    }

    #[test]
    fn names_stay_places_and_thumbnails_do_not() {
        let iim =
            b"\x1c\x01\x5a\0\x03\x1b%G\x1c\x02\x37\0\x0820240501\x1c\x02\x50\0\x03Ann\x1c\x02\x74\0\x01A";
        let expected = [resource(IPTC, iim), resource(COPYRIGHT_FLAG, b"\x01")].concat();
        let mut out = Vec::new();
        keep_rights(&whole(), &mut out);
        assert_eq!(out, expected);
        out.clear();
        keep(&whole(), &mut out);
        assert_eq!(out, whole()[resource(0x040c, b"THUMB").len()..]);
    }

    #[test]
    fn previews_do_not_stay() {
        let picture = super::super::super::tests::jpeg(16, 16, turbojpeg::Subsamp::Gray);
        // A preview of more than 32 KB, whose length takes four bytes.
        let mut iim = b"\x1c\x02\x05\0\x04Rome\x1c\x02\xca\x80\x04\0\0\x90\0".to_vec();
        iim.resize(iim.len() + 0x9000, b'P');
        iim.extend(b"\x1c\x08\x0a\0\x04DATA\x1c\x02\x50\0\x03Ann");
        let mut out = Vec::new();
        let plug_in = [resource(0x0fa0, &picture), resource(0x0422, b"EXIF")].concat();
        keep(&[plug_in, resource(IPTC, &iim)].concat(), &mut out);
        let expected = resource(IPTC, b"\x1c\x02\x05\0\x04Rome\x1c\x02\x50\0\x03Ann");
        assert_eq!(out, expected);
    }

    #[test]
    fn cut_resources_do_no_harm() {
        for end in 0..whole().len() {
            let mut out = Vec::new();
            keep(&whole()[..end], &mut out);
            keep_rights(&whole()[..end], &mut out);
        }
    }
}
