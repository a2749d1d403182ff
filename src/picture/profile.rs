//! Colour profiles as bytes: put together from their parts, and asked what they describe.

/// What the body of a JPEG's APP2 segment starts with if it is a part of a profile.
pub const TAG: &[u8] = b"ICC_PROFILE\0";

/// Parts of a profile: their number is a byte.
const MOST_PARTS: usize = 255;

/// The parts of a JPEG's profile, in any order.
#[derive(Debug, Default)]
pub struct Parts<'a>(Vec<Part<'a>>);

#[derive(Debug)]
struct Part<'a> {
    /// From 1 on.
    number: u8,
    /// Of all parts.
    count: u8,
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes the body of an APP2 segment, if it is a part.
    pub fn add(&mut self, body: &'a [u8]) {
        if let Some([number, count, bytes @ ..]) = body.strip_prefix(TAG)
            && self.0.len() < MOST_PARTS
        {
            self.0.push(Part {
                number: *number,
                count: *count,
                bytes,
            });
        }
    }

    /// Appends the profile (ICC.1 annex B.4) if no part is missing.
    pub fn join(mut self, icc: &mut Vec<u8>) {
        self.0.sort_by_key(|part| part.number);
        let whole = self.0.iter().zip(1..).all(|(part, expected)| {
            i32::from(part.number) == expected && usize::from(part.count) == self.0.len()
        });
        if whole {
            for part in &self.0 {
                icc.extend_from_slice(part.bytes);
            }
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
