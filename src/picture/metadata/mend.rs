//! XMP that is kept whole, mended in its text, because everything unknown must stay as it is. What is
//! mended is found by its namespace in the parsed packet: prefixes are whatever a program likes.

use std::cmp::Reverse;
use std::ops::Range;

use roxmltree::{Attribute, Node};

use super::super::preview;
use super::packet::{parse, text};

const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const IMAGE: &str = "http://ns.adobe.com/xap/1.0/g/img/";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";

/// What is written instead of a piece of the text.
struct Edit {
    place: Range<usize>,
    text: String,
}

/// What becomes of a property.
enum Fate {
    Stays,
    Goes,
    Becomes(String),
}

/// Appends the packet, upright and without pictures of the unmarked one; nothing if it makes no
/// sense, since what it hides would not be found.
pub fn keep(packet: &[u8], out: &mut Vec<u8>) {
    let Some(text) = text(packet) else { return };
    let Some(document) = parse(&text) else { return };
    let mut edits = Vec::new();
    for node in document.descendants() {
        if node.is_text() {
            let hides = node
                .text()
                .is_some_and(|text| preview::within(text.as_bytes()));
            if let Some(element) = node.parent_element().filter(|_| hides) {
                edits.push(Edit::cut(element.range()));
            }
        } else if node.is_element() {
            edits.extend(
                node.attributes()
                    .filter_map(|attribute| of_attribute(&attribute)),
            );
            edits.extend(of_element(node));
        }
    }
    // What stands within another piece goes with it.
    edits.sort_by_key(|edit| (edit.place.start, Reverse(edit.place.end)));
    let mut done = 0;
    for Edit { place, text: new } in edits {
        if place.start >= done {
            out.extend_from_slice(text[done..place.start].as_bytes());
            out.extend_from_slice(new.as_bytes());
            done = place.end;
        }
    }
    out.extend_from_slice(text[done..].as_bytes());
}

fn of_attribute(attribute: &Attribute<'_, '_>) -> Option<Edit> {
    if preview::within(attribute.value().as_bytes()) {
        return Some(Edit::cut(attribute.range()));
    }
    let value = attribute.value();
    match fate(attribute.namespace()?, attribute.name(), value) {
        Fate::Stays => None,
        Fate::Goes => Some(Edit::cut(attribute.range())),
        Fate::Becomes(text) => Some(Edit {
            place: attribute.range_value(),
            text,
        }),
    }
}

fn of_element(element: Node<'_, '_>) -> Option<Edit> {
    let tag = element.tag_name();
    let value = element.first_child().filter(Node::is_text);
    let text = value.and_then(|value| value.text()).unwrap_or_default();
    match fate(tag.namespace()?, tag.name(), text) {
        Fate::Stays => None,
        Fate::Goes => Some(Edit::cut(element.range())),
        Fate::Becomes(text) => Some(Edit {
            place: value?.range(),
            text,
        }),
    }
}

/// What becomes of the property of a namespace.
fn fate(namespace: &str, name: &str, value: &str) -> Fate {
    match (namespace, name) {
        (XMP, "Thumbnails") | (IMAGE, "image") => Fate::Goes,
        (TIFF, "Orientation") if value != "1" => Fate::Becomes("1".to_owned()),
        _ => Fate::Stays,
    }
}

impl Edit {
    fn cut(place: Range<usize>) -> Self {
        let text = String::new();
        Self { place, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(packet: &str) -> String {
        let mut out = Vec::new();
        keep(packet.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// A packet whose description has these attributes and properties.
    fn packet(attributes: &str, properties: &str) -> String {
        format!(
            "<?xpacket begin='' id='W5M0'?>\n<m:xmpmeta xmlns:m='adobe:ns:meta/'>\
             <r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
             <r:Description r:about='' xmlns:t='{TIFF}' xmlns:xap='{XMP}' xmlns:i='{IMAGE}' \
             xmlns:my='urn:my'{attributes}>{properties}</r:Description></r:RDF></m:xmpmeta>\n \
             <?xpacket end='w'?>"
        )
    }

    #[test]
    fn thumbnails_go_whatever_their_prefix() {
        let thumbnails = "<xap:Thumbnails><r:Alt><r:li r:parseType='Resource'>\
            <i:format>JPEG</i:format><i:image>/9j/4AAQ</i:image></r:li></r:Alt></xap:Thumbnails>";
        let around = "<my:note a='&lt;'>stays <![CDATA[<as>]]> it is</my:note>";
        let found = kept(&packet("", &[around, thumbnails, around].concat()));
        assert_eq!(found, packet("", &[around, around].concat()));
        // One that stands elsewhere, and under the name of another namespace.
        let elsewhere =
            "<my:view><i:format>JPEG</i:format></my:view><my:Thumbnails>2</my:Thumbnails>";
        let image = elsewhere.replace("</my:view>", "<i:image>abc</i:image></my:view>");
        assert_eq!(kept(&packet("", &image)), packet("", elsewhere));
    }

    #[test]
    fn pictures_in_base64_go_whatever_their_property() {
        let picture = "iVBORw0KGgoAAAANSUhEUg&#xA;".repeat(9);
        let properties = format!("<my:a>1</my:a><my:b>{picture}</my:b><my:c q='{picture}'/>");
        let attributes = format!(" my:d=\"data:image/png;base64,{picture}\" my:e='5'");
        assert_eq!(
            kept(&packet(&attributes, &properties)),
            packet("  my:e='5'", "<my:a>1</my:a><my:c />")
        );
    }

    #[test]
    fn the_orientation_is_reset_whatever_its_form() {
        let found = kept(&packet(
            " t:Orientation='6'",
            "<t:Orientation>8</t:Orientation>",
        ));
        let expected = packet(" t:Orientation='1'", "<t:Orientation>1</t:Orientation>");
        assert_eq!(found, expected);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let whole = packet(" t:Orientation='6'", "<xap:Thumbnails>a</xap:Thumbnails>");
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let found = kept(&whole[..end]);
            assert!(
                !found.contains("Thumbnails>a") && !found.contains("'6'"),
                "{found}"
            );
        }
        assert_eq!(kept("<a><b></a>"), "");
    }
}
