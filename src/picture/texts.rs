//! The texts of recipes as marks, drawn at the size of each picture, so that they are never scaled.

use std::sync::Arc;

use super::cache::Cache;
use super::lettering::{Style, draw};
use super::mark::Mark;
use super::placement::room;
use super::recipe::{Length, PlacedMark, Relative, Text};
use crate::template::About;

/// Bytes of drawn texts that a worker keeps.
const BUDGET: usize = 16 << 20;

/// What makes a drawn text.
#[derive(Debug)]
struct Key {
    text: Arc<Text>,
    words: String,
    /// Pixels an em, as bits.
    size: u32,
}

/// Two equal texts at different addresses are taken for different ones.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) && self.size == other.size && self.words == other.words
    }
}

/// The drawn texts of a worker.
#[derive(Debug)]
pub struct Letterings(Cache<Key, Arc<Mark>>);

impl Default for Letterings {
    fn default() -> Self {
        Self(Cache::new(BUDGET))
    }
}

impl Letterings {
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The text as a mark for a picture of this size; `None` where it has no words. It is drawn smaller
    /// where it would be wider or higher than the picture without its margins.
    pub fn find(
        &mut self,
        placed: &PlacedMark,
        text: &Arc<Text>,
        about: &About,
        picture: (u32, u32),
    ) -> Result<Option<Arc<Mark>>, String> {
        let words = text.template.text_for(about, picture);
        if words.is_empty() {
            return Ok(None);
        }
        let mut size = em(text.size, picture);
        // Twice, since what is around the letters does not shrink with them to the pixel.
        for _ in 0..3 {
            let mark = self.drawn(text, &words, size)?;
            let fit = room(placed, (mark.width, mark.height), picture);
            if fit >= 1.0 || size <= SMALLEST {
                return Ok(Some(Arc::clone(mark)));
            }
            size = (size * fit).max(SMALLEST);
        }
        self.drawn(text, &words, size)
            .map(|mark| Some(Arc::clone(mark)))
    }

    fn drawn(&mut self, text: &Arc<Text>, words: &str, size: f32) -> Result<&Arc<Mark>, String> {
        let key = Key {
            text: Arc::clone(text),
            words: words.to_owned(),
            size: size.to_bits(),
        };
        self.0.find(key, |key| {
            let mark = draw(&key.words, &text.font, &style(text, size))
                .map_err(|cause| format!("the text of a mark, {:?}: {cause}", key.words))?;
            let bytes = mark.rgba.len();
            Ok((Arc::new(mark), bytes))
        })
    }
}

/// Pixels an em at least and at most.
const SMALLEST: f32 = 4.0;
const LARGEST: f32 = 1000.0;

/// Pixels an em on a picture.
#[expect(
    clippy::cast_precision_loss,
    reason = "sides are far below 2^24, or it is cut to 1000 anyway"
)]
fn em(size: Length, (width, height): (u32, u32)) -> f32 {
    let size = match size {
        Length::Pixels(pixels) => pixels as f32,
        Length::Percent(percent) => percent / 100.0 * width.min(height) as f32,
    };
    size.clamp(SMALLEST, LARGEST)
}

fn style(text: &Text, size: f32) -> Style {
    let pixels = |length: Relative| match length {
        Relative::Pixels(pixels) => pixels,
        Relative::Percent(percent) => percent / 100.0 * size,
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is cut to the range")]
    let whole = |length| pixels(length).round().clamp(-1000.0, 1000.0) as i32;
    Style {
        size,
        colour: text.colour,
        outline: text
            .outline
            .map(|(width, colour)| (pixels(width).clamp(0.0, 100.0), colour)),
        shadow: text
            .shadow
            .map(|((x, y), colour)| ((whole(x), whole(y)), colour)),
    }
}

/// Pixels that a drawn text has at most on a picture of this size.
pub fn most_pixels(text: &Text, picture: (u32, u32)) -> u64 {
    let em = f64::from(em(text.size, picture));
    // No letter of a sane font is wider than two ems, and a line of it higher.
    let letters = f64::from(u32::try_from(text.template.longest()).unwrap_or(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, which is what is wanted"
    )]
    let pixels = ((letters * em * 2.0 + 2200.0) * (em * 2.0 + 2200.0)) as u64;
    pixels.min(Mark::MAX_PIXELS)
}

#[cfg(test)]
mod tests {
    use super::super::lettering::FONT;
    use super::super::recipe::{Anchor, Position, Subject};
    use super::*;
    use crate::template::Template;

    fn text(template: &str) -> Arc<Text> {
        Arc::new(Text {
            template: Template::parse(template).unwrap(),
            font: Arc::from(FONT),
            size: Length::Percent(10.0),
            colour: [255; 4],
            outline: Some((Relative::Percent(4.0), [0, 0, 0, 255])),
            shadow: None,
        })
    }

    fn placed(text: &Arc<Text>, margin: u32) -> PlacedMark {
        PlacedMark {
            mark: Subject::Text(Arc::clone(text)),
            opacity: 100.0,
            scale: None,
            rotate: 0.0,
            position: Position::At(Anchor::BottomRight),
            margin: Length::Pixels(margin),
            min_picture: 0,
        }
    }

    #[test]
    fn a_text_grows_with_the_picture_and_fits_into_it() {
        let text = text("Jane Doe");
        let mut letterings = Letterings::default();
        let mut find = |margin, picture| {
            let placed = placed(&text, margin);
            let found = letterings.find(&placed, &text, &About::default(), picture);
            let mark = found.unwrap().unwrap();
            (mark.width, mark.height)
        };
        let (small, large) = (find(0, (600, 400)), find(0, (1200, 800)));
        for (small, large) in [(small.0, large.0), (small.1, large.1)] {
            assert!((small * 2).abs_diff(large) <= 4, "{small} {large}");
        }
        // By the shorter side, whichever that is.
        assert_eq!(find(0, (400, 600)), small);
        let narrow = find(30, (100, 4000));
        assert!(narrow.0 <= 40 && narrow.0 >= 34, "{narrow:?}");
        assert_eq!(letterings.0.len(), 4);
    }

    #[test]
    fn what_a_picture_does_not_say_is_not_drawn() {
        let text = text("{artist}");
        let mut letterings = Letterings::default();
        let mut find = |artist: &str| {
            let about = About {
                artist: artist.to_owned(),
                ..About::default()
            };
            let size = (300, 200);
            let found = letterings.find(&placed(&text, 0), &text, &about, size);
            found.map(|mark| mark.map(|mark| mark.width))
        };
        assert_eq!(find(" "), Ok(None));
        assert!(find("Jane").unwrap() < find("Jane Doe").unwrap());
        let told = find("\u{4e00}").unwrap_err();
        assert!(told.contains("has no character '\u{4e00}'"), "{told}");
    }
}
