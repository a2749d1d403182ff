//! Causes of failure in words for people. The crate `png` hides the kinds of its errors, and its
//! texts show how it stores chunk types, so the texts are what there is to work on.

/// What is wrong with a PNG.
pub fn of_png(error: &png::DecodingError) -> String {
    if let png::DecodingError::LimitsExceeded = error {
        return "its profile or its rows take more memory than any picture needs".to_owned();
    }
    in_words(&error.to_string())
}

fn in_words(text: &str) -> String {
    let text = named(text);
    let text = text.trim_end_matches('.');
    if let Some((_, chunk)) = text.split_once("while decoding ")
        && text.starts_with("CRC error")
    {
        let chunk = chunk.trim_end_matches(" chunk");
        return format!("chunk {chunk} has a wrong checksum");
    }
    if let Some(kind) = text.strip_prefix("Corrupt deflate stream. ") {
        return if kind == "InsufficientInput" {
            "the compressed picture data ends too early".to_owned()
        } else {
            "the compressed picture data is damaged".to_owned()
        };
    }
    match text {
        "IDAT or fdAT chunk is missing" => "there is no chunk IDAT".to_owned(),
        "IDAT or fDAT chunk does not have enough data for image" => {
            "chunk IDAT has less data than the picture".to_owned()
        }
        _ => uncapitalised(text),
    }
}

/// The text with each `ChunkType { type: IDAT, … }` in it replaced by the bare name.
fn named(text: &str) -> String {
    let mut parts = text.split("ChunkType { type: ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.split(',').next().unwrap_or_default();
        let rest = part.split_once(" }").map_or("", |(_, rest)| rest);
        out.push_str(name);
        out.push_str(rest);
    }
    out
}

/// Names of chunks, such as IDAT, keep their letters.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_rust_is_left() {
        let chunk = |name| {
            format!(
                "ChunkType {{ type: {name}, critical: true, private: false, reserved: false, \
                 safecopy: false }}"
            )
        };
        for (text, expected) in [
            (
                format!(
                    "CRC error: expected 0x1 have 0x2 while decoding {} chunk.",
                    chunk("PLTE")
                ),
                "chunk PLTE has a wrong checksum",
            ),
            (
                format!("Chunk {} is invalid after PLTE chunk.", chunk("gAMA")),
                "chunk gAMA is invalid after PLTE chunk",
            ),
            (
                format!("Chunk length wrong: {}", chunk("IHDR")),
                "chunk length wrong: IHDR",
            ),
            (
                format!("{} chunk appeared before IHDR chunk", chunk("IDAT")),
                "IDAT chunk appeared before IHDR chunk",
            ),
            (
                "Corrupt deflate stream. InsufficientInput".to_owned(),
                "the compressed picture data ends too early",
            ),
            (
                "Corrupt deflate stream. WrongChecksum".to_owned(),
                "the compressed picture data is damaged",
            ),
            (
                "IDAT or fdAT chunk is missing.".to_owned(),
                "there is no chunk IDAT",
            ),
            ("Invalid bit depth 3.".to_owned(), "invalid bit depth 3"),
            (String::new(), ""),
        ] {
            assert_eq!(in_words(&text), expected);
        }
    }
}
