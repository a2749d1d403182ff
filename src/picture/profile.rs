//! Colour profiles as bytes: put together from their parts, and asked what they describe.

/// Puts a profile together from its numbered parts (ICC.1 annex B.4).
pub fn join(parts: &mut [(u8, u8, &[u8])], icc: &mut Vec<u8>) {
    parts.sort_by_key(|(number, ..)| *number);
    let whole = parts
        .iter()
        .zip(1..)
        .all(|(&(number, count, _), expected)| {
            i32::from(number) == expected && usize::from(count) == parts.len()
        });
    if whole {
        for (.., part) in parts {
            icc.extend_from_slice(part);
        }
    }
}

/// The data colour space of a profile (ICC.1 7.2.6).
pub fn colour_space(icc: &[u8]) -> Option<&[u8; 4]> {
    icc.get(16..20)?.try_into().ok()
}

/// The profile if it describes this kind of picture (ICC.1 7.2.6, data colour space): a CMYK
/// profile does not describe the RGB that became of it, nor a grey one a picture that took colour.
pub fn fitting(icc: &[u8], grey: bool) -> &[u8] {
    let wanted = if grey { b"GRAY" } else { b"RGB " };
    if colour_space(icc) == Some(wanted) {
        icc
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fitting_profile_is_kept() {
        let mut icc = vec![0; 128];
        icc[16..20].copy_from_slice(b"RGB ");
        assert_eq!(fitting(&icc, false), &icc[..]);
        assert_eq!(fitting(&icc, true), b"");
        assert_eq!(fitting(b"short", false), b"");
    }
}
