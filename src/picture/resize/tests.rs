//! Scaled in strips and turned afterwards, against turned first and scaled by `fast_image_resize` as a whole.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{ResizeOptions, Resizer};

use super::super::baseline::Sink;
use super::super::filter::LANCZOS;
use super::super::planes::Area;
use super::*;

const SAMPLINGS: [Sampling; 7] = [
    Sampling::Grey,
    Sampling::S444,
    Sampling::S422,
    Sampling::S420,
    Sampling::S440,
    Sampling::S411,
    Sampling::S441,
];

/// Noise, hard edges, gradients and flat parts.
fn made(sampling: Sampling, size: (u32, u32), eighths: u32) -> Planes {
    let mut planes = Planes::default();
    planes.allocate_scaled(sampling, size, eighths);
    let mut state = size.0;
    for plane in planes.used_mut() {
        let width = plane.width;
        for (at, sample) in plane.samples.iter_mut().enumerate() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [noise, ..] = state.to_be_bytes();
            let (x, y) = (at % width, at / width);
            *sample = match (x / 19 + y / 23) % 4 {
                0 => noise,
                1 => noise / 128 * 255,
                2 => u8::try_from((x * 5 + y * 3) % 256).unwrap(),
                _ => 200,
            };
        }
    }
    planes
}

/// A plane turned upright sample by sample.
fn turned(from: &Plane, orientation: u8) -> Plane {
    let (area, (width, height)) = orient::upright(from, orientation);
    let turn = turn(orientation);
    let samples = (0..width * height)
        .map(|at| {
            let (x, y) = (at % width, at / width);
            let (x, y) = if turn.transpose { (y, x) } else { (x, y) };
            let x = if turn.flip_x { from.width - 1 - x } else { x };
            let y = if turn.flip_y { from.height - 1 - y } else { y };
            from.samples[y * from.width + x]
        })
        .collect();
    Plane {
        samples,
        width,
        height,
        area,
    }
}

/// With its last column and row repeated where it ends too early.
fn extended(from: &Plane, right: f64, bottom: f64) -> Plane {
    let limit = from.width.max(from.height) * 2 + 2;
    let width = (ceiling(right, limit) as usize).max(from.width);
    let height = (ceiling(bottom, limit) as usize).max(from.height);
    let samples = (0..width * height)
        .map(|at| {
            let (x, y) = (
                (at % width).min(from.width - 1),
                (at / width).min(from.height - 1),
            );
            from.samples[y * from.width + x]
        })
        .collect();
    Plane {
        samples,
        width,
        height,
        area: from.area,
    }
}

fn by_the_crate(from: &Plane, plan: Plan, filter: Filter, to: &mut Plane) {
    let from = turned(from, plan.orientation);
    let Area {
        left,
        top,
        width,
        height,
    } = from.area;
    let (columns, rows) = (
        ceiling(to.area.width, to.width),
        ceiling(to.area.height, to.height),
    );
    let width = stretched(width, f64::from(columns) / to.area.width);
    let height = stretched(height, f64::from(rows) / to.area.height);
    let from = extended(&from, left + width, top + height);
    let options = ResizeOptions::new()
        .resize_alg(filter.algorithm())
        .use_alpha(false)
        .crop(left, top, width, height);
    let source =
        TypedImageRef::<U8>::from_buffer(side(from.width), side(from.height), &from.samples);
    let mut target = TypedImage::<U8>::new(columns, rows);
    Resizer::new()
        .resize_typed(&source.unwrap(), &mut target, &options)
        .unwrap();
    for (index, pixel) in target.pixels().iter().enumerate() {
        let (x, y) = (index % columns as usize, index / columns as usize);
        to.samples[y * to.width + x] = pixel.0;
    }
    pad(to, columns as usize, rows as usize);
}

fn as_a_whole(from: &Planes, plan: Plan) -> Planes {
    let mut to = Planes::default();
    let sampling = if from.sampling == Sampling::Grey {
        Sampling::Grey
    } else {
        plan.sampling
    };
    to.allocate(sampling, plan.size.0, plan.size.1);
    let filters = [plan.filter, BICUBIC, BICUBIC];
    let both = from.used().iter().zip(to.used_mut());
    for ((from, to), filter) in both.zip(filters) {
        by_the_crate(from, plan, filter, to);
    }
    to
}

/// As a decoder gives the rows, `at_once` of them in one go.
fn in_strips(from: &Planes, plan: Plan, at_once: usize, room: &mut Room) -> Planes {
    let (mut to, mut nothing) = (Planes::default(), |_| ());
    let mut scaler = Scaler::new(plan, room, &mut to, &mut nothing);
    let mut window = Planes::default();
    window.sampling = from.sampling;
    for (window, plane) in window.used_mut().iter_mut().zip(from.used()) {
        (window.width, window.height, window.area) = (plane.width, plane.height, plane.area);
    }
    scaler.begin(&mut window, [at_once; 3]);
    for (index, plane) in from.used().iter().enumerate() {
        let window = &mut window.used_mut()[index];
        let mut first = 0;
        for (number, rows) in plane.samples.chunks(at_once * plane.width).enumerate() {
            let start = (number * at_once - first) * plane.width;
            window.samples[start..start + rows.len()].copy_from_slice(rows);
            let end = number * at_once + rows.len() / plane.width;
            first = scaler.take(index, window, first..end);
        }
    }
    scaler.finish();
    to
}

fn compare(from: &Planes, plan: Plan, at_once: usize, room: &mut Room) {
    let expected = as_a_whole(from, plan);
    let found = in_strips(from, plan, at_once, room);
    let (mut whole, mut nothing) = (Planes::default(), |_| ());
    let mut scaler = Scaler::new(plan, room, &mut whole, &mut nothing);
    // And as any processor does it.
    scaler.processor = Processor::PLAIN;
    scaler.whole(from);
    scaler.finish();
    for (index, expected) in expected.used().iter().enumerate() {
        for (way, found) in [("strips", &found), ("whole", &whole)] {
            let found = &found.used()[index];
            assert_eq!(
                (found.width, found.height),
                (expected.width, expected.height)
            );
            let wrong = found.samples.iter().zip(&expected.samples);
            let wrong = wrong.filter(|(found, expected)| found != expected).count();
            assert_eq!(
                wrong, 0,
                "{way}, plane {index} of {:?} to {plan:?}, {at_once} rows at once",
                from.sampling
            );
        }
    }
}

#[test]
fn strips_are_the_whole_picture() {
    let mut room = Room::default();
    let sizes = [
        ((301, 457), (97, 64)),
        ((640, 201), (320, 100)),
        ((203, 301), (203, 301)),
        ((130, 90), (311, 207)),
        ((333, 1200), (40, 77)),
        ((57, 33), (1, 50)),
        ((9, 700), (3, 5)),
    ];
    for (number, (source, size)) in sizes.into_iter().enumerate() {
        for (index, sampling) in SAMPLINGS.into_iter().enumerate() {
            for orientation in 1..=8_u8 {
                let chosen = number + index + usize::from(orientation);
                let eighths = [8, 5, 4, 7, 3, 1, 6, 2][chosen % 8];
                let from = made(sampling, source, eighths);
                for filter in [LANCZOS, BICUBIC] {
                    let plan = Plan {
                        orientation,
                        sampling: [Sampling::S420, Sampling::S444][chosen % 2],
                        size,
                        filter,
                    };
                    let at_once = [eighths as usize, 16, 1, 32][chosen / 2 % 4];
                    compare(&from, plan, at_once, &mut room);
                }
            }
        }
    }
}

/// As a camera's, and so large that the rows that are kept are moved many times.
#[test]
fn large_pictures_are_alike_in_strips() {
    let mut room = Room::default();
    for orientation in [1, 6] {
        let from = made(Sampling::S422, (1500, 2001), 8);
        let plan = Plan {
            orientation,
            sampling: Sampling::S420,
            size: (723, 907),
            filter: LANCZOS,
        };
        compare(&from, plan, 16, &mut room);
    }
}

/// 24 megapixels, of which only some rows are there.
#[test]
fn a_strip_is_small() {
    let (mut to, mut nothing, mut room) = (Planes::default(), |_| (), Room::default());
    let mut window = Planes::default();
    window.form_scaled(Sampling::S420, (6000, 4000), 5);
    let plan = Plan {
        orientation: 6,
        sampling: Sampling::S420,
        size: (1080, 1620),
        filter: LANCZOS,
    };
    for orientation in [1, 6] {
        let plan = Plan {
            orientation,
            ..plan
        };
        let mut scaler = Scaler::new(plan, &mut room, &mut to, &mut nothing);
        scaler.begin(&mut window, [10, 5, 5]);
        assert!(window.kept() < 1 << 20, "{}", window.kept());
    }
}

fn ramp(sampling: Sampling, width: u32, height: u32) -> Planes {
    let mut planes = Planes::default();
    planes.allocate(sampling, width, height);
    for plane in planes.used_mut() {
        let columns = plane.width;
        for row in plane.samples.chunks_exact_mut(columns) {
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = u8::try_from(x * 255 / columns.max(1)).unwrap();
            }
        }
    }
    planes
}

fn bicubic(source: &Planes, sampling: Sampling, size: (u32, u32)) -> Planes {
    let plan = Plan {
        orientation: 1,
        sampling,
        size,
        filter: BICUBIC,
    };
    let (mut room, mut target, mut nothing) = (Room::default(), Planes::default(), |_| ());
    let mut scaler = Scaler::new(plan, &mut room, &mut target, &mut nothing);
    scaler.whole(source);
    scaler.finish();
    target
}

#[test]
fn same_size_and_sampling_is_a_copy() {
    let source = ramp(Sampling::S420, 101, 33);
    let target = bicubic(&source, Sampling::S420, (101, 33));
    for (from, to) in source.used().iter().zip(target.used()).skip(1) {
        assert_eq!(from.samples, to.samples);
    }
    let luma = &target.used()[0];
    assert_eq!((luma.width, luma.height), (102, 34));
    assert_eq!(luma.samples[100], source.used()[0].samples[100]);
    assert_eq!(luma.samples[101], luma.samples[100]);
}

#[test]
fn odd_sizes_do_not_shift_colour() {
    // Chroma samples of a ramp in their places: the last one half beyond the picture.
    let source = ramp(Sampling::S422, 360, 40);
    let target = bicubic(&source, Sampling::S420, (269, 31));
    let (luma, chroma) = (&target.used()[0], &target.used()[1]);
    assert_eq!((chroma.width, chroma.height), (135, 16));
    for x in 8..130 {
        let (one, other) = (luma.samples[x * 2], chroma.samples[x]);
        assert!(one.abs_diff(other) <= 1, "column {x}: {one} and {other}");
    }
}

#[test]
fn a_ramp_stays_in_place_across_samplings() {
    let source = ramp(Sampling::S411, 400, 40);
    let target = bicubic(&source, Sampling::S444, (200, 20));
    let luma = &target.used()[0].samples;
    let chroma = &target.used()[1].samples;
    for x in 8..192 {
        assert!(
            luma[x].abs_diff(chroma[x]) <= 3,
            "column {x}: {} and {}",
            luma[x],
            chroma[x]
        );
    }
}
