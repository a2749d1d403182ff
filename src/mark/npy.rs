//! Reads a mark from a NumPy array (format versions 1.0 to 3.0): H×W grey, H×W×1 grey, H×W×2 grey
//! and alpha, H×W×3 R G B, H×W×4 R G B A; as uint8, uint16, bool, or float32 and float64 of 0 to 1;
//! in C or Fortran order and either byte order.

use std::io::Cursor;

use ndarray::{ArrayD, Axis};
use ndarray_npy::ReadNpyExt;
use ndarray_npy::npy::header::Header;

use crate::picture::Mark;

const MAX_PIXELS: u64 = Mark::MAX_PIXELS;

pub const SIGNATURE: &[u8] = b"\x93NUMPY";

/// What NumPy itself accepts as a header, bytes.
const MAX_HEADER: usize = 10_000;

/// How much a float may lie beyond 0..=1 before it is taken for another scale, not for rounding.
const TOLERANCE: f64 = 1e-3;

const WANTED_SHAPE: &str = "H×W, H×W×2, H×W×3 or H×W×4 is wanted";
const WANTED_TYPE: &str =
    "an array of uint8, uint16, bool, or float32 or float64 of 0 to 1 is wanted";

pub fn parse(bytes: &[u8]) -> Result<Mark, String> {
    check_header(bytes)?;
    let mut rest = Cursor::new(bytes);
    let header = Header::from_reader(&mut rest).map_err(|error| error.to_string())?;
    let (height, width, channels) = shape(&header.shape)?;
    let kind = header
        .type_descriptor
        .as_string()
        .cloned()
        .ok_or_else(|| format!("the array has fields; {WANTED_TYPE}"))?;
    let samples = width as usize * height as usize * channels;
    let size: usize = match kind.trim_start_matches(['<', '>', '|', '=']) {
        "u1" | "b1" => 1,
        "u2" => 2,
        "f4" => 4,
        "f8" => 8,
        _ => {
            return Err(format!("the array is of {}; {WANTED_TYPE}", name(&kind)));
        }
    };
    let found = bytes.len() - usize::try_from(rest.position()).unwrap_or(0);
    let wanted = samples * size;
    if found != wanted {
        return Err(format!(
            "found {found} bytes of data, the header announces {wanted}"
        ));
    }
    let samples = match kind.trim_start_matches(['<', '>', '|', '=']) {
        "u1" => read::<u8, _>(bytes, Ok)?,
        "b1" => read::<bool, _>(bytes, |value| Ok(if value { 255 } else { 0 }))?,
        "u2" => read::<u16, _>(bytes, |value| {
            Ok(u8::try_from((u32::from(value) + 128) / 257).unwrap_or(u8::MAX))
        })?,
        "f4" => read::<f32, _>(bytes, |value| unit(value.into()))?,
        _ => read::<f64, _>(bytes, unit)?,
    };
    Ok(Mark {
        width,
        height,
        rgba: rgba(&samples, channels),
    })
}

/// Refuses headers that would make the header parser allocate or recurse without need.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    let (length, start) = match bytes.get(6..12) {
        Some([1, _, low, high, ..]) => (usize::from(u16::from_le_bytes([*low, *high])), 10),
        Some(&[2 | 3, _, b0, b1, b2, b3]) => (
            usize::try_from(u32::from_le_bytes([b0, b1, b2, b3])).unwrap_or(usize::MAX),
            12,
        ),
        Some([version, ..]) => {
            return Err(format!(
                "found .npy version {version}, versions 1 to 3 are known"
            ));
        }
        _ => return Err("the file ends within its header".to_owned()),
    };
    if length > MAX_HEADER {
        return Err(format!(
            "the header claims {length} bytes, {MAX_HEADER} are allowed"
        ));
    }
    let Some(header) = bytes.get(start..start + length) else {
        return Err("the file ends within its header".to_owned());
    };
    let brackets = header
        .iter()
        .filter(|byte| matches!(byte, b'(' | b'[' | b'{'))
        .count();
    if brackets > 4 {
        return Err(format!(
            "the header describes a structured array; {WANTED_TYPE}"
        ));
    }
    Ok(())
}

/// Height, width and channels.
fn shape(shape: &[usize]) -> Result<(u32, u32, usize), String> {
    let shown = || {
        let sides: Vec<_> = shape.iter().map(ToString::to_string).collect();
        format!(
            "found an array of shape {}",
            if sides.is_empty() {
                "()".to_owned()
            } else {
                sides.join("×")
            }
        )
    };
    let (height, width, channels) = match *shape {
        [height, width] => (height, width, 1),
        [height, width, channels @ 1..=4] => (height, width, channels),
        _ => return Err(format!("{}, {WANTED_SHAPE}", shown())),
    };
    let (Ok(rows), Ok(columns)) = (u32::try_from(height), u32::try_from(width)) else {
        return Err(format!("{}, {MAX_PIXELS} pixels are allowed", shown()));
    };
    if rows == 0 || columns == 0 {
        return Err(format!("{}, at least one pixel is wanted", shown()));
    }
    if u64::from(rows) * u64::from(columns) > MAX_PIXELS {
        return Err(format!("{}, {MAX_PIXELS} pixels are allowed", shown()));
    }
    Ok((rows, columns, channels))
}

/// All samples in C order, whatever the order of the file.
fn read<T, F>(bytes: &[u8], convert: F) -> Result<Vec<u8>, String>
where
    T: ndarray_npy::ReadableElement + Copy,
    F: Fn(T) -> Result<u8, String>,
{
    let array = ArrayD::<T>::read_npy(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    // Iteration is in logical order: rows, columns, channels.
    array
        .view()
        .insert_axis(Axis(0))
        .iter()
        .map(|&value| convert(value))
        .collect()
}

fn unit(value: f64) -> Result<u8, String> {
    if (-TOLERANCE..=1.0 + TOLERANCE).contains(&value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked, and a float cast saturates"
        )]
        Ok((value * 255.0).round() as u8)
    } else {
        Err(format!(
            "found a float of {value}, floats of 0 to 1 are wanted"
        ))
    }
}

fn rgba(samples: &[u8], channels: usize) -> Vec<u8> {
    let pixels = samples.chunks_exact(channels);
    match channels {
        1 => pixels
            .flat_map(|pixel| [pixel[0], pixel[0], pixel[0], 255])
            .collect(),
        2 => pixels
            .flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]])
            .collect(),
        3 => pixels
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255])
            .collect(),
        _ => samples.to_vec(),
    }
}

/// A type's name as NumPy's users know it.
fn name(descriptor: &str) -> String {
    let (letter, bytes) = descriptor
        .trim_start_matches(['<', '>', '|', '='])
        .split_at_checked(1)
        .unwrap_or_default();
    let bits = bytes.parse::<u32>().unwrap_or(0).saturating_mul(8);
    match letter {
        "i" => format!("int{bits}"),
        "u" => format!("uint{bits}"),
        "f" => format!("float{bits}"),
        "c" => format!("complex{bits}"),
        _ => format!("'{descriptor}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as NumPy writes it.
    fn npy(version: u8, descriptor: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header =
            format!("{{'descr': '{descriptor}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([version, 0]);
        let length = u32::try_from(header.len()).unwrap().to_le_bytes();
        bytes.extend(if version == 1 {
            &length[..2]
        } else {
            &length[..]
        });
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn every_shape() {
        for (shape, data, expected) in [
            ("(1, 2)", &[7u8, 9][..], [7, 7, 7, 255, 9, 9, 9, 255]),
            ("(1, 2, 1)", &[7, 9], [7, 7, 7, 255, 9, 9, 9, 255]),
            ("(1, 2, 2)", &[7, 1, 9, 2], [7, 7, 7, 1, 9, 9, 9, 2]),
            (
                "(1, 2, 3)",
                &[1, 2, 3, 4, 5, 6],
                [1, 2, 3, 255, 4, 5, 6, 255],
            ),
            (
                "(1, 2, 4)",
                &[1, 2, 3, 4, 5, 6, 7, 8],
                [1, 2, 3, 4, 5, 6, 7, 8],
            ),
        ] {
            for version in 1..=3 {
                let mark = parse(&npy(version, "|u1", false, shape, data)).unwrap();
                assert_eq!(
                    (mark.width, mark.height, &mark.rgba[..]),
                    (2, 1, &expected[..]),
                    "{shape}"
                );
            }
        }
    }

    #[test]
    fn every_type_and_byte_order() {
        let expected = [0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255];
        let words = [0u16, 128 * 257, 65535];
        let floats = [0.0f32, 0.502, 1.0];
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("|u1", vec![0, 128, 255]),
            ("<u2", words.iter().flat_map(|v| v.to_le_bytes()).collect()),
            (">u2", words.iter().flat_map(|v| v.to_be_bytes()).collect()),
            ("<f4", floats.iter().flat_map(|v| v.to_le_bytes()).collect()),
            (">f4", floats.iter().flat_map(|v| v.to_be_bytes()).collect()),
            (
                "<f8",
                floats
                    .iter()
                    .flat_map(|&v| f64::from(v).to_le_bytes())
                    .collect(),
            ),
            (
                ">f8",
                floats
                    .iter()
                    .flat_map(|&v| f64::from(v).to_be_bytes())
                    .collect(),
            ),
        ];
        for (descriptor, data) in cases {
            let mark = parse(&npy(1, descriptor, false, "(3, 1)", &data)).unwrap();
            assert_eq!(mark.rgba, expected, "{descriptor}");
        }
        let mark = parse(&npy(1, "|b1", false, "(3, 1)", &[0, 1, 1])).unwrap();
        assert_eq!(
            mark.rgba,
            [0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255]
        );
    }

    #[test]
    fn fortran_order_is_the_same_picture() {
        let c = npy(1, "|u1", false, "(2, 3)", &[1, 2, 3, 4, 5, 6]);
        let fortran = npy(1, "|u1", true, "(2, 3)", &[1, 4, 2, 5, 3, 6]);
        assert_eq!(parse(&c).unwrap(), parse(&fortran).unwrap());
    }

    /// Every shape, type, byte order, order of axes and version with every other: the same picture.
    #[test]
    fn every_combination() {
        // The value of a channel, told apart by all three of its indices.
        let value = |y: usize, x: usize, c: usize| u8::try_from(y * 100 + x * 30 + c * 7).unwrap();
        let encoded = |descriptor: &str, value: u8| -> Vec<u8> {
            let word = u16::from(value) * 257;
            let float = f32::from(value) / 255.0;
            match descriptor {
                "|u1" => vec![value],
                "|b1" => vec![u8::from(value > 99)],
                "<u2" => word.to_le_bytes().to_vec(),
                ">u2" => word.to_be_bytes().to_vec(),
                "<f4" => float.to_le_bytes().to_vec(),
                ">f4" => float.to_be_bytes().to_vec(),
                "<f8" => f64::from(float).to_le_bytes().to_vec(),
                _ => f64::from(float).to_be_bytes().to_vec(),
            }
        };
        let (height, width) = (2, 3);
        for (shape, channels) in [
            ("(2, 3)", 1),
            ("(2, 3, 1)", 1),
            ("(2, 3, 2)", 2),
            ("(2, 3, 3)", 3),
            ("(2, 3, 4)", 4),
        ] {
            let mut c_order = Vec::new();
            for y in 0..height {
                for x in 0..width {
                    c_order.extend((0..channels).map(|c| (y, x, c)));
                }
            }
            // The first index changes fastest.
            let mut fortran_order = c_order.clone();
            fortran_order.sort_by_key(|&(y, x, c)| (c, x, y));
            for descriptor in ["|u1", "|b1", "<u2", ">u2", "<f4", ">f4", "<f8", ">f8"] {
                let samples: Vec<u8> = c_order
                    .iter()
                    .map(|&(y, x, c)| match (descriptor, value(y, x, c)) {
                        ("|b1", value) if value > 99 => 255,
                        ("|b1", _) => 0,
                        (_, value) => value,
                    })
                    .collect();
                let expected = rgba(&samples, channels);
                for (fortran, order) in [(false, &c_order), (true, &fortran_order)] {
                    let data: Vec<u8> = order
                        .iter()
                        .flat_map(|&(y, x, c)| encoded(descriptor, value(y, x, c)))
                        .collect();
                    for version in 1..=3 {
                        let mark = parse(&npy(version, descriptor, fortran, shape, &data)).unwrap();
                        assert_eq!(
                            (mark.height, mark.width, &mark.rgba),
                            (2, 3, &expected),
                            "{shape} {descriptor} fortran {fortran} version {version}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn refusals_say_what_was_found_and_what_is_wanted() {
        for (bytes, parts) in [
            (npy(1, "<i4", false, "(1, 1)", &[0; 4]), ["int32", "uint8"]),
            (npy(1, "|i1", false, "(1, 1)", &[0; 1]), ["int8", "uint8"]),
            (
                npy(1, "<c8", false, "(1, 1)", &[0; 8]),
                ["complex64", "float32"],
            ),
            (npy(1, "|u1", false, "(4,)", &[0; 4]), ["shape 4", "H×W×4"]),
            (
                npy(1, "|u1", false, "(1, 1, 5)", &[0; 5]),
                ["1×1×5", "H×W×4"],
            ),
            (npy(1, "|u1", false, "()", &[0; 1]), ["shape ()", "H×W"]),
            (
                npy(1, "|u1", false, "(0, 4, 4)", &[]),
                ["0×4×4", "at least one pixel"],
            ),
            (
                npy(1, "|u1", false, "(100000, 100000)", &[]),
                ["100000×100000", "pixels are allowed"],
            ),
            (
                npy(1, "|u1", false, "(2, 2)", &[0; 3]),
                ["3 bytes", "announces 4"],
            ),
            (
                npy(1, "|u1", false, "(2, 2)", &[0; 5]),
                ["5 bytes", "announces 4"],
            ),
            (
                npy(1, "<f4", false, "(1, 1)", &255f32.to_le_bytes()),
                ["255", "0 to 1"],
            ),
            (
                npy(1, "<f4", false, "(1, 1)", &f32::NAN.to_le_bytes()),
                ["NaN", "0 to 1"],
            ),
            (
                npy(9, "|u1", false, "(1, 1)", &[0]),
                ["version 9", "1 to 3"],
            ),
            (
                npy(1, "|u1", false, &"(".repeat(5000), &[0]),
                ["structured", "uint8"],
            ),
        ] {
            let error = parse(&bytes).unwrap_err();
            assert!(
                parts.iter().all(|part| error.contains(part)),
                "{error}, not {parts:?}"
            );
        }
    }

    #[test]
    fn damaged_files_never_panic() {
        let whole = npy(2, "<f4", true, "(2, 3, 4)", &[0; 96]);
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "{end} bytes");
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let position = usize::try_from(state >> 32).unwrap() % bytes.len();
                bytes[position] = state.to_le_bytes()[0];
            }
            drop(parse(&bytes));
        }
    }
}
