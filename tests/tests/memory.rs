//! What pictures take of memory: told beforehand, kept to, and refused where it is too much.

use std::{fs, io::Write, path::Path, process::Command};

use super::sandbox::{Sandbox, skip};

/// How the samples of a generated picture are coded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Jpeg {
        sampling: turbojpeg::Subsamp,
        progressive: bool,
    },
    Png {
        colour: png::ColorType,
        deep: bool,
        interlaced: bool,
    },
}

fn jpeg(sampling: turbojpeg::Subsamp, progressive: bool) -> Kind {
    Kind::Jpeg {
        sampling,
        progressive,
    }
}

fn png(colour: png::ColorType, deep: bool, interlaced: bool) -> Kind {
    Kind::Png {
        colour,
        deep,
        interlaced,
    }
}

/// A picture with some detail, written row by row where the format allows.
fn make(path: &Path, kind: Kind, width: usize, height: usize) {
    let sample =
        |x: usize, y: usize| u8::try_from((x * 7 + y * 3 + x * y / 512 % 31) % 256).unwrap();
    match kind {
        Kind::Jpeg {
            sampling,
            progressive,
        } => {
            let grey = sampling == turbojpeg::Subsamp::Gray;
            let (format, channels) = if grey {
                (turbojpeg::PixelFormat::GRAY, 1)
            } else {
                (turbojpeg::PixelFormat::RGB, 3)
            };
            let pitch = width * channels;
            let pixels: Vec<u8> = (0..pitch * height)
                .map(|at| sample(at % pitch, at / pitch))
                .collect();
            let image = turbojpeg::Image {
                pixels: &pixels[..],
                width,
                pitch,
                height,
                format,
            };
            let mut compressor = turbojpeg::Compressor::new().unwrap();
            compressor.set_quality(85).unwrap();
            compressor.set_subsamp(sampling).unwrap();
            compressor.set_progressive(progressive).unwrap();
            fs::write(path, compressor.compress_to_vec(image).unwrap()).unwrap();
        }
        Kind::Png {
            colour,
            deep,
            interlaced,
        } => {
            let pixel = colour.samples() * if deep { 2 } else { 1 };
            let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
            write_png(
                file,
                (colour, deep, interlaced),
                (width, height),
                &|x, y| (0..pixel).map(|at| sample(x * pixel + at, y)).collect(),
            );
        }
    }
}

/// The crate `png` writes no interlaced pictures, and this needs nothing of it but checksums.
fn write_png(
    mut file: impl Write,
    (colour, deep, interlaced): (png::ColorType, bool, bool),
    (width, height): (usize, usize),
    pixel: &dyn Fn(usize, usize) -> Vec<u8>,
) {
    let mut header = Vec::new();
    for side in [width, height] {
        header.extend(u32::try_from(side).unwrap().to_be_bytes());
    }
    let depth = if deep { 16 } else { 8 };
    header.extend([depth, colour as u8, 0, 0, u8::from(interlaced)]);
    let passes: &[[usize; 4]] = if interlaced {
        &[
            [0, 8, 0, 8],
            [4, 8, 0, 8],
            [0, 4, 4, 8],
            [2, 4, 0, 4],
            [0, 2, 2, 4],
            [1, 2, 0, 2],
            [0, 1, 1, 2],
        ]
    } else {
        &[[0, 1, 0, 1]]
    };
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for &[left, across, top, down] in passes {
        for y in (top..height).step_by(down) {
            let mut row = vec![0];
            // Detail along a row, and rows alike for a while: quick to make and to pack.
            row.extend((left..width).step_by(across).flat_map(|x| pixel(x, y)));
            zlib.write_all(&row).unwrap();
        }
    }
    let data = zlib.finish().unwrap();
    file.write_all(b"\x89PNG\r\n\x1a\n").unwrap();
    let mut chunk = |kind: &[u8], body: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(body);
        file.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes())
            .unwrap();
        file.write_all(kind).unwrap();
        file.write_all(body).unwrap();
        file.write_all(&crc.sum().to_be_bytes()).unwrap();
    };
    chunk(b"IHDR", &header);
    for part in data.chunks(1 << 20) {
        chunk(b"IDAT", part);
    }
    chunk(b"IEND", &[]);
}

fn extension(kind: Kind) -> &'static str {
    match kind {
        Kind::Jpeg { .. } => "jpg",
        Kind::Png { .. } => "png",
    }
}

fn config(max_memory: &str, workers: usize) -> String {
    format!(
        "{}watermark: {{npy_path: mark.npy, output_height: 1080, quality: 60}}\n\
         folders: [{{input: in, output: out}}]\nmax_memory: {max_memory}\n",
        super::sandbox::COMMON.replace("workers: 2", &format!("workers: {workers}"))
    )
}

/// Mebibytes that a refusal names.
#[cfg(target_os = "linux")]
fn needed(sandbox: &Sandbox) -> f64 {
    sandbox.wait_for_line(&["needs", "max_memory is 16 MiB"]);
    let line = sandbox.lines("needs ").pop().unwrap();
    let told = line.split("needs ").nth(1).unwrap();
    let (figure, unit) = told.split_once(' ').unwrap();
    let scale = if unit.starts_with("GiB") { 1024.0 } else { 1.0 };
    figure.parse::<f64>().unwrap() * scale
}

/// Mebibytes of the most that was ever resident.
#[cfg(target_os = "linux")]
fn peak(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kibibytes / 1024.0
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_told_beforehand_is_what_a_picture_takes() {
    use png::ColorType as Colour;
    use turbojpeg::Subsamp;
    let mut off = Vec::new();
    // What looks plain is told what it takes if that turns out wrong, and takes less if not.
    let plain = [Subsamp::Sub2x2, Subsamp::None].map(|sampling| jpeg(sampling, false));
    let odd = plain.map(|kind| (kind, true));
    let others = [
        jpeg(Subsamp::Sub2x2, true),
        jpeg(Subsamp::Gray, true),
        png(Colour::Rgb, false, false),
        png(Colour::Rgba, true, false),
        png(Colour::Rgb, false, true),
        png(Colour::GrayscaleAlpha, true, true),
    ];
    let kinds = plain.into_iter().chain(others).map(|kind| (kind, false));
    for (kind, is_odd) in odd.into_iter().chain(kinds) {
        let mut sandbox = Sandbox::new();
        sandbox.write("config.yaml", config("16MiB", 1).as_bytes());
        let name = format!("a.{}", extension(kind));
        make(&sandbox.path(&name), kind, 6000, 4000);
        if is_odd {
            // The end of the spectrum is that of a DC scan, which all decoders ignore.
            let mut bytes = fs::read(sandbox.path(&name)).unwrap();
            let scan = bytes
                .windows(2)
                .position(|two| two == [0xff, 0xda])
                .unwrap();
            let components = usize::from(bytes[scan + 4]);
            bytes[scan + 6 + components * 2] = 0;
            fs::write(sandbox.path(&name), bytes).unwrap();
        }
        sandbox.start();
        let before = peak(sandbox.pid());
        fs::rename(sandbox.path(&name), sandbox.path(format!("in/{name}"))).unwrap();
        let needed = needed(&sandbox);
        // The same file under another name is another file.
        sandbox.write("config.yaml", config("2GiB", 1).as_bytes());
        sandbox.signal(rustix::process::Signal::HUP);
        sandbox.wait_for_line(&["configuration reloaded"]);
        fs::rename(
            sandbox.path(format!("in/{name}")),
            sandbox.path(format!("in/b-{name}")),
        )
        .unwrap();
        sandbox.wait_for_picture(&format!("out/b-{name}"));
        let took = peak(sandbox.pid()) - before;
        println!("{kind:?}, odd {is_odd}: took {took:.1} MiB, told {needed:.1} MiB");
        let is_plain = !is_odd && plain.contains(&kind);
        if took > needed || needed > took * 1.6 + 8.0 && !is_plain {
            off.push(format!(
                "{kind:?}, odd {is_odd}: took {took:.1}, told {needed:.1}"
            ));
        }
    }
    assert!(off.is_empty(), "{off:#?}");
}

/// Room for one of them at a time, and a worker for each: all are done, one after the other.
#[test]
#[cfg(target_os = "linux")]
fn pictures_wait_for_their_turn() {
    const BUDGET: f64 = 56.0;
    let mut sandbox = Sandbox::new();
    // The budget is made for what `fast` takes.
    let config = config("56MiB", 4).replace("quality: 60", "quality: 60, resample: fast");
    sandbox.write("config.yaml", config.as_bytes());
    let kind = jpeg(turbojpeg::Subsamp::Sub2x2, true);
    for number in 0..6 {
        make(&sandbox.path(format!("{number}.jpg")), kind, 3000, 2400);
    }
    sandbox.start();
    let before = peak(sandbox.pid());
    for number in 0..6 {
        let name = format!("{number}.jpg");
        fs::rename(sandbox.path(&name), sandbox.path("in").join(&name)).unwrap();
    }
    for number in 0..6 {
        sandbox.wait_for_picture(&format!("out/{number}.jpg"));
    }
    let took = peak(sandbox.pid()) - before;
    sandbox.stop();
    // One alone needs more than half of it, so that two at a time take more than all.
    assert!(
        (BUDGET / 2.0..BUDGET).contains(&took),
        "took {took:.1} MiB of {BUDGET}"
    );
}

/// A progressive JPEG whose last scan comes again and again: small, and hours of work.
#[test]
fn endless_scans_end() {
    let sandbox = Sandbox::new();
    let kind = jpeg(turbojpeg::Subsamp::Gray, true);
    make(&sandbox.path("plain.jpg"), kind, 4000, 4000);
    let plain = fs::read(sandbox.path("plain.jpg")).unwrap();
    let end = plain.len() - 2;
    let header = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 1];
    let mut bomb = plain[..end].to_vec();
    for _ in 0..100_000 {
        // A first pass over DC that says nothing: where bits run out, libjpeg goes on with zeros.
        bomb.extend(header);
        bomb.extend([0x00, 0x00]);
    }
    bomb.extend(&plain[end..]);
    sandbox.write("in/bomb.jpg", &bomb);
    let started = std::time::Instant::now();
    sandbox.once_expecting(0, 1);
    assert!(
        !sandbox.lines("more than 200 scans").is_empty(),
        "{}",
        sandbox.tail()
    );
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
}

/// A control group of 256 MiB for one command, removed at the end.
struct Group(std::path::PathBuf);

impl Group {
    /// None where this user or system has none to give.
    fn new() -> Option<Self> {
        let name = format!("watermarkd-test-{}", std::process::id());
        for (root, file) in [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ] {
            let path = Path::new(root).join(&name);
            if fs::create_dir(&path).is_ok() {
                let group = Self(path);
                if fs::write(group.0.join(file), "268435456").is_ok() {
                    return Some(group);
                }
            }
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
#[ignore = "needs a control group to limit and makes pictures of 100 megapixels: tests/faults/memory"]
fn a_limit_of_256_megabytes_is_survived() {
    use png::ColorType as Colour;
    use turbojpeg::Subsamp;
    let Some(group) = Group::new() else {
        skip("no memory control group can be made here");
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", config("auto", 4).as_bytes());
    let kinds = [
        ("baseline", jpeg(Subsamp::Sub2x2, false), Some(true)),
        ("full", jpeg(Subsamp::None, false), Some(true)),
        ("progressive", jpeg(Subsamp::Sub2x2, true), Some(false)),
        ("rgb", png(Colour::Rgb, false, false), Some(true)),
        // Its file alone may be more.
        ("deep", png(Colour::Rgba, true, false), None),
        ("interlaced", png(Colour::Rgb, false, true), Some(false)),
        (
            "deep-interlaced",
            png(Colour::Grayscale, true, true),
            Some(false),
        ),
    ];
    for (name, kind, _) in kinds {
        let first = sandbox.path(format!("in/{name}-0.{}", extension(kind)));
        make(&first, kind, 10_000, 10_000);
        for copy in 1..3 {
            let other = sandbox.path(format!("in/{name}-{copy}.{}", extension(kind)));
            fs::copy(&first, other).unwrap();
        }
    }
    let program = env!("CARGO_BIN_EXE_watermarkd");
    let output = Command::new("sh")
        .arg("-c")
        .arg("echo $$ > \"$0/cgroup.procs\" && exec \"$@\"")
        .args([group.0.as_os_str(), program.as_ref()])
        .args(["run", "--once"])
        .env("WATERMARKD_CONFIG", sandbox.path("config.yaml"))
        .env("XDG_STATE_HOME", sandbox.path("state-home"))
        .current_dir(sandbox.path("."))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for file in ["memory.max_usage_in_bytes", "memory.peak", "memory.failcnt"] {
        if let Ok(figure) = fs::read_to_string(group.0.join(file)) {
            println!("{file}: {}", figure.trim());
        }
    }
    println!("{text}");
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", sandbox.tail());
    for (name, kind, done) in kinds {
        for copy in 0..3 {
            let file = format!("{name}-{copy}.{}", extension(kind));
            let written = sandbox.path(format!("out/{file}")).exists();
            let refused = sandbox
                .lines("failed")
                .iter()
                .any(|line| line.contains(&file) && line.contains("max_memory is 128 MiB"));
            assert!(
                written != refused && done.is_none_or(|done| done == written),
                "{file}: written {written}, refused {refused}\n{}",
                sandbox.tail()
            );
        }
    }
}
