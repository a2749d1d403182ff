//! XMP that is cut down to authorship: written anew from the parsed packet, with a fixed list of
//! properties, since cutting pieces out of the text would depend on its prefixes.

use roxmltree::Node;

use super::packet::{RDF, escaped, parse, text};

/// Namespaces of what is written, with the prefix that everyone uses for them. XML's own comes
/// declared.
const NAMESPACES: [(&str, &str); 14] = [
    ("rdf", RDF),
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("xmpRights", "http://ns.adobe.com/xap/1.0/rights/"),
    ("photoshop", "http://ns.adobe.com/photoshop/1.0/"),
    ("tiff", "http://ns.adobe.com/tiff/1.0/"),
    ("plus", "http://ns.useplus.org/ldf/xmp/1.0/"),
    ("cc", "http://creativecommons.org/ns#"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("tdm", "http://www.w3.org/ns/tdmrep#"),
    (
        "Iptc4xmpCore",
        "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    ),
    ("Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"),
    ("aux", "http://ns.adobe.com/exif/1.0/aux/"),
    ("exifEX", "http://cipa.jp/exif/1.0/"),
    ("exif", "http://ns.adobe.com/exif/1.0/"),
];

/// Elements within a property: far more than any needs, little enough for every stack.
const DEPTH: u8 = 12;

/// Appends a packet with the creator, the rights, the credit and the licence of this one; nothing
/// where there are none or it makes no sense.
pub fn keep_rights(packet: &[u8], out: &mut Vec<u8>) {
    let Some(text) = text(packet) else { return };
    let Some(document) = parse(&text) else { return };
    let mut kept = String::new();
    let descriptions = document
        .descendants()
        .filter(|node| node.has_tag_name((RDF, "RDF")))
        .flat_map(|rdf| rdf.children())
        .filter(|node| node.has_tag_name((RDF, "Description")));
    for description in descriptions {
        // A property may be an attribute as well as an element.
        for attribute in description.attributes() {
            if let Some(prefix) = attribute.namespace().and_then(prefix)
                && is_right(prefix, attribute.name())
            {
                let (name, value) = (attribute.name(), escaped(attribute.value()));
                kept.extend([
                    "<", prefix, ":", name, ">", &value, "</", prefix, ":", name, ">",
                ]);
            }
        }
        for property in description.children().filter(Node::is_element) {
            let tag = property.tag_name();
            if let Some(prefix) = tag.namespace().and_then(prefix)
                && is_right(prefix, tag.name())
            {
                write(property, DEPTH, &mut kept);
            }
        }
    }
    if kept.is_empty() {
        return;
    }
    out.extend(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF"
            .as_bytes(),
    );
    for (prefix, namespace) in NAMESPACES {
        if prefix != "rdf" && !kept.contains(&format!("{prefix}:")) {
            continue;
        }
        out.extend(format!(" xmlns:{prefix}=\"{namespace}\"").as_bytes());
    }
    out.extend(b"><rdf:Description rdf:about=\"\">");
    out.extend(kept.as_bytes());
    out.extend(b"</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>");
}

fn is_right(prefix: &str, name: &str) -> bool {
    match prefix {
        "dc" => matches!(name, "creator" | "rights"),
        "dcterms" => matches!(name, "creator" | "rights" | "rightsHolder" | "license"),
        "photoshop" => matches!(
            name,
            "Credit" | "AuthorsPosition" | "Source" | "DateCreated"
        ),
        "Iptc4xmpCore" => name == "CreatorContactInfo",
        // Whether a picture was made by AI, and by which.
        "Iptc4xmpExt" => matches!(
            name,
            "DigitalSourceType" | "DigitalSourcefileType" | "AISystemUsed" | "AISystemVersionUsed"
        ),
        "aux" => name == "OwnerName",
        "exif" => matches!(
            name,
            "DateTimeOriginal" | "SubSecTimeOriginal" | "OffsetTimeOriginal"
        ),
        "exifEX" => matches!(name, "CameraOwnerName" | "OffsetTimeOriginal"),
        "tiff" => matches!(name, "Artist" | "Copyright"),
        "xmpRights" | "plus" | "cc" | "tdm" => true,
        _ => false,
    }
}

fn prefix(namespace: &str) -> Option<&'static str> {
    NAMESPACES
        .iter()
        .find(|(_, known)| *known == namespace)
        .map(|(prefix, _)| *prefix)
}

/// Appends an element with all that is in it, without what is of unknown namespaces.
fn write(element: Node<'_, '_>, depth: u8, out: &mut String) {
    let tag = element.tag_name();
    let (Some(prefix_), Some(left)) = (tag.namespace().and_then(prefix), depth.checked_sub(1))
    else {
        return;
    };
    out.extend(["<", prefix_, ":", tag.name()]);
    for attribute in element.attributes() {
        let prefix = match attribute.namespace() {
            Some("http://www.w3.org/XML/1998/namespace") => Some("xml"),
            Some(namespace) => prefix(namespace),
            None => None,
        };
        if let Some(prefix) = prefix {
            let value = escaped(attribute.value());
            out.extend([" ", prefix, ":", attribute.name(), "=\"", &value, "\""]);
        }
    }
    out.push('>');
    for child in element.children() {
        if child.is_element() {
            write(child, left, out);
        } else if let Some(text) = child.text().filter(|_| child.is_text()) {
            out.push_str(&escaped(text));
        }
    }
    out.extend(["</", prefix_, ":", tag.name(), ">"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &str = r#"<?xpacket begin='' id='W5M0'?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="" xmlns:d="http://purl.org/dc/elements/1.1/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xr="http://ns.adobe.com/xap/1.0/rights/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 exif:GPSLatitude="41,54N" xr:Marked="True" tiff:Orientation="6">
<d:creator><r:Seq><r:li>Ann &amp; Bo</r:li></r:Seq></d:creator>
<d:rights><r:Alt><r:li xml:lang="x-default">© Ann</r:li></r:Alt></d:rights>
<d:subject><r:Bag><r:li>Rome</r:li></r:Bag></d:subject>
<xmp:Thumbnails><r:Alt><r:li>iVBORw0</r:li></r:Alt></xmp:Thumbnails>
</r:Description></r:RDF></x:xmpmeta><?xpacket end='w'?>"#;

    fn filtered(packet: &[u8]) -> String {
        let mut out = Vec::new();
        keep_rights(packet, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rights_stay_and_places_do_not() {
        let kept = filtered(PACKET.as_bytes());
        for part in [
            "<dc:creator><rdf:Seq><rdf:li>Ann &amp; Bo</rdf:li></rdf:Seq></dc:creator>",
            "<rdf:li xml:lang=\"x-default\">© Ann</rdf:li>",
            "<xmpRights:Marked>True</xmpRights:Marked>",
        ] {
            assert!(kept.contains(part), "{part} is not in {kept}");
        }
        for part in ["41,54N", "Rome", "iVBOR", "Orientation"] {
            assert!(!kept.contains(part), "{part} is in {kept}");
        }
        // Its own output is a packet.
        assert_eq!(filtered(kept.as_bytes()), kept);
    }

    #[test]
    fn ai_marking_contact_owner_statement_and_date_stay() {
        let source = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
        let packet = format!(
            "<r:RDF xmlns:r='{RDF}'><r:Description xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' \
             xmlns:c='http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/' \
             xmlns:a='http://ns.adobe.com/exif/1.0/aux/' xmlns:x='http://ns.adobe.com/xap/1.0/rights/' \
             a:OwnerName='Ann' a:SerialNumber='4711' xmlns:t='http://ns.adobe.com/exif/1.0/' \
             t:DateTimeOriginal='2024-05-01T12:00:00.12+02:00' t:GPSTimeStamp='2024-05-01T10:00:00Z' x:WebStatement='https://example.org/ann' \
             e:DigitalSourceType='{source}' e:LocationShown='Rome'>\
             <c:CreatorContactInfo c:CiEmailWork='ann@example.org'/><c:Location>Rome</c:Location>\
             </r:Description></r:RDF>"
        );
        let found = filtered(packet.as_bytes());
        for part in [
            "<aux:OwnerName>Ann<",
            "<exif:DateTimeOriginal>2024-05-01T12:00:00.12+02:00<",
            "<xmpRights:WebStatement>https://example.org/ann<",
            &format!("<Iptc4xmpExt:DigitalSourceType>{source}<"),
            "<Iptc4xmpCore:CreatorContactInfo Iptc4xmpCore:CiEmailWork=\"ann@example.org\">",
        ] {
            assert!(found.contains(part), "{part} is not in {found}");
        }
        for part in ["4711", "Rome", "photoshop", "GPS"] {
            assert!(!found.contains(part), "{part} is in {found}");
        }
        assert_eq!(filtered(found.as_bytes()), found);
    }

    #[test]
    fn hostile_packets_are_dropped() {
        let deep = "<a>".repeat(19_000) + &"</a>".repeat(1000);
        let entities = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><a>&b;</a>";
        for packet in [&deep, entities, "", "<", "\0\0", &"<a/>".repeat(30_000)] {
            assert_eq!(filtered(packet.as_bytes()), "");
        }
        let deep = "<a>".repeat(9_000) + &"</a>".repeat(9_000);
        assert_eq!(filtered(deep.as_bytes()), "");
        for end in (0..PACKET.len()).filter(|end| PACKET.is_char_boundary(*end)) {
            filtered(&PACKET.as_bytes()[..end]);
        }
    }
}
