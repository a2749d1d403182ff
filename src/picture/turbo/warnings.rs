//! What libjpeg's warnings say of a picture: the whole list of them, `JWRN_*` in its `jerror.h`.
//!
//! TurboJPEG hands out the text of a picture's first warning alone. So one that says nothing may
//! hide one that says much: its cause is to be mended, and the picture decoded again.

/// What a warning says of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Every sample is as it was meant.
    Nothing,
    /// So many bytes in front of this marker belong to nothing. Between segments that says nothing,
    /// behind coded data the decoder may have lost its place.
    PassedOver { bytes: usize, marker: u8 },
    /// Samples are missing or invented.
    Damage,
}

/// The beginnings of the texts that say nothing, each with the reason.
const NOTHING: [(&str, &str); 5] = [
    (
        "Invalid SOS parameters for sequential JPEG",
        "JWRN_NOT_SEQUENTIAL: they can have one value only, which is taken; Samsung writes zeros",
    ),
    (
        "Warning: unknown JFIF revision number",
        "JWRN_JFIF_MAJOR: nothing is decoded otherwise for it",
    ),
    (
        "Unknown Adobe color transform code",
        "JWRN_ADOBE_XFORM: the usual transform is taken, as viewers do, and all samples are there",
    ),
    (
        "Corrupt JPEG data: bad ICC marker",
        "JWRN_BOGUS_ICC: the profile is collected by `probe`, and the samples do not hang on it",
    ),
    (
        "Application transferred too many scanlines",
        "JWRN_TOO_MUCH_DATA: the caller asked for a row below the last, which no file can cause",
    ),
];

/// The beginnings of those that mean damage, each with the reason. `JWRN_EXTRANEOUS_DATA` is in
/// neither list: it hangs on the place.
const DAMAGE: [(&str, &str); 6] = [
    (
        "Corrupt JPEG data: premature end of data segment",
        "JWRN_HIT_MARKER: blocks that did not come are made up",
    ),
    (
        "Corrupt JPEG data: bad Huffman code",
        "JWRN_HUFF_BAD_CODE: a zero is made up, and the place in the data is lost",
    ),
    (
        "Corrupt JPEG data: bad arithmetic code",
        "JWRN_ARITH_BAD_CODE: the rest of the interval is made up",
    ),
    (
        "Corrupt JPEG data: found marker",
        "JWRN_MUST_RESYNC: a restart marker is missing, and the blocks around it are made up",
    ),
    (
        "Inconsistent progression sequence",
        "JWRN_BOGUS_PROGRESSION: a scan is missing, and with it what it would have refined",
    ),
    (
        "Premature end of JPEG file",
        "JWRN_JPEG_EOF: the decoder asked for more than there is",
    ),
];

/// Whether a text is one of a warning, and not of an error.
pub fn is_warning(text: &str) -> bool {
    says(text) != Says::Damage || DAMAGE.iter().any(|(start, _)| text.starts_with(start))
}

/// What a warning says, by its text: there is nothing else to go by.
pub fn says(text: &str) -> Says {
    if NOTHING.iter().any(|(start, _)| text.starts_with(start)) {
        return Says::Nothing;
    }
    let passed_over = || {
        let numbers = text.strip_prefix("Corrupt JPEG data: ")?;
        let (bytes, marker) = numbers.split_once(" extraneous bytes before marker 0x")?;
        Some(Says::PassedOver {
            bytes: bytes.parse().ok()?,
            marker: u8::from_str_radix(marker, 16).ok()?,
        })
    };
    passed_over().unwrap_or(Says::Damage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_sorted_and_none_twice() {
        for (text, _) in NOTHING {
            assert_eq!(says(text), Says::Nothing, "{text}");
            assert!(is_warning(text), "{text}");
        }
        for (text, _) in DAMAGE {
            assert_eq!(says(text), Says::Damage, "{text}");
            assert!(is_warning(text), "{text}");
        }
        let text = "Corrupt JPEG data: 12 extraneous bytes before marker 0xd9";
        let (bytes, marker) = (12, 0xd9);
        assert_eq!(says(text), Says::PassedOver { bytes, marker });
        assert!(is_warning(text));
        assert!(!is_warning("Bogus marker length"));
    }
}
