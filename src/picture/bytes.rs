//! Counts of bytes that end at the largest number instead of wrapping: a header may claim any size.

pub fn times(one: u64, other: u64) -> u64 {
    one.saturating_mul(other)
}

pub fn sum(parts: impl IntoIterator<Item = u64>) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

/// One byte for each pixel.
pub fn area((width, height): (u32, u32)) -> u64 {
    times(u64::from(width), u64::from(height))
}
