//! Which results of a JPEG can be made of one decode.
//!
//! The largest result is decoded for. Those that are no larger in any way are scaled from its planes, before
//! anything else is done to them.

use super::geometry::Task;
use super::planes::Sampling;
use super::recipe::Format;

/// Which of the tasks is decoded for, if another can be made of it.
pub fn base(tasks: &[Option<Task<'_>>]) -> Option<usize> {
    let candidates = tasks.iter().enumerate().filter_map(|(index, task)| {
        let task = task.as_ref()?;
        let fits = task.wanted == Format::Jpeg && !task.geometry.enlarges();
        fits.then_some((task.padded_area(), index))
    });
    // Of equal ones the first.
    let (_, base) = candidates.max_by_key(|(area, index)| (*area, usize::MAX - index))?;
    let whole = tasks[base].as_ref()?;
    let mut others = (0..tasks.len()).filter(|index| *index != base);
    others
        .any(|index| {
            tasks[index]
                .as_ref()
                .is_some_and(|task| derives(task, whole))
        })
        .then_some(base)
}

/// Whether a result can be made of the planes of `base`.
pub fn derives(task: &Task<'_>, base: &Task<'_>) -> bool {
    let ((width, height), (most_width, most_height)) = (task.size(), base.size());
    let within = |times: u32| {
        let fits = |side: u32, most: u32| side.saturating_mul(times) <= most;
        fits(width, most_width) && fits(height, most_height)
    };
    // At half the size, half of the colours are all of them.
    let has_colours = task.sampling() == base.sampling() || base.sampling() == Sampling::S444;
    !task.geometry.enlarges() && (within(1) && has_colours || within(2))
}

#[cfg(test)]
mod tests {
    use super::super::probe::Probe;
    use super::super::recipe::{Chroma, Recipe, Size};
    use super::super::tests::recipe;
    use super::*;

    #[test]
    fn the_largest_jpeg_is_decoded_for() {
        let source = Probe {
            format: Format::Jpeg,
            width: 400,
            height: 300,
            orientation: 1,
            lossless: false,
            damaged: None,
        };
        let (jpeg, png) = (Format::Jpeg, Format::Png);
        let (half, full) = (Chroma::Half, Chroma::Full);
        for (wanted, expected) in [
            (vec![(150, jpeg, half), (60, jpeg, half)], Some(0)),
            (
                vec![(60, jpeg, half), (150, jpeg, half), (150, jpeg, half)],
                Some(1),
            ),
            // Alone, or larger than what there is.
            (vec![(150, jpeg, half)], None),
            (vec![(600, jpeg, half), (60, jpeg, half)], None),
            // Full colours come of full ones, or of twice the size.
            (vec![(150, jpeg, half), (100, jpeg, full)], None),
            (vec![(150, jpeg, half), (75, jpeg, full)], Some(0)),
            (vec![(150, jpeg, full), (100, jpeg, half)], Some(0)),
            (vec![(150, png, half), (100, jpeg, half)], None),
            (vec![(150, jpeg, half), (75, png, half)], Some(0)),
        ] {
            let recipes: Vec<Recipe> = wanted
                .iter()
                .map(|&(height, _, chroma)| Recipe {
                    size: Size::Height(height),
                    chroma,
                    max_pixels: 1_000_000,
                    ..recipe()
                })
                .collect();
            let tasks: Vec<_> = wanted
                .iter()
                .zip(&recipes)
                .map(|(&(_, wanted, _), recipe)| Task::plan(source, wanted, recipe).ok())
                .collect();
            assert_eq!(base(&tasks), expected, "{wanted:?}");
        }
    }
}
