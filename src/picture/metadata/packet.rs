//! An XMP packet as text, and its tree.

use std::borrow::Cow;

use roxmltree::Document;

/// What the body of a JPEG segment with a packet starts with.
pub const SIGNATURE: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

pub const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Bytes of a packet that is looked into.
pub const LONGEST: usize = 1 << 20;

/// Open angle brackets per packet; keeps the parser's stack and tables small for hostile ones.
const ELEMENTS: usize = 20_000;

/// The packet without what surrounds it, whichever encoding of Unicode it is in (XMP part 1, 7.3.2).
/// What is in none is taken for Latin-1, as careless programs write it.
pub fn text(packet: &[u8]) -> Option<Cow<'_, str>> {
    if packet.len() > LONGEST {
        return None;
    }
    let text = match packet {
        [0, 0, 0, b'<', ..] | [0, 0, 0xfe, 0xff, ..] => long(packet, u32::from_be_bytes)?,
        [b'<', 0, 0, 0, ..] | [0xff, 0xfe, 0, 0, ..] => long(packet, u32::from_le_bytes)?,
        [0, b'<', ..] | [0xfe, 0xff, ..] => short(packet, u16::from_be_bytes),
        [b'<', 0, ..] | [0xff, 0xfe, ..] => short(packet, u16::from_le_bytes),
        _ => match std::str::from_utf8(packet) {
            Ok(text) => return Some(Cow::Borrowed(trimmed(text))),
            Err(_) => packet.iter().copied().map(char::from).collect(),
        },
    };
    Some(Cow::Owned(in_utf8(trimmed(&text))))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(['\0', '\u{feff}', ' ', '\n', '\r', '\t'])
}

fn short(packet: &[u8], number: fn([u8; 2]) -> u16) -> String {
    let units = packet.as_chunks().0.iter().copied().map(number);
    let letters = char::decode_utf16(units);
    letters
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn long(packet: &[u8], number: fn([u8; 4]) -> u32) -> Option<String> {
    let units = packet.as_chunks().0.iter().copied().map(number);
    units.map(char::from_u32).collect()
}

/// Without a declaration that names another encoding.
fn in_utf8(text: &str) -> String {
    let declared = text
        .strip_prefix("<?xml ")
        .and_then(|rest| rest.split_once("?>"));
    declared.map_or(text, |(_, rest)| rest).to_owned()
}

/// The tree of a text. Without a document type, which is the default, entities cannot multiply.
pub fn parse(text: &str) -> Option<Document<'_>> {
    if memchr::memchr_iter(b'<', text.as_bytes()).count() > ELEMENTS {
        return None;
    }
    Document::parse(text).ok()
}

/// Text as XML has it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_unicode_is_read() {
        let packet = "<?xpacket begin='\u{feff}'?><a>J\u{fc}rgen \u{1f600}</a>";
        let units = || packet.encode_utf16();
        let letters = || packet.chars().map(u32::from);
        for bytes in [
            packet.as_bytes().to_vec(),
            units().flat_map(u16::to_le_bytes).collect(),
            units().flat_map(u16::to_be_bytes).collect(),
            letters().flat_map(u32::to_le_bytes).collect(),
            letters().flat_map(u32::to_be_bytes).collect(),
        ] {
            assert_eq!(text(&bytes).unwrap(), packet);
        }
        let marked = |text: &str| {
            let text = format!("\u{feff}<?xml version='1.0' encoding='UTF-16'?>{text}\0");
            text.encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>()
        };
        assert_eq!(text(&marked(packet)).unwrap(), packet);
        assert_eq!(text(b"<a>J\xfcrgen</a>").unwrap(), "<a>J\u{fc}rgen</a>");
        assert_eq!(text(b"<\0\0\0\0\0\x11\0").as_deref(), None);
    }
}
