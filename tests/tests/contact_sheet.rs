//! The picture in the README and in docs/marks.md that shows what can be done with a mark. Made by the program itself:
//!
//! `cargo test --test tests -- --ignored contact_sheet`

use std::{fs, path::Path};

use image::{Rgb, RgbImage, imageops};

use super::sandbox::Sandbox;

const WIDTH: u32 = 300;
const HEIGHT: u32 = 200;
const GAP: u32 = 8;
const LABEL: u32 = 22;
const COLUMNS: u32 = 4;

/// What stands under each picture, and its `watermark` block besides the defaults.
const CELLS: &[(&str, &str)] = &[
    ("position: top-left", "npy_path: badge"),
    (
        "position: bottom-right, margin: 4%",
        "npy_path: badge, position: bottom-right, margin: 4%",
    ),
    (
        "opacity: 40",
        "npy_path: badge, position: center, opacity: 40",
    ),
    (
        "scale: 60%",
        "npy_path: badge, position: center, scale: 60%",
    ),
    (
        "rotate: 30",
        "npy_path: badge, position: center, rotate: 30, scale: 80%",
    ),
    (
        "rotate: 90, position: right",
        "npy_path: text, position: right, rotate: 90, margin: 3%, scale: 50%",
    ),
    (
        "position: tile, spacing: 12%",
        "npy_path: badge, position: tile, spacing: 12%, scale: 22%, margin: 4%, opacity: 60",
    ),
    (
        "tile, rotate: 30",
        "npy_path: text, position: tile, spacing: 6%, scale: 26%, rotate: 30, opacity: 35",
    ),
    ("mark text", "npy_path: text, position: center, scale: 70%"),
    (
        "mark text --outline 4",
        "npy_path: outlined, position: center, scale: 70%",
    ),
    (
        "mark text --shadow 6,6",
        "npy_path: shadowed, position: center, scale: 70%",
    ),
    (
        "marks: [badge, text]",
        "margin: 4%, marks: [{npy_path: badge, position: bottom-right, scale: 30%}, \
         {npy_path: text, position: tile, spacing: 12%, scale: 26%, rotate: 30, opacity: 35}]",
    ),
];

/// Hills before an evening sky.
fn landscape() -> RgbImage {
    let byte = |value: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates"
        )]
        {
            value.round() as u8
        }
    };
    RgbImage::from_fn(WIDTH * 2, HEIGHT * 2, |x, y| {
        let (x, y) = (f64::from(x) / 600.0, f64::from(y) / 400.0);
        let ridges = [
            (
                0.50 + 0.09 * (x * 7.0).sin() + 0.03 * (x * 23.0).sin(),
                [112.0, 104.0, 142.0],
            ),
            (
                0.66 + 0.07 * (x * 5.0 + 2.0).sin() + 0.02 * (x * 31.0).cos(),
                [70.0, 84.0, 106.0],
            ),
            (
                0.82 + 0.05 * (x * 9.0 + 1.0).cos() + 0.01 * (x * 47.0).sin(),
                [34.0, 58.0, 60.0],
            ),
        ];
        let ridge = ridges.iter().rev().find(|(height, _)| y > *height);
        let colour = match ridge {
            Some((height, colour)) => colour.map(|part| part + 90.0 * (y - height)),
            None if (x - 0.7).hypot((y - 0.3) / 1.5) < 0.06 => [255.0, 236.0, 190.0],
            None => [120.0 + 190.0 * y, 150.0 + 60.0 * y, 205.0 - 90.0 * y],
        };
        Rgb(colour.map(byte))
    })
}

#[test]
#[ignore = "writes packaging/contact-sheet.jpg"]
fn contact_sheet() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let output = sandbox.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    landscape().save(sandbox.path("picture.png")).unwrap();
    fs::rename(sandbox.path("mark.npy"), sandbox.path("badge.npy")).unwrap();
    let text = ["mark", "text", "© Ada Lovelace", "--size", "90"];
    for (name, more) in [
        ("text.npy", &[][..]),
        ("outlined.npy", &["--outline", "4"]),
        (
            "shadowed.npy",
            &["--shadow", "6,6,#000000b0", "--color", "#ffd860"],
        ),
    ] {
        run(&[&text[..], &["-o", name], more].concat());
    }

    let rows = u32::try_from(CELLS.len()).unwrap().div_ceil(COLUMNS);
    let mut sheet = RgbImage::from_pixel(
        COLUMNS * (WIDTH + GAP) + GAP,
        rows * (HEIGHT + LABEL + GAP) + GAP,
        Rgb([250; 3]),
    );
    for ((label, watermark), place) in CELLS.iter().zip(0..) {
        let config = format!(
            "watermark: {{output_height: {HEIGHT}, {watermark}}}\n\
             folders: [{{input: in}}]\n"
        );
        sandbox.write("config.yaml", config.as_bytes());
        run(&["preview", "picture.png", "-o", "cell.png"]);
        let cell = image::open(sandbox.path("cell.png")).unwrap().into_rgb8();
        let x = GAP + place % COLUMNS * (WIDTH + GAP);
        let y = GAP + place / COLUMNS * (HEIGHT + LABEL + GAP);
        imageops::replace(&mut sheet, &cell, x.into(), y.into());

        // The label is a mark too, laid over by hand.
        run(&[
            "mark",
            "text",
            label,
            "-o",
            "label.npy",
            "--size",
            "13",
            "--color",
            "202020",
        ]);
        let mark = watermarkd::mark::load(&sandbox.path("label.npy")).unwrap();
        for (at, pixel) in (0..).zip(mark.rgba.chunks_exact(4)) {
            let under = sheet.get_pixel_mut(x + at % mark.width, y + HEIGHT + 5 + at / mark.width);
            for (sample, &ink) in under.0.iter_mut().zip(pixel) {
                let alpha = u16::from(pixel[3]);
                let mixed = u16::from(*sample) * (255 - alpha) + u16::from(ink) * alpha;
                *sample = u8::try_from(mixed / 255).unwrap();
            }
        }
    }
    let image = turbojpeg::Image {
        pixels: sheet.as_raw().as_slice(),
        width: sheet.width() as usize,
        pitch: sheet.width() as usize * 3,
        height: sheet.height() as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    let bytes = turbojpeg::compress(image, 85, turbojpeg::Subsamp::None).unwrap();
    assert!(bytes.len() <= 200_000, "{} bytes", bytes.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("contact-sheet.jpg"), bytes).unwrap();
}
