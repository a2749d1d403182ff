//! What the prefix codes of a lossless WebP will take of memory, told before they are built (RFC 9649,
//! section 3.7). No header says how many there are: that is the highest number in an image that is
//! coded itself. So this reads the transforms and that image, but keeps none of their pixels: what is
//! copied or cached was there before, and the highest number is among those that are spelled out.

/// Bytes that the codes take in `image-webp`, of the body of a `VP8L` chunk. `None` where it is damaged.
/// What is more than `most` is not counted to its end.
pub fn of_image(body: &[u8], most: u64) -> Option<u64> {
    let image = super::super::riff::Image::of(*b"VP8L", body)?;
    of_stream(body.get(5..)?, (image.width, image.height), most)
}

/// The same behind the header.
pub fn of_stream(stream: &[u8], (width, height): (u32, u32), most: u64) -> Option<u64> {
    let mut bits = Bits {
        bytes: stream,
        at: 0,
    };
    let mut width = width;
    // Each of the four kinds comes once at most.
    for _ in 0..=4 {
        if bits.read(1)? == 0 {
            return of_main(&mut bits, (width, height), most);
        }
        match bits.read(2)? {
            0 | 1 => {
                let size = bits.read(3)? + 2;
                bits.image(shrunk(width, size), shrunk(height, size))?;
            }
            2 => {}
            _ => {
                let colours = bits.read(8)? + 1;
                bits.image(colours, 1)?;
                let packed = match colours {
                    ..=2 => 3,
                    3..=4 => 2,
                    5..=16 => 1,
                    _ => 0,
                };
                width = shrunk(width, packed);
            }
        }
    }
    None
}

fn of_main(bits: &mut Bits<'_>, (width, height): (u32, u32), most: u64) -> Option<u64> {
    let cache = bits.cache()?;
    let mut sets = 1;
    if bits.read(1)? == 1 {
        let size = bits.read(3)? + 2;
        sets = u64::from(bits.image(shrunk(width, size), shrunk(height, size))?) + 1;
    }
    let mut sum = 0_u64;
    for _ in 0..sets {
        for alphabet in alphabets(cache) {
            sum = sum.saturating_add(bits.code(alphabet)?.bytes());
        }
        if sum > most {
            break;
        }
    }
    Some(sum)
}

fn shrunk(side: u32, bits: u32) -> u32 {
    side.div_ceil(1 << bits)
}

/// Symbols of green with lengths and the cache, red, blue, alpha, distances.
fn alphabets(cache: u32) -> [u32; 5] {
    let cached = if cache == 0 { 0 } else { 1 << cache };
    [256 + 24 + cached, 256, 256, 256, 40]
}

/// The order in which the lengths of the code of lengths are told.
const ORDER: [usize; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The longest code, in bits.
const LONGEST: usize = 15;

/// A canonical code: how many symbols have each length, and the symbols by length and value.
#[derive(Debug, Default)]
struct Code {
    counts: [u32; LONGEST + 1],
    symbols: Vec<u32>,
}

impl Code {
    /// `None` where the lengths leave codes unused or use some twice.
    fn of(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0_u32; LONGEST + 1];
        for &length in lengths {
            *counts.get_mut(usize::from(length))? += 1;
        }
        counts[0] = 0;
        let (mut places, mut used) = ([0; LONGEST + 1], 0);
        for (place, count) in places.iter_mut().zip(counts) {
            *place = used;
            used += count as usize;
        }
        let mut symbols = vec![0; used];
        for (&length, symbol) in lengths.iter().zip(0..).filter(|(length, _)| **length > 0) {
            let place = places.get_mut(usize::from(length))?;
            *symbols.get_mut(*place)? = symbol;
            *place += 1;
        }
        let used: u32 = counts
            .iter()
            .zip(0..)
            .map(|(count, length)| count << (15 - length))
            .sum();
        let is_whole = used == 1 << 15;
        (is_whole || symbols.len() == 1).then_some(Self { counts, symbols })
    }

    /// Of one symbol, which takes no bits, or of two.
    fn simple(symbols: Vec<u32>) -> Self {
        let mut counts = [0; LONGEST + 1];
        counts[1] = if symbols.len() > 1 { 2 } else { 1 };
        Self { counts, symbols }
    }

    /// Bytes of its table in `image-webp`: 4 for each code of 10 bits at most, and 16 for both
    /// branches of what is longer, room that grows by doubling included.
    fn bytes(&self) -> u64 {
        if self.symbols.len() < 2 {
            return 80;
        }
        let bits = self
            .counts
            .iter()
            .rposition(|count| *count > 0)
            .unwrap_or(0);
        let longer: u32 = self.counts.iter().skip(11).sum();
        80 + (4 << bits.min(10)) + u64::from(longer) * 128
    }
}

/// Bits, lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value |= u32::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(value)
    }

    /// Bits of the cache of colours; 0 where there is none.
    fn cache(&mut self) -> Option<u32> {
        if self.read(1)? == 0 {
            return Some(0);
        }
        self.read(4).filter(|bits| (1..=11).contains(bits))
    }

    fn symbol(&mut self, code: &Code) -> Option<u32> {
        if let [only] = code.symbols[..] {
            return Some(only);
        }
        let (mut found, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for &count in &code.counts[1..] {
            found = found << 1 | self.read(1)?;
            if let Some(within) = found.checked_sub(first).filter(|within| *within < count) {
                return code.symbols.get((index + within) as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
        }
        None
    }

    fn code(&mut self, alphabet: u32) -> Option<Code> {
        if self.read(1)? == 1 {
            let two = self.read(1)? == 1;
            let wide = self.read(1)?;
            let mut symbols = vec![self.read(1 + 7 * wide)?];
            if two {
                symbols.push(self.read(8)?);
            }
            return Some(Code::simple(symbols));
        }
        let mut lengths = [0_u8; ORDER.len()];
        for place in ORDER.iter().take(self.read(4)? as usize + 4) {
            lengths[*place] = u8::try_from(self.read(3)?).ok()?;
        }
        let of_lengths = Code::of(&lengths)?;
        let mut told = if self.read(1)? == 1 {
            let bits = self.read(3)? * 2 + 2;
            self.read(bits)? + 2
        } else {
            alphabet
        };
        let alphabet = alphabet as usize;
        let mut lengths = Vec::with_capacity(alphabet);
        let mut before = 8;
        while lengths.len() < alphabet && told > 0 {
            told -= 1;
            let (length, times) = match u8::try_from(self.symbol(&of_lengths)?).ok()? {
                16 => (before, self.read(2)? + 3),
                17 => (0, self.read(3)? + 3),
                18 => (0, self.read(7)? + 11),
                length => (length, 1),
            };
            if length != 0 {
                before = length;
            }
            let filled = lengths.len() + times as usize;
            lengths.resize(Some(filled).filter(|filled| *filled <= alphabet)?, length);
        }
        Code::of(&lengths)
    }

    /// Passes an image that has one set of codes. Returns the highest number that red and green
    /// make in it.
    fn image(&mut self, width: u32, height: u32) -> Option<u32> {
        let cache = self.cache()?;
        let mut codes = Vec::with_capacity(5);
        for alphabet in alphabets(cache) {
            codes.push(self.code(alphabet)?);
        }
        let [green, red, blue, alpha, distance] = &codes[..] else {
            return None;
        };
        let (pixels, mut at, mut highest) = (u64::from(width) * u64::from(height), 0_u64, 0);
        while at < pixels {
            let first = self.symbol(green)?;
            match first {
                ..256 => {
                    highest = highest.max(self.symbol(red)? << 8 | first);
                    self.symbol(blue)?;
                    self.symbol(alpha)?;
                    at += 1;
                }
                256..280 => {
                    at += u64::from(self.length(first - 256)?);
                    let distance = self.symbol(distance)?;
                    self.length(distance)?;
                }
                _ => at += 1,
            }
        }
        Some(highest)
    }

    /// A length or distance by its prefix.
    fn length(&mut self, prefix: u32) -> Option<u32> {
        if prefix < 4 {
            return Some(prefix + 1);
        }
        let extra = (prefix - 2) >> 1;
        let offset = (2 + (prefix & 1)) << extra;
        Some(offset + self.read(extra)? + 1)
    }
}
