//! The picture path against what the original tool's steps make of the same sources in Pillow
//! (`reference/make.py`): decoded outputs must agree within 36 dB.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watermarkd::mark;
use watermarkd::picture::{
    Anchor, Chroma, Format, Length, Metadata, PlacedMark, Position, Recipe, Resample, Scratch,
    Size, treat,
};

/// Decibels. Two JPEGs of quality 30 made from pictures that differ by rounding are no closer
/// than about 38.
const ENOUGH: f64 = 36.0;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn recipe() -> Recipe {
    Recipe {
        marks: vec![PlacedMark {
            mark: Arc::new(mark::load(&folder().join("mark.npy")).unwrap()).into(),
            opacity: 60.0,
            scale: None,
            rotate: 0.0,
            position: Position::At(Anchor::TopLeft),
            margin: Length::Pixels(0),
            min_picture: 0,
        }],
        size: Size::Height(180),
        quality: 30,
        output_quality: 100,
        chroma: Chroma::Half,
        resample: Resample::Fast,
        sharpen: 0,
        upscale: true,
        metadata: Metadata::Copyright,
        max_pixels: 1_000_000,
    }
}

/// Width, height and R G B A samples.
fn decoded(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    if bytes.starts_with(b"\xff\xd8") {
        let image = turbojpeg::decompress(bytes, turbojpeg::PixelFormat::RGBA).unwrap();
        return (image.width, image.height, image.pixels);
    }
    let reader = image::ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    let image = reader.decode().unwrap().into_rgba8();
    (
        image.width() as usize,
        image.height() as usize,
        image.into_raw(),
    )
}

/// Peak signal-to-noise ratio in decibels, colours weighted by alpha so that what cannot be seen
/// does not count; alpha itself counts where there is any.
pub fn psnr(one: &[u8], other: &[u8]) -> f64 {
    let transparent = one.chunks_exact(4).any(|pixel| pixel[3] < 255);
    let (mut sum, mut count) = (0.0, 0.0);
    for (one, other) in one.chunks_exact(4).zip(other.chunks_exact(4)) {
        for channel in 0..3 {
            let seen = |pixel: &[u8]| f64::from(pixel[channel]) * f64::from(pixel[3]) / 255.0;
            sum += (seen(one) - seen(other)).powi(2);
            count += 1.0;
        }
        if transparent {
            sum += (f64::from(one[3]) - f64::from(other[3])).powi(2);
            count += 1.0;
        }
    }
    10.0 * (255.0 * 255.0 * count / f64::max(sum, 1e-9)).log10()
}

#[test]
fn outputs_equal_the_originals() {
    let recipe = recipe();
    let mut scratch = Scratch::new().unwrap();
    let mut poor = Vec::new();
    let mut compared = 0;
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains(".reference."))
        .collect();
    names.sort();
    for name in names {
        let wanted = match name.rsplit_once('.') {
            Some((_, "jpg")) => Format::Jpeg,
            Some((_, "png")) => Format::Png,
            _ => continue,
        };
        let source = fs::read(folder().join(&name)).unwrap();
        let reference = fs::read(folder().join(name.replace('.', "-") + ".reference.png")).unwrap();
        let treated = treat(&source, wanted, &recipe, &mut scratch, &mut |_| ()).unwrap();
        let (width, height, pixels) = decoded(treated.bytes);
        let (reference_width, reference_height, reference) = decoded(&reference);
        assert_eq!(
            (width, height),
            (reference_width, reference_height),
            "size of {name}"
        );
        let psnr = psnr(&pixels, &reference);
        println!("{name}: {psnr:.1} dB");
        compared += 1;
        if psnr < ENOUGH {
            poor.push(format!("{name}: {psnr:.1} dB"));
        }
    }
    assert_eq!(compared, 11);
    assert!(poor.is_empty(), "below {ENOUGH} dB: {poor:?}");
}
