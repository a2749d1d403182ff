//! Photoshop's image resources (APP13), in which IPTC-IIM travels: what is kept of them.

pub const SIGNATURE: &[u8] = b"Photoshop 3.0\0";

const IPTC: u16 = 0x0404;
const COPYRIGHT_FLAG: u16 = 0x040a;
const URL: u16 = 0x040b;
/// Thumbnails of the unmarked picture.
const THUMBNAILS: [u16; 2] = [0x0409, 0x040c];

/// Appends the resources without thumbnails.
pub fn keep(resources: &[u8], out: &mut Vec<u8>) {
    each(resources, |id, name, data| {
        if !THUMBNAILS.contains(&id) {
            write(id, name, data, out);
        }
    });
}

/// Appends what tells of maker and owner: of IPTC by-line, its title, credit, source and copyright
/// notice; the copyright flag and its address.
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
fn rights(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut any = false;
    // Lengths of 32 KB and more have a form of their own that no name needs.
    while let &[0x1c, record, set, high @ 0..=0x7f, low, ref after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((data, following)) = after.split_at_checked(length) else {
            break;
        };
        let kept = matches!((record, set), (2, 80 | 85 | 110 | 115 | 116));
        if kept || (record, set) == (1, 90) {
            any |= kept;
            out.extend([0x1c, record, set, high, low]);
            out.extend(data);
        }
        rest = following;
    }
    if any { out } else { Vec::new() }
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
            b"\x1c\x01\x5a\0\x03\x1b%G\x1c\x02\x50\0\x03Ann\x1c\x02\x5a\0\x04Rome\x1c\x02\x74\0\x01A";
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
        let iim = b"\x1c\x01\x5a\0\x03\x1b%G\x1c\x02\x50\0\x03Ann\x1c\x02\x74\0\x01A";
        let expected = [resource(IPTC, iim), resource(COPYRIGHT_FLAG, b"\x01")].concat();
        let mut out = Vec::new();
        keep_rights(&whole(), &mut out);
        assert_eq!(out, expected);
        out.clear();
        keep(&whole(), &mut out);
        assert_eq!(out, whole()[resource(0x040c, b"THUMB").len()..]);
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
