//! XMP that is kept whole, mended in its text, because everything unknown must stay as it is. What is
//! mended is found by its namespace in the parsed packet: prefixes are whatever a program likes.

use std::cmp::Reverse;
use std::ops::Range;

use roxmltree::{Attribute, Node};

use super::super::exif::{self, Change};
use super::super::preview;
use super::packet::{parse, text};

const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const IMAGE: &str = "http://ns.adobe.com/xap/1.0/g/img/";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const NOTE: &str = "http://ns.adobe.com/xmp/note/";
const PANORAMA: &str = "http://ns.google.com/photos/1.0/panorama/";
const REGIONS: &str = "http://www.metadataworkinggroup.com/schemas/regions/";
const DIMENSIONS: &str = "http://ns.adobe.com/xap/1.0/sType/Dimensions#";
const PEOPLE: &str = "http://ns.microsoft.com/photo/1.2/";
const IPTC: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";

/// All properties of these speak of what is not written: gain maps, depths, second pictures, and
/// what lies behind the picture. Their children have longer names.
const GONE: [&str; 8] = [
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/pixeldatainfo/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/dd/",
];

/// The end of the namespaces of phones' cameras.
const CAMERA: &str = "/photos/1.0/camera/";

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

/// Appends the packet, upright, of the new size, and without pictures of the unmarked one; nothing if it makes no
/// sense, since what it hides would not be found.
pub fn keep(packet: &[u8], change: Change, out: &mut Vec<u8>) {
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
                    .filter_map(|attribute| of_attribute(node, &attribute, change)),
            );
            edits.extend(of_element(node, change));
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

fn of_attribute(
    element: Node<'_, '_>,
    attribute: &Attribute<'_, '_>,
    change: Change,
) -> Option<Edit> {
    if preview::within(attribute.value().as_bytes()) {
        return Some(Edit::cut(attribute.range()));
    }
    let value = attribute.value();
    match fate(
        element,
        (attribute.namespace()?, attribute.name()),
        value,
        change,
    ) {
        Fate::Stays => None,
        Fate::Goes => Some(Edit::cut(attribute.range())),
        Fate::Becomes(text) => Some(Edit {
            place: attribute.range_value(),
            text,
        }),
    }
}

fn of_element(element: Node<'_, '_>, change: Change) -> Option<Edit> {
    let tag = element.tag_name();
    let value = element.first_child().filter(Node::is_text);
    let text = value.and_then(|value| value.text()).unwrap_or_default();
    match fate(element, (tag.namespace()?, tag.name()), text, change) {
        Fate::Stays => None,
        Fate::Goes => Some(Edit::cut(element.range())),
        Fate::Becomes(text) => Some(Edit {
            place: value?.range(),
            text,
        }),
    }
}

/// What becomes of a property, by its namespace and name, that is or belongs to an element.
fn fate(
    element: Node<'_, '_>,
    (namespace, name): (&str, &str),
    value: &str,
    change: Change,
) -> Fate {
    let (width, height) = change.to;
    let is = |value: u32| Fate::Becomes(value.to_string());
    match (namespace, name) {
        // Previews, what lies in another segment, Adobe's sums of what EXIF said, and what is true of
        // the picture as it was: places on it, its bits.
        (XMP, "Thumbnails")
        | (IMAGE, "image")
        | (NOTE, "HasExtendedXMP")
        | (TIFF | EXIF, "NativeDigest")
        | (EXIF, "SubjectArea" | "SubjectLocation" | "CompressedBitsPerPixel") => Fate::Goes,
        // One becomes the other then, and stands elsewhere.
        (EXIF, "FocalPlaneXResolution" | "FocalPlaneYResolution") if change.exchanged => Fate::Goes,
        (EXIF, "FocalPlaneXResolution") => sensor(value, change.from.0, width),
        (EXIF, "FocalPlaneYResolution") => sensor(value, change.from.1, height),
        (TIFF, "Orientation") if value != "1" => is(1),
        (TIFF, "ImageWidth") | (EXIF, "PixelXDimension") => is(width),
        (TIFF, "ImageLength") | (EXIF, "PixelYDimension") => is(height),
        (DIMENSIONS, "w") if of_regions(element) => is(width),
        (DIMENSIONS, "h") if of_regions(element) => is(height),
        (REGIONS, "Regions") | (PEOPLE, "RegionInfo") | (IPTC, "ImageRegion") if change.turned => {
            Fate::Goes
        }
        (PANORAMA, _) => panorama(name, value, change),
        _ if GONE.iter().any(|gone| namespace.starts_with(gone)) => Fate::Goes,
        _ if namespace.ends_with(CAMERA)
            && ["MotionPhoto", "MicroVideo", "VideoLength", "hdrp_makernote"]
                .iter()
                .any(|gone| name.starts_with(gone)) =>
        {
            Fate::Goes
        }
        _ => Fate::Stays,
    }
}

/// Pixels on a unit of the sensor, a fraction.
fn sensor(value: &str, from: u32, to: u32) -> Fate {
    let parts = value.trim().split_once('/');
    let parts = parts.and_then(|(above, below)| above.parse().ok().zip(below.parse().ok()));
    match parts.and_then(|parts| exif::scaled(parts, from, to)) {
        Some((above, below)) => Fate::Becomes(format!("{above}/{below}")),
        None => Fate::Goes,
    }
}

/// Whether a size is that of the picture to which regions apply.
fn of_regions(element: Node<'_, '_>) -> bool {
    element
        .ancestors()
        .any(|node| node.has_tag_name((REGIONS, "AppliedToDimensions")))
}

/// Pixels of a panorama are scaled. One that was turned is none any more.
fn panorama(name: &str, value: &str, change: Change) -> Fate {
    if change.turned {
        return Fate::Goes;
    }
    let (from, to) = match name {
        "FullPanoWidthPixels"
        | "CroppedAreaImageWidthPixels"
        | "CroppedAreaLeftPixels"
        | "LargestValidInteriorRectLeft"
        | "LargestValidInteriorRectWidth" => (change.from.0, change.to.0),
        "FullPanoHeightPixels"
        | "CroppedAreaImageHeightPixels"
        | "CroppedAreaTopPixels"
        | "LargestValidInteriorRectTop"
        | "LargestValidInteriorRectHeight" => (change.from.1, change.to.1),
        _ => return Fate::Stays,
    };
    match value.trim().parse::<f64>() {
        Ok(pixels) if from > 0 && pixels.is_finite() => {
            let scaled = pixels * f64::from(to) / f64::from(from);
            Fate::Becomes(format!("{:.0}", scaled.round()))
        }
        _ => Fate::Goes,
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

    const HALF: Change = Change {
        from: (2000, 1000),
        to: (960, 480),
        turned: false,
        exchanged: false,
    };

    fn kept(packet: &str) -> String {
        let mut out = Vec::new();
        keep(packet.as_bytes(), HALF, &mut out);
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
    fn sizes_are_those_of_the_written_picture() {
        let names = format!(
            " xmlns:p='{PANORAMA}' xmlns:e='{EXIF}' xmlns:g='{REGIONS}' xmlns:d='{DIMENSIONS}'"
        );
        let packet = |sizes: [u32; 6], place: u32| {
            let [full, cropped, left, width, height, wide] = sizes;
            packet(
                &format!(
                    "{names} p:FullPanoWidthPixels='{full}' e:PixelXDimension='{width}' p:UsePanoramaViewer='True'"
                ),
                &format!(
                    "<p:CroppedAreaImageWidthPixels>{cropped}</p:CroppedAreaImageWidthPixels>\
                     <p:CroppedAreaTopPixels>{left}</p:CroppedAreaTopPixels>\
                     <t:ImageLength>{height}</t:ImageLength>\
                     <g:Regions><g:AppliedToDimensions d:w='{wide}' d:unit='pixel'/></g:Regions>\
                     <my:size d:w='{place}'/>"
                ),
            )
        };
        let found = kept(&packet([4000, 2000, 100, 2000, 1000, 2000], 7));
        assert_eq!(found, packet([1920, 960, 48, 960, 480, 960], 7));
        let mut out = Vec::new();
        let turned = Change {
            turned: true,
            ..HALF
        };
        keep(
            packet([4000, 2000, 100, 2000, 1000, 2000], 7).as_bytes(),
            turned,
            &mut out,
        );
        let out = String::from_utf8(out).unwrap();
        for gone in ["FullPano", "Cropped", "Viewer", "Regions>"] {
            assert!(!out.contains(gone), "{gone} is in {out}");
        }
    }

    #[test]
    fn the_sensor_keeps_its_size() {
        let packet = |property: &str| packet(&format!(" xmlns:e='{EXIF}' {property}"), "");
        let unit = "e:FocalPlaneResolutionUnit='2'";
        for (property, upright, exchanged) in [
            (
                "e:FocalPlaneXResolution='5000/3'",
                "e:FocalPlaneXResolution='800/1'",
                "",
            ),
            (
                "e:FocalPlaneYResolution='10/1'",
                "e:FocalPlaneYResolution='24/5'",
                "",
            ),
            ("e:FocalPlaneYResolution='wide'", "", ""),
            ("e:CompressedBitsPerPixel='4/1'", "", ""),
            (unit, unit, unit),
        ] {
            assert_eq!(kept(&packet(property)), packet(upright));
            let change = Change {
                exchanged: true,
                ..HALF
            };
            let mut out = Vec::new();
            keep(packet(property).as_bytes(), change, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), packet(exchanged));
        }
    }

    #[test]
    fn claims_to_what_is_gone_go() {
        let names = " xmlns:h='http://ns.adobe.com/hdr-gain-map/1.0/' \
            xmlns:c='http://ns.google.com/photos/1.0/container/' \
            xmlns:i2='http://ns.google.com/photos/1.0/container/item/' \
            xmlns:g='http://ns.google.com/photos/1.0/camera/' xmlns:n='http://ns.adobe.com/xmp/note/'";
        let claims = " h:Version='1.0' g:MotionPhoto='1' g:MotionPhotoVersion='1' \
            g:MicroVideoOffset='77' n:HasExtendedXMP='00'";
        let properties = "<c:Directory><r:Seq><r:li r:parseType='Resource'>\
            <c:Item i2:Semantic='GainMap' i2:Length='9'/></r:li></r:Seq></c:Directory>";
        let found = kept(&packet(
            &format!("{names}{claims} g:BurstID='b'"),
            properties,
        ));
        let expected = packet(&format!("{names} {} g:BurstID='b'", " ".repeat(4)), "");
        assert_eq!(
            found.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
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
