//! What a way of scaling costs, and how near it comes to a Lanczos reduction from the full size: the margin that the
//! decoder leaves by filters, the daemon itself, and other tools.
//!
//! `cargo bench --bench quality -- --pictures DIR [--height 1080] [--rounds 3] [--margins 1,1.5,inf]
//! [--filters catmull-rom,lanczos/mitchell]` prints the curve and the daemon's rows; the second filter is that of chroma. `--each yes` prints every picture's score too.
//! Pictures for moiré are made and added. All are compared as they are stored, without orientation and profile, and as
//! JPEGs of quality 100 and 4:4:4 show them.
//! `--webp yes` prints instead what a WebP weighs against a JPEG that looks the same.
//! `--prepare DIR` writes these pictures instead, and `--peers DIR` adds a row for each folder in it, which has the
//! pictures as JPEGs. `benches/peers/quality` does both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when something is wrong"
)]

mod curve;
mod measure;
mod targets;
mod webp;

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use fast_image_resize::FilterType;
use measure::{Reference, Rgb, Score};
use watermarkd::outcome::Step;
use watermarkd::picture::{Chroma, Format, Metadata, Recipe, Resample, Scratch, Size, treat};

struct Source {
    name: String,
    jpeg: Vec<u8>,
    /// Made for moiré.
    made: bool,
}

/// What one way makes of all pictures.
struct Row {
    name: String,
    /// In the order of the sources.
    scores: Vec<Score>,
    /// Milliseconds, summed over the camera pictures.
    decode: f64,
    resize: f64,
}

struct Options {
    pictures: Option<PathBuf>,
    prepare: Option<PathBuf>,
    peers: Option<PathBuf>,
    height: u32,
    rounds: usize,
    margins: Vec<f64>,
    filters: String,
    each: bool,
    webp: bool,
}

fn options() -> Options {
    let mut options = Options {
        pictures: None,
        prepare: None,
        peers: None,
        height: 1080,
        rounds: 3,
        margins: curve::MARGINS.to_vec(),
        filters: curve::FILTERS.to_owned(),
        each: false,
        webp: false,
    };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--pictures", Some(folder)) => options.pictures = Some(PathBuf::from(folder)),
            ("--peers", Some(folder)) => options.peers = Some(PathBuf::from(folder)),
            ("--prepare", Some(folder)) => options.prepare = Some(PathBuf::from(folder)),
            ("--height", Some(pixels)) => options.height = pixels.parse().unwrap(),
            ("--rounds", Some(number)) => options.rounds = number.parse().unwrap(),
            ("--filters", Some(words)) => options.filters = words,
            ("--each", Some(word)) => options.each = word == "yes",
            ("--webp", Some(word)) => options.webp = word == "yes",
            ("--margins", Some(words)) => {
                let words = words.split(',').filter(|word| !word.is_empty());
                options.margins = words.map(|word| word.parse().unwrap()).collect();
            }
            _ => {}
        }
    }
    options
}

fn main() {
    let options = options();
    // Cargo runs every benchmark; without pictures there is nothing to compare.
    let Some(folder) = &options.pictures else {
        return;
    };
    let sources = sources(folder, options.height);
    if options.webp {
        let cameras = sources.iter().filter(|source| !source.made);
        webp::print(cameras.map(|source| &source.jpeg[..]), options.height);
        return;
    }
    if let Some(folder) = &options.prepare {
        fs::create_dir_all(folder).unwrap();
        for source in &sources {
            fs::write(folder.join(format!("{}.jpg", source.name)), &source.jpeg).unwrap();
        }
        return;
    }
    let table = compare(&sources, &options);
    print(&sources, &table);
    if options.each {
        print_each(&sources, &table);
    }
    let ours = |row: &Row| row.name.starts_with("watermarkd");
    let own = table.iter().rposition(ours).unwrap();
    beside(&sources, &table[own], &table[own + 1..]);
}

/// Scores what every way makes of every picture.
fn compare(sources: &[Source], options: &Options) -> Vec<Row> {
    let (height, rounds) = (options.height, options.rounds);
    let mut rows = rows(&options.margins, &options.filters);
    let mut peer_rows = peer_rows(options.peers.as_deref());
    for source in sources {
        let whole = Rgb::of_jpeg(&source.jpeg);
        let reference = Reference::of(&whole, size(&whole, height));
        for (row, way) in &mut rows {
            let made = match way {
                Way::Choice(choice) => {
                    curve::make(&source.jpeg, size(&whole, height), *choice, rounds)
                }
                Way::Daemon(resample) => daemon(&source.jpeg, (height, *resample), rounds),
            };
            row.scores.push(reference.score(&made.picture));
            if !source.made {
                row.decode += made.decode;
                row.resize += made.resize;
            }
        }
        for (row, folder) in &mut peer_rows {
            let name = format!("{}.jpg", source.name);
            let picture = Rgb::of_jpeg(&fs::read(folder.join(name)).unwrap());
            row.scores.push(reference.score(&picture));
        }
    }
    let table = rows.into_iter().map(|(row, _)| row);
    table
        .chain(peer_rows.into_iter().map(|(row, _)| row))
        .collect()
}

/// How a row's pictures are made.
enum Way {
    Choice((f64, (FilterType, FilterType))),
    Daemon(Resample),
}

fn row(name: String) -> Row {
    Row {
        name,
        scores: Vec::new(),
        decode: 0.0,
        resize: 0.0,
    }
}

fn rows(margins: &[f64], filters: &str) -> Vec<(Row, Way)> {
    let mut rows = Vec::new();
    for &margin in margins {
        for filter in filters.split(',') {
            let name = if margin.is_finite() {
                format!("{margin}, {filter}")
            } else {
                format!("full size, {filter}")
            };
            rows.push((row(name), Way::Choice((margin, curve::filters(filter)))));
        }
    }
    for (name, resample) in [("fast", Resample::Fast), ("fine", Resample::Fine)] {
        let name = format!("watermarkd, {name}");
        rows.push((row(name), Way::Daemon(resample)));
    }
    rows
}

fn peer_rows(folder: Option<&Path>) -> Vec<(Row, PathBuf)> {
    let Some(folder) = folder else {
        return Vec::new();
    };
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    let name = |path: &Path| path.file_name().unwrap().display().to_string();
    folders
        .into_iter()
        .map(|path| (row(name(&path)), path))
        .collect()
}

/// The pictures of a folder that are JPEGs, are reduced, and stay wide enough to be compared.
fn sources(folder: &Path, height: u32) -> Vec<Source> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let jpeg = bare(&fs::read(&path).unwrap());
        let Ok(header) = turbojpeg::read_header(&jpeg) else {
            continue;
        };
        let output = height as usize;
        if header.height > output && header.width * output / header.height >= 64 {
            sources.push(Source {
                name: path.file_stem().unwrap().display().to_string(),
                jpeg,
                made: false,
            });
        }
    }
    for (name, jpeg) in targets::all() {
        sources.push(Source {
            name: name.to_owned(),
            jpeg,
            made: true,
        });
    }
    sources
}

/// The JPEG without APP1 to APP13: no orientation, no profile, no other pictures.
fn bare(jpeg: &[u8]) -> Vec<u8> {
    let (mut bare, mut rest) = (
        jpeg[..jpeg.len().min(2)].to_vec(),
        jpeg.get(2..).unwrap_or(&[]),
    );
    while let [0xff, marker @ (0xc0..=0xd9 | 0xdb..=0xfe), high, low, ..] = *rest {
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        let (segment, others) = rest.split_at(length.min(rest.len()));
        if !(0xe1..=0xed).contains(&marker) {
            bare.extend(segment);
        }
        rest = others;
    }
    bare.extend(rest);
    bare
}

fn size(whole: &Rgb, height: u32) -> (u32, u32) {
    let width = (2 * whole.width * height + whole.height) / (2 * whole.height);
    (width, height)
}

/// The daemon's own steps.
fn daemon(jpeg: &[u8], (height, resample): (u32, Resample), rounds: usize) -> curve::Made {
    let recipe = Recipe {
        marks: Vec::new(),
        size: Size::Height(height),
        quality: 100,
        output_quality: 100,
        chroma: Chroma::Full,
        resample,
        sharpen: 0,
        upscale: false,
        metadata: Metadata::Strip,
        max_pixels: 1_000_000_000,
    };
    let mut scratch = Scratch::new().unwrap();
    let (mut decode, mut resize) = (f64::INFINITY, f64::INFINITY);
    let mut picture = None;
    // The first fills the buffers.
    for _ in 0..=rounds {
        let mut last = Instant::now();
        let mut after = |step: Step| {
            let spent = last.elapsed().as_secs_f64() * 1e3;
            match step {
                Step::Decode => decode = decode.min(spent),
                Step::Resize => resize = resize.min(spent),
                _ => {}
            }
            last = Instant::now();
        };
        let treated = treat(jpeg, Format::Jpeg, &recipe, &mut scratch, &mut after).unwrap();
        picture = Some(Rgb::of_jpeg(treated.bytes));
    }
    curve::Made {
        picture: picture.unwrap(),
        decode,
        resize,
    }
}

fn print(sources: &[Source], rows: &[Row]) {
    let cameras = sources.iter().filter(|source| !source.made).count();
    let made = &sources[cameras..];
    print!("{cameras} camera pictures: {:33}", "");
    println!(
        "decode ms, resize ms | PSNR mean, least | SSIMULACRA2 mean, least | then of the made ones:"
    );
    let names: Vec<&str> = made.iter().map(|source| source.name.as_str()).collect();
    println!("{:120}{}", "", names.join(", "));
    for row in rows {
        let (camera, made) = row.scores.split_at(cameras);
        let count = f64::from(u32::try_from(cameras).unwrap());
        let mean = |part: fn(&Score) -> f64| camera.iter().map(part).sum::<f64>() / count;
        let least = |part: fn(&Score) -> f64| camera.iter().map(part).fold(f64::INFINITY, f64::min);
        let (psnr, ssimulacra2) = (
            |score: &Score| score.psnr,
            |score: &Score| score.ssimulacra2,
        );
        let (decode, resize) = (row.decode / count, row.resize / count);
        print!(
            "{:24} {decode:7.2} {resize:7.2} | {:6.2} {:6.2} | {:6.2} {:6.2} |",
            row.name,
            mean(psnr),
            least(psnr),
            mean(ssimulacra2),
            least(ssimulacra2)
        );
        for score in made {
            print!(" {:6.2} ({:5.2})", score.ssimulacra2, score.psnr);
        }
        println!();
    }
}

/// SSIMULACRA2 of each picture.
fn print_each(sources: &[Source], rows: &[Row]) {
    for (index, source) in sources.iter().enumerate() {
        print!("{:16}", source.name);
        for row in rows {
            print!(" {:7.2}", row.scores[index].ssimulacra2);
        }
        println!();
    }
}

/// By how much SSIMULACRA2 the daemon is above each peer: mean, and the picture where it is the least.
fn beside(sources: &[Source], own: &Row, peers: &[Row]) {
    for peer in peers {
        let both = own.scores.iter().zip(&peer.scores);
        let above = both.map(|(own, peer)| own.ssimulacra2 - peer.ssimulacra2);
        let above: Vec<(f64, &Source)> = above.zip(sources).collect();
        for made in [false, true] {
            let of_kind = || above.iter().filter(|(_, source)| source.made == made);
            let count = f64::from(u32::try_from(of_kind().count()).unwrap());
            let mean = of_kind().map(|(above, _)| above).sum::<f64>() / count;
            let least = of_kind().min_by(|one, other| one.0.total_cmp(&other.0));
            if let Some((least, source)) = least {
                let kind = if made { "made" } else { "camera" };
                let (name, peer) = (&source.name, &peer.name);
                println!(
                    "{} above {peer}, {kind}: {mean:.2}, at least {least:.2} ({name})",
                    own.name
                );
            }
        }
    }
}
