//! An XMP packet as text, and its tree.

use std::borrow::Cow;

use roxmltree::Document;

pub const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Bytes of a packet that is looked into.
pub const LONGEST: usize = 1 << 20;

/// Open angle brackets per packet; keeps the parser's stack and tables small for hostile ones.
const ELEMENTS: usize = 20_000;

/// The packet without what surrounds it. What is no UTF-8 is taken for Latin-1, as careless programs
/// write it.
pub fn text(packet: &[u8]) -> Option<Cow<'_, str>> {
    if packet.len() > LONGEST {
        return None;
    }
    let latin = || packet.iter().copied().map(char::from).collect();
    let text = std::str::from_utf8(packet).map_or_else(|_| Cow::Owned(latin()), Cow::Borrowed);
    let around = ['\0', '\u{feff}', ' ', '\n', '\r', '\t'];
    Some(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(around)),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(around).to_owned()),
    })
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
