//! How near a picture comes to the full-size Lanczos reduction: PSNR and SSIMULACRA2.
//!
//! `fast-ssim2` computes SSIMULACRA2: it is kept up, has few dependencies, and holds on to a reference that many pictures
//! are compared with.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};

/// Red, green and blue of a picture.
#[derive(Clone)]
pub struct Rgb {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

impl Rgb {
    pub fn of_jpeg(jpeg: &[u8]) -> Self {
        let picture = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).unwrap();
        Self {
            width: u32::try_from(picture.width).unwrap(),
            height: u32::try_from(picture.height).unwrap(),
            pixels: picture.pixels,
        }
    }

    fn slice(&self) -> PixelSlice<'_> {
        let stride = self.width as usize * 3;
        let format = PixelDescriptor::RGB8_SRGB;
        PixelSlice::new(&self.pixels, self.width, self.height, stride, format).unwrap()
    }
}

/// What others are compared with.
pub struct Reference {
    pub picture: Rgb,
    prepared: Ssimulacra2Reference,
}

#[derive(Clone, Copy)]
pub struct Score {
    /// Decibels.
    pub psnr: f64,
    pub ssimulacra2: f64,
}

impl Reference {
    /// Scales the whole picture in 16 bits by Lanczos3.
    pub fn of(source: &Rgb, (width, height): (u32, u32)) -> Self {
        let words: Vec<u8> = source
            .pixels
            .iter()
            .flat_map(|sample| (u16::from(*sample) * 257).to_ne_bytes())
            .collect();
        let kind = PixelType::U16x3;
        let whole = Image::from_vec_u8(source.width, source.height, words, kind).unwrap();
        let mut scaled = Image::new(width, height, kind);
        let filter = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = ResizeOptions::new().resize_alg(filter);
        Resizer::new()
            .resize(&whole, &mut scaled, &options)
            .unwrap();
        let words = scaled.buffer().as_chunks().0.iter();
        let pixels = words.map(|word| {
            let level = (u32::from(u16::from_ne_bytes(*word)) + 128) / 257;
            u8::try_from(level).unwrap()
        });
        let picture = Rgb {
            width,
            height,
            pixels: pixels.collect(),
        };
        let prepared = Ssimulacra2Reference::new(&picture.slice()).unwrap();
        Self { picture, prepared }
    }

    pub fn score(&self, other: &Rgb) -> Score {
        let pairs = self.picture.pixels.iter().zip(&other.pixels);
        let (mut sum, mut count) = (0.0, 0.0);
        for (one, other) in pairs {
            sum += f64::from(u32::from(one.abs_diff(*other)).pow(2));
            count += 1.0;
        }
        Score {
            psnr: 10.0 * (255.0_f64.powi(2) * count / f64::max(sum, 1.0)).log10(),
            ssimulacra2: self.prepared.compare(&other.slice()).unwrap(),
        }
    }
}
