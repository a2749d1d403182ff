//! The orientation tag of an EXIF block (TIFF 6.0 layout): the only thing read from it.

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation, 1..=8, of a TIFF block (without the `Exif\0\0` that precedes it in JPEG);
/// 1 where it has none or makes no sense.
pub fn orientation(tiff: &[u8]) -> u8 {
    find(tiff).unwrap_or(1)
}

fn find(tiff: &[u8]) -> Option<u8> {
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long = |at: usize| -> Option<usize> {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let value = if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        usize::try_from(value).ok()
    };
    if short(2)? != 42 {
        return None;
    }
    let directory = long(4)?;
    let entries = usize::from(short(directory)?);
    for entry in 0..entries {
        let at = directory.checked_add(2 + entry * 12)?;
        if short(at)? == ORIENTATION {
            // Some writers store it as LONG: in little-endian files the low half comes first.
            let value = if short(at + 2)? == SHORT || little {
                short(at + 8)?
            } else {
                short(at + 10)?
            };
            return u8::try_from(value)
                .ok()
                .filter(|value| (1..=8).contains(value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(little: bool, tag: u16, value: u16) -> Vec<u8> {
        let short = |v: u16| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let long = |v: u32| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let mut tiff = if little {
            b"II".to_vec()
        } else {
            b"MM".to_vec()
        };
        tiff.extend(short(42));
        tiff.extend(long(8));
        tiff.extend(short(1));
        tiff.extend(short(tag));
        tiff.extend(short(SHORT));
        tiff.extend(long(1));
        tiff.extend(short(value));
        tiff.extend([0, 0]);
        tiff
    }

    #[test]
    fn reads_both_byte_orders() {
        for little in [true, false] {
            for value in 1..=8u8 {
                assert_eq!(
                    orientation(&block(little, ORIENTATION, value.into())),
                    value
                );
            }
        }
    }

    #[test]
    fn nonsense_is_upright() {
        let good = block(true, ORIENTATION, 6);
        for cut in 0..good.len() - 2 {
            assert_eq!(orientation(&good[..cut.min(17)]), 1);
        }
        assert_eq!(orientation(&block(true, ORIENTATION, 9)), 1);
        assert_eq!(orientation(&block(true, 0x0113, 6)), 1);
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), 1);
    }
}
