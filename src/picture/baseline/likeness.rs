//! Our decoder against libjpeg-turbo, over pictures of all kinds that a writer in this file makes,
//! and over damaged copies of them: the same samples and no warning, or a refusal.
//!
//! `WATERMARKD_LIKENESS=SECONDS` goes on for so long, from a seed that it prints;
//! `WATERMARKD_SEED=N` repeats one. `WATERMARKD_CORPUS=DIR` and the ignored test take real pictures.

#![expect(clippy::cast_sign_loss, reason = "sides are not negative")]

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::planes::Planes;
use super::super::turbo::{AtWarning, Decompressor};
use super::*;

/// Numbers that depend on a seed alone.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// Bits on their way into coded data.
#[derive(Default)]
struct Pen {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Pen {
    fn write(&mut self, value: u32, bits: u32) {
        self.held = self.held << bits | u64::from(value) & ((1 << bits) - 1);
        self.count += bits;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    fn fill_up(&mut self) {
        let missing = (8 - self.count % 8) % 8;
        self.write(0x7f, missing);
    }
}

/// A Huffman table for these symbols, with code lengths by chance.
struct Code {
    counts: [u8; 16],
    symbols: Vec<u8>,
    codes: Vec<(u32, u32)>,
}

impl Code {
    fn new(mut symbols: Vec<u8>, dice: &mut Dice) -> Self {
        for last in (1..symbols.len()).rev() {
            symbols.swap(last, dice.below(last + 1));
        }
        let (mut counts, mut codes) = ([0; 16], Vec::new());
        let mut code = 0;
        for bits in 1..=16_u32 {
            let left = symbols.len() - codes.len();
            let free = (1_usize << bits) - code as usize;
            // The others must fit into longer codes, and ones alone are no code.
            let most = (0..=left.min(free).min(255)).rev().find(|taken| {
                let rest = (free - taken) << (16 - bits);
                rest > left - taken
            });
            let most = most.unwrap_or(0);
            let taken = if bits == 16 {
                left
            } else {
                dice.below(most + 1)
            };
            let taken = if dice.one_in(3) { most } else { taken };
            counts[bits as usize - 1] = u8::try_from(taken).unwrap();
            for _ in 0..taken {
                codes.push((code, bits));
                code += 1;
            }
            code <<= 1;
        }
        Self {
            counts,
            symbols,
            codes,
        }
    }

    fn write(&self, symbol: u8, pen: &mut Pen) {
        let at = self.symbols.iter().position(|known| *known == symbol);
        let (code, bits) = self.codes[at.unwrap()];
        pen.write(code, bits);
    }

    fn segment(&self, class: u8, out: &mut Vec<u8>) {
        out.extend([
            0xff,
            0xc4,
            0,
            u8::try_from(19 + self.symbols.len()).unwrap(),
            class,
        ]);
        out.extend(self.counts);
        out.extend(&self.symbols);
    }
}

/// How a value is written: its bits, and how many.
fn bits_of(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let value = if value < 0 { value - 1 } else { value };
    (value.cast_unsigned(), size)
}

/// Writes pictures of any content.
struct Writer {
    dc: Code,
    ac: Code,
    /// Quantization.
    step: u8,
    /// Coefficients are up to 2 to this power.
    loudness: u32,
    interval: usize,
    factors: Vec<(usize, usize)>,
    size: (usize, usize),
}

impl Writer {
    fn new(dice: &mut Dice) -> Self {
        let luma = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)][dice.below(6)];
        let factors = if dice.one_in(4) {
            vec![luma]
        } else {
            vec![luma, (1, 1), (1, 1)]
        };
        let ac = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
        Self {
            dc: Code::new((0..12).collect(), dice),
            ac: Code::new(ac.chain([0, 0xf0]).collect(), dice),
            step: [1, 2, 7, 40, 255][dice.below(5)],
            loudness: 1 + dice.below(9) as u32,
            interval: [0, 0, 1, 3, 16, 50][dice.below(6)],
            factors,
            size: (1 + dice.below(300), 1 + dice.below(70)),
        }
    }

    fn picture(&self, dice: &mut Dice) -> Vec<u8> {
        let mut out = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
        out.extend([self.step; 64]);
        let count = u8::try_from(self.factors.len()).unwrap();
        let sides =
            [self.size.1, self.size.0].map(|side| u16::try_from(side).unwrap().to_be_bytes());
        out.extend([0xff, 0xc0, 0, 8 + 3 * count, 8]);
        out.extend(sides.concat());
        out.push(count);
        for (id, (across, down)) in (1..).zip(&self.factors) {
            out.extend([id, u8::try_from(across << 4 | down).unwrap(), 0]);
        }
        self.dc.segment(0, &mut out);
        self.ac.segment(0x10, &mut out);
        out.extend([0xff, 0xdd, 0, 4]);
        out.extend(u16::try_from(self.interval).unwrap().to_be_bytes());
        let all: Vec<usize> = (0..self.factors.len()).collect();
        let scans = match (all.len(), dice.below(4)) {
            (3, 0) => vec![vec![0], vec![1], vec![2]],
            (3, 1) => vec![vec![0], vec![1, 2]],
            _ => vec![all],
        };
        for scan in scans {
            self.scan(&scan, &mut out, dice);
        }
        out.extend([0xff, 0xd9]);
        out
    }

    fn scan(&self, components: &[usize], out: &mut Vec<u8>, dice: &mut Dice) {
        let count = u8::try_from(components.len()).unwrap();
        out.extend([0xff, 0xda, 0, 6 + 2 * count, count]);
        for component in components {
            out.extend([1 + u8::try_from(*component).unwrap(), 0]);
        }
        out.extend([0, 63, 0]);
        let most = self.factors[0];
        let units = |side: usize, of: usize, most: usize| (side * of).div_ceil(8 * most);
        let (mcus, blocks) = if let [alone] = *components {
            let (across, down) = self.factors[alone];
            let columns = units(self.size.0, across, most.0);
            (columns * units(self.size.1, down, most.1), vec![0])
        } else {
            let blocks = components.iter().enumerate();
            let blocks = blocks.flat_map(|(index, component)| {
                let (across, down) = self.factors[*component];
                vec![index; across * down]
            });
            let mcus = units(self.size.0, 1, most.0) * units(self.size.1, 1, most.1);
            (mcus, blocks.collect())
        };
        let mut pen = Pen::default();
        let mut previous = [0; 3];
        for mcu in 0..mcus {
            if self.interval > 0 && mcu > 0 && mcu % self.interval == 0 {
                pen.fill_up();
                let number = (mcu / self.interval - 1) % 8;
                pen.bytes
                    .extend([0xff, 0xd0 + u8::try_from(number).unwrap()]);
                previous = [0; 3];
            }
            for block in &blocks {
                self.block(&mut previous[*block], &mut pen, dice);
            }
        }
        pen.fill_up();
        out.extend(pen.bytes);
    }

    fn block(&self, previous: &mut i32, pen: &mut Pen, dice: &mut Dice) {
        let loud = |dice: &mut Dice| {
            let most = 1 << dice.below(self.loudness as usize + 1);
            i32::try_from(dice.below(2 * most + 1)).unwrap() - i32::try_from(most).unwrap()
        };
        let first = loud(dice);
        let (bits, size) = bits_of(first - *previous);
        *previous = first;
        self.dc.write(u8::try_from(size).unwrap(), pen);
        pen.write(bits, size);
        let mut at = 1;
        let many = [1, 4, 30][dice.below(3)];
        while at < 64 && !dice.one_in(many) {
            let value = loud(dice);
            let run = if many == 30 {
                dice.below(3)
            } else {
                dice.below(20)
            };
            if at + run > 63 || value == 0 {
                break;
            }
            at += run + 1;
            for _ in 0..run / 16 {
                self.ac.write(0xf0, pen);
            }
            let (bits, size) = bits_of(value);
            self.ac
                .write(u8::try_from((run % 16) << 4).unwrap() | size as u8, pen);
            pen.write(bits, size);
        }
        if at < 64 {
            self.ac.write(0, pen);
        }
    }
}

/// A copy with something wrong.
fn damaged(jpeg: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes.insert(at, dice.byte()),
            2 => drop(bytes.remove(at)),
            3 => bytes[at] ^= 1 << dice.below(8),
            4 => bytes
                .splice(at..at, [0xff, 0xd0 + dice.byte() % 10])
                .for_each(drop),
            _ => bytes[at] = dice.byte(),
        }
        if bytes.len() < 4 {
            break;
        }
    }
    bytes
}

/// Both decoders' planes.
#[derive(Default)]
struct Bench {
    baseline: Baseline,
    ours: Planes,
    theirs: Planes,
}

impl Bench {
    /// Whether ours decodes it. Fails where it does and libjpeg-turbo has other samples, a warning,
    /// or an error.
    fn compare(&mut self, jpeg: &[u8], eighths: u32, processor: Processor) -> Result<bool, String> {
        let mut decompressor = Decompressor::new().unwrap();
        let Ok(header) = decompressor.header(jpeg) else {
            return Ok(false);
        };
        let Some(sampling) = header.sampling else {
            return Ok(false);
        };
        let picture = ((header.width, header.height), sampling);
        let ours = self.baseline.planes_by(
            processor,
            jpeg,
            picture,
            eighths,
            (&mut self.ours, &mut Whole),
        );
        if ours.is_none() {
            return Ok(false);
        }
        match decompressor.planes(jpeg, eighths, AtWarning::GoOn, &mut self.theirs) {
            Ok(None) => differ(&self.ours, &self.theirs).map(|()| true),
            other => Err(format!("libjpeg-turbo says {other:?}")),
        }
    }
}

/// Compares what is picture, without padding.
fn differ(ours: &Planes, theirs: &Planes) -> Result<(), String> {
    for (index, (ours, theirs)) in ours.used().iter().zip(theirs.used()).enumerate() {
        assert_eq!(
            (ours.width, ours.height, ours.area),
            (theirs.width, theirs.height, theirs.area)
        );
        let columns = (theirs.area.width.ceil() as usize).min(ours.width);
        let rows = theirs.area.height.ceil() as usize;
        let both = ours
            .samples
            .chunks(ours.width)
            .zip(theirs.samples.chunks(ours.width));
        for (row, (ours, theirs)) in both.take(rows).enumerate() {
            if let Some(column) = (0..columns).find(|column| ours[*column] != theirs[*column]) {
                let (our, their) = (ours[column], theirs[column]);
                return Err(format!(
                    "plane {index}, {column}, {row}: {our}, not {their}"
                ));
            }
        }
    }
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|number| number.parse().unwrap())
}

#[test]
fn samples_are_those_of_libjpeg_turbo() {
    let lasting = number("WATERMARKD_LIKENESS").map(Duration::from_secs);
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let chosen = number("WATERMARKD_SEED");
    let seed = chosen.unwrap_or_else(|| lasting.map_or(1, |_| clock() << 20));
    println!("seed {seed}");
    let mut bench = Bench::default();
    let (start, mut taken, mut round) = (Instant::now(), [0, 0], 0);
    while lasting.map_or(round < 400, |lasting| start.elapsed() < lasting) {
        let dice = &mut Dice(seed + round);
        let whole = Writer::new(dice).picture(dice);
        let eighths = 1 + dice.below(8) as u32;
        for (kind, copies) in [1, 12].into_iter().enumerate() {
            for _ in 0..copies {
                let jpeg = if kind == 0 {
                    whole.clone()
                } else {
                    damaged(&whole, dice)
                };
                for processor in [Processor::PLAIN, Processor::this()] {
                    match bench.compare(&jpeg, eighths, processor) {
                        Ok(decoded) => taken[kind] += u64::from(decoded),
                        Err(cause) => {
                            panic!("WATERMARKD_SEED={}: {eighths}/8: {cause}", seed + round)
                        }
                    }
                }
            }
        }
        round += 1;
    }
    println!(
        "{round} pictures, twice: {} decoded, and {} damaged copies",
        taken[0], taken[1]
    );
    assert!(taken[0] > round, "too few are decoded: {}", taken[0]);
    assert!(
        taken[1] > round / 4,
        "damage in samples is no damage: {}",
        taken[1]
    );
}

/// Of three components, each in a scan of its own.
fn in_scans(size: (usize, usize), step: u8) -> (Writer, Dice) {
    let mut dice = Dice(7);
    let mut writer = Writer::new(&mut dice);
    writer.factors = vec![(2, 2), (1, 1), (1, 1)];
    (writer.size, writer.loudness, writer.step) = (size, 4, step);
    (writer, dice)
}

#[test]
fn segments_of_impossible_length_between_scans_are_refused() {
    let (writer, mut dice) = in_scans((90, 50), 2);
    let picture = std::iter::repeat_with(|| writer.picture(&mut dice)).take(100);
    let scans =
        |jpeg: &[u8]| -> Vec<usize> { memchr::memmem::find_iter(jpeg, b"\xff\xda\0").collect() };
    let jpeg = picture.into_iter().find(|jpeg| scans(jpeg).len() == 3);
    let (jpeg, mut bench) = (jpeg.unwrap(), Bench::default());
    let at = scans(&jpeg)[1];
    let mut compare = |between: &[u8]| {
        let bytes = [&jpeg[..at], between, &jpeg[at..]].concat();
        bench.compare(&bytes, 3, Processor::this())
    };
    assert_eq!(compare(b"\xff\xfe\0\x02"), Ok(true), "an empty comment");
    for marker in [0xc0, 0xc4, 0xcc, 0xdb, 0xdd, 0xde, 0xe1, 0xfe] {
        for length in [0, 1] {
            let between = [0xff, marker, 0, length];
            assert_eq!(compare(&between), Ok(false), "{between:02x?}");
        }
    }
}

/// The coded data of a scan go through a buffer of 128 KiB.
#[test]
fn pictures_larger_than_the_buffer_are_alike() {
    let (mut writer, mut dice) = in_scans((3000, 1400), 2);
    for interval in [0, 2000] {
        writer.interval = interval;
        let jpeg = writer.picture(&mut dice);
        assert!(jpeg.len() > 600_000, "only {} bytes", jpeg.len());
        let mut bench = Bench::default();
        assert_eq!(bench.compare(&jpeg, 4, Processor::this()), Ok(true));
    }
}

#[test]
fn a_wrong_sample_is_found() {
    let dice = &mut Dice(7);
    let mut writer = Writer::new(dice);
    (writer.size, writer.loudness, writer.step) = ((90, 50), 4, 2);
    let jpeg = writer.picture(dice);
    let mut bench = Bench::default();
    assert_eq!(bench.compare(&jpeg, 3, Processor::this()), Ok(true));
    for index in 0..bench.ours.used().len() {
        let at = bench.ours.used()[index].width + 1;
        bench.ours.used_mut()[index].samples[at] ^= 1;
        let found = differ(&bench.ours, &bench.theirs).unwrap_err();
        assert!(
            found.starts_with(&format!("plane {index}, 1, 1: ")),
            "{found}"
        );
        bench.ours.used_mut()[index].samples[at] ^= 1;
    }
}

fn pictures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pictures(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
#[ignore = "needs WATERMARKD_CORPUS, a folder of pictures"]
fn corpus() {
    let folder = env::var_os("WATERMARKD_CORPUS").expect("WATERMARKD_CORPUS names a folder");
    let mut paths = Vec::new();
    pictures(Path::new(&folder), &mut paths);
    let mut bench = Bench::default();
    let (mut decoded, mut refused) = (0, 0);
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        for eighths in 1..=8 {
            for processor in [Processor::PLAIN, Processor::this()] {
                match bench.compare(&bytes, eighths, processor) {
                    Ok(true) => decoded += 1,
                    Ok(false) => refused += 1,
                    Err(cause) => panic!("{}: {eighths}/8: {cause}", path.display()),
                }
            }
        }
    }
    println!("{decoded} decoded, {refused} left to libjpeg-turbo");
    assert!(decoded > 0);
}
