//! Any folder of pictures against what the crate `image` makes of them, unscaled and unmarked:
//! `WATERMARKD_CORPUS=DIR cargo test --release corpus -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use watermarkd::picture::{
    Chroma, Format, Metadata, PictureError, Recipe, Resample, Scratch, Size, may_be_picture, treat,
};

/// Decibels below which a picture is listed.
const ALIKE: f64 = 36.0;

fn recipe() -> Recipe {
    Recipe {
        marks: Vec::new(),
        size: Size::Original,
        quality: 100,
        output_quality: 100,
        chroma: Chroma::Full,
        resample: Resample::Fine,
        sharpen: 0,
        upscale: false,
        metadata: Metadata::Copyright,
        max_pixels: 100_000_000,
    }
}

fn pictures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pictures(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Upright, as R G B A.
fn decoded(bytes: &[u8]) -> Result<(u32, u32, Vec<u8>), String> {
    let decode = || -> Result<DynamicImage, image::ImageError> {
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        reader.limits(Limits::no_limits());
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image)
    };
    let image = catch_unwind(AssertUnwindSafe(decode))
        .map_err(|_panic| "panicked".to_owned())?
        .map_err(|error| error.to_string())?
        .into_rgba8();
    Ok((image.width(), image.height(), image.into_raw()))
}

#[test]
#[ignore = "needs WATERMARKD_CORPUS, a folder of pictures"]
fn corpus() {
    let folder = std::env::var_os("WATERMARKD_CORPUS").expect("WATERMARKD_CORPUS names a folder");
    let folder = PathBuf::from(folder);
    let mut paths = Vec::new();
    pictures(&folder, &mut paths);
    paths.sort();
    let mut scratch = Scratch::new().unwrap();
    let (mut written, mut compared, mut exact, mut others) = (0, 0, 0, 0);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut poor: Vec<(f64, String)> = Vec::new();
    let mut notes = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    for path in &paths {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let bytes = fs::read(path).unwrap();
        if !may_be_picture(&bytes) {
            others += 1;
            continue;
        }
        let format = if bytes.starts_with(b"\xff\xd8") {
            Format::Jpeg
        } else {
            Format::Png
        };
        let start = Instant::now();
        // A panic is a bug: it ends the test.
        let result = treat(&bytes, format, &recipe(), &mut scratch, &mut |_| ());
        if start.elapsed() > slowest.0 {
            slowest = (start.elapsed(), name.clone());
        }
        let reference = decoded(&bytes);
        let treated = match result {
            Ok(treated) => treated,
            Err(error) => {
                let kind = match &error {
                    PictureError::Incomplete { .. } => "incomplete",
                    PictureError::Bad { .. } => "bad",
                };
                let theirs = match reference {
                    Ok(_) => "image opens it",
                    Err(_) => "image refuses it too",
                };
                refused
                    .entry(format!("{kind}: {error} ({theirs})"))
                    .or_default()
                    .push(name);
                continue;
            }
        };
        written += 1;
        if let Some(warning) = &treated.warning {
            notes.push(format!("{name}: accepted with a warning: {warning}"));
        }
        match (reference, decoded(treated.bytes)) {
            (Ok(reference), Ok(ours)) if (reference.0, reference.1) == (ours.0, ours.1) => {
                compared += 1;
                exact += usize::from(reference == ours);
                let psnr = super::reference::psnr(&ours.2, &reference.2);
                poor.push((psnr, name));
            }
            (Ok(reference), Ok(ours)) => notes.push(format!(
                "{name}: {}×{} here, {}×{} there",
                ours.0, ours.1, reference.0, reference.1
            )),
            (Err(error), Ok(_)) => notes.push(format!("{name}: written, but image says {error}")),
            (_, Err(error)) => panic!("{name}: what was written does not open: {error}"),
        }
    }
    poor.sort_by(|one, other| one.0.total_cmp(&other.0));
    let count: usize = refused.values().map(Vec::len).sum();
    println!("{written} written, {count} refused, {others} are no pictures");
    println!("{compared} compared with image, {exact} of them exactly equal");
    println!("slowest: {:?} for {}", slowest.0, slowest.1);
    for (cause, names) in &refused {
        println!("refused, {cause}: {}", names.join(", "));
    }
    for note in notes {
        println!("{note}");
    }
    for (psnr, name) in poor
        .iter()
        .enumerate()
        .filter(|(rank, (psnr, _))| *rank < 5 || *psnr < ALIKE)
        .map(|(_, entry)| entry)
    {
        println!("{psnr:.1} dB: {name}");
    }
}
