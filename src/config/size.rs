//! The keys that say how large results are.

use super::{section::Section, tree::Value, value};
use crate::picture::Size;

const WIDTH: &str = "output_width";
const HEIGHT: &str = "output_height";
const LONG: &str = "long_edge";
const SHORT: &str = "short_edge";

/// The size that the nearest mapping with any of its keys wants.
pub fn size(section: &mut Section<'_>) -> Option<Size> {
    let nodes = section.nearest_of(&[WIDTH, HEIGHT, LONG, SHORT]);
    let found: Vec<_> = nodes
        .iter()
        .filter_map(|(key, node)| match pixels(&node.value) {
            Ok(pixels) => Some((*key, pixels)),
            Err(cause) => {
                section.findings.add(&node.place, cause);
                None
            }
        })
        .collect();
    match (&found[..], &nodes[..]) {
        ([(_, None)], [_]) => Some(Size::Original),
        ([(key, Some(pixels))], [_]) => Some(match *key {
            WIDTH => Size::Width(*pixels),
            LONG => Size::LongEdge(*pixels),
            SHORT => Size::ShortEdge(*pixels),
            _ => Size::Height(*pixels),
        }),
        ([(WIDTH, Some(width)), (HEIGHT, Some(height))], [_, _]) => Some(Size::Box {
            width: *width,
            height: *height,
        }),
        (_, [(first, _), .., (_, last)]) if found.len() == nodes.len() => {
            let cause = format!(
                "cannot be combined with {first}: a size is output_width, output_height or both, \
                 long_edge, or short_edge"
            );
            section.findings.add(&last.place, cause);
            None
        }
        _ => None,
    }
}

/// `None` for the source's own size.
fn pixels(value: &Value) -> Result<Option<u32>, String> {
    match value {
        Value::Text(text) if text == "original" => Ok(None),
        // A number with a mistake is told its range.
        Value::Whole(_) | Value::Fraction(_) => value::whole(1..=65_500)(value).map(Some),
        other => Err(value::wanted("1..65500, or original", other)),
    }
}
