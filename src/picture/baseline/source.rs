//! Coded data: the stuffing taken out, and bits taken from the rest.
//!
//! The data are unstuffed piece by piece into a buffer that the processor's cache holds. Before
//! each group of blocks the buffer has at least as much as they can take, so that the loop over
//! the bits need not look for an end. What comes behind the end is noticed after the group.

/// Blocks that are decoded without a look at what is left.
pub const GROUP: usize = 160;

/// Bytes that these take at most: 27 bits for the first coefficient, 26 for each other.
const MOST: usize = GROUP * (27 + 63 * 26) / 8 + 8;

/// Where the buffer counts as full; behind it there is room for a group that overshoots.
const FULL: usize = LENGTH - MOST - 16;
const LENGTH: usize = 1 << 17;

/// The buffer. The bits' positions are masked, so that no read needs a check.
pub type Data = [u8; LENGTH + 8];

/// Where reading stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bits {
    /// The next bits, leftmost first.
    pub front: u64,
    /// How many of them count.
    left: u32,
    /// The next byte of the buffer.
    at: usize,
}

impl Bits {
    /// Makes 56 bits or more count.
    #[inline(always)]
    pub fn refill(&mut self, data: &Data) {
        let at = self.at & (LENGTH - 1);
        if let Some(next) = data[at..].first_chunk() {
            self.front |= u64::from_be_bytes(*next) >> self.left;
        }
        self.at += ((63 - self.left) >> 3) as usize;
        self.left |= 0x38;
    }

    /// Drops bits, fewer than 64.
    #[inline(always)]
    pub fn consume(&mut self, bits: u32) {
        self.front <<= bits & 63;
        self.left = self.left.wrapping_sub(bits & 63);
    }
}

/// The coded data of a scan, an interval between restarts at a time.
pub struct Source<'a, 'd> {
    jpeg: &'a [u8],
    /// The next byte to be unstuffed.
    at: usize,
    data: &'d mut Data,
    filled: usize,
    /// A marker, or the end of the file, was reached.
    ended: bool,
    bits: Bits,
}

impl<'a, 'd> Source<'a, 'd> {
    pub fn new(jpeg: &'a [u8], data: &'d mut Data) -> Self {
        Self {
            jpeg,
            at: 0,
            data,
            filled: 0,
            ended: false,
            bits: Bits::default(),
        }
    }

    /// Where reading stands, and the data, with enough of them for a group of blocks.
    pub fn ready(&mut self) -> (&mut Bits, &Data) {
        if !self.ended && self.filled < self.bits.at + MOST {
            self.fill();
        }
        (&mut self.bits, self.data)
    }

    fn fill(&mut self) {
        // Bits that were taken already stand in at most 8 bytes.
        let done = self.bits.at.saturating_sub(8).min(self.filled);
        self.data.copy_within(done..self.filled, 0);
        self.filled -= done;
        self.bits.at -= done;
        while !self.ended && self.filled < FULL {
            let rest = self.jpeg.get(self.at..).unwrap_or_default();
            let piece = &rest[..rest.len().min(FULL - self.filled)];
            match memchr::memchr(0xff, piece) {
                None => {
                    self.take(piece);
                    self.at += piece.len();
                    self.ended = piece.len() == rest.len();
                }
                Some(at) if rest.get(at + 1) == Some(&0) => {
                    self.take(&piece[..=at]);
                    self.at += at + 2;
                }
                Some(at) => {
                    self.take(&piece[..at]);
                    self.at += at;
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.data[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    /// Whether reading has gone beyond the end.
    pub fn overdrawn(&self) -> bool {
        self.taken() > self.filled * 8
    }

    /// Bits of the buffer that were consumed.
    fn taken(&self) -> usize {
        (self.bits.at * 8).saturating_sub(self.bits.left as usize)
    }

    /// Whether reading stands at the end, with less than a byte to go.
    pub fn finished(&mut self) -> bool {
        if !self.ended {
            self.fill();
        }
        let taken = self.taken();
        self.ended && (taken..taken + 8).contains(&(self.filled * 8))
    }

    /// Goes on behind the restart marker of this number, which must follow.
    pub fn restart(&mut self, number: u8) -> Option<()> {
        if self.following(2) != [0xff, 0xd0 | (number & 7)] {
            return None;
        }
        self.at += 2;
        self.filled = 0;
        self.ended = false;
        self.bits = Bits::default();
        Some(())
    }

    /// The bytes behind the data, as many as there are of these.
    pub fn following(&self, length: usize) -> &'a [u8] {
        let rest = self.jpeg.get(self.at..).unwrap_or_default();
        &rest[..rest.len().min(length)]
    }
}
