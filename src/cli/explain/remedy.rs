//! What to do about a failure that a key of the configuration decides. Read from the reason, which
//! the ledger keeps as a text: for people, and nothing is steered by it.

/// The key and the value that let a picture through, if a limit was in the way.
pub fn remedy(reason: &str) -> Option<String> {
    too_many_pixels(reason).or_else(|| too_much_memory(reason))
}

/// `131×97 pixels are above max_pixels 1000`
fn too_many_pixels(reason: &str) -> Option<String> {
    let (before, _) = reason.split_once(" pixels are above max_pixels ")?;
    let size = before.rsplit(' ').next()?;
    let (width, height) = size.split_once('×')?;
    let pixels = width
        .parse::<u64>()
        .ok()?
        .checked_mul(height.parse().ok()?)?;
    Some(format!("set `max_pixels: {pixels}` or more, reload"))
}

/// `needs 120 MiB of memory, max_memory is 64 MiB`
fn too_much_memory(reason: &str) -> Option<String> {
    let (before, _) = reason.split_once(" of memory, max_memory is ")?;
    let (_, need) = before.rsplit_once("needs ")?;
    Some(format!("set `max_memory` above {need}, reload"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_key_and_value() {
        for (reason, told) in [
            (
                "131×97 pixels are above max_pixels 1000",
                Some("set `max_pixels: 12707` or more, reload"),
            ),
            (
                "decode: 20000×10000 pixels are above max_pixels 100000000",
                Some("set `max_pixels: 200000000` or more, reload"),
            ),
            (
                "needs 792 MiB of memory, max_memory is 64 MiB",
                Some("set `max_memory` above 792 MiB, reload"),
            ),
            ("premature end of data", None),
            ("a×b pixels are above max_pixels 1", None),
        ] {
            assert_eq!(remedy(reason).as_deref(), told, "{reason}");
        }
    }
}
