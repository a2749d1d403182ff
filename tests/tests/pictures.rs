//! Pictures made in code.

use image::{ImageFormat, Rgb, RgbImage};

/// A picture with detail everywhere; different seeds give different pictures.
pub fn rgb(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave =
            |scale: u32| u8::try_from((x * scale + y * (seed % 7 + 1) + seed) % 256).unwrap();
        Rgb([
            wave(3),
            wave(5),
            u8::try_from((x * y + seed) % 256).unwrap(),
        ])
    })
}

pub fn png(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    rgb(width, height, seed)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

pub fn jpeg(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let picture = rgb(width, height, seed);
    let image = turbojpeg::Image {
        pixels: picture.as_raw().as_slice(),
        width: width as usize,
        pitch: width as usize * 3,
        height: height as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(image, 90, turbojpeg::Subsamp::Sub2x2)
        .unwrap()
        .to_vec()
}

/// Width and height of a whole picture; panics if it is not whole.
pub fn size(bytes: &[u8]) -> (u32, u32) {
    if bytes.starts_with(&[0xff, 0xd8]) {
        assert!(bytes.ends_with(&[0xff, 0xd9]), "the JPEG has no end");
        let picture = turbojpeg::decompress(bytes, turbojpeg::PixelFormat::RGB).unwrap();
        (
            u32::try_from(picture.width).unwrap(),
            u32::try_from(picture.height).unwrap(),
        )
    } else {
        let picture = image::load_from_memory(bytes).unwrap();
        (picture.width(), picture.height())
    }
}
