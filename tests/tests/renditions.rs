//! Several results of one picture: their names, and what happens where two would have the same.

use std::fs;

use super::{
    operate::run,
    pictures::{jpeg, png, size},
    sandbox::Sandbox,
};

const THREE: &str = "folders:
  - input: in
    output: out
    recursive: true
    renditions:
      - {to: \"\", name: \"{stem}.{ext}\"}
      - {to: web, name: \"{stem}_web.jpg\", long_edge: 30}
      - {to: thumb/small, name: \"{stem}_{width}x{height}.png\", short_edge: 6, marks: []}
";

/// JPEG of one colour, with the date and the camera of an EXIF block.
fn taken(date: &str, camera: &str) -> Vec<u8> {
    let picture = jpeg(90, 60, 1);
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let model = format!("{camera}\0");
    let date = format!("{date}\0");
    // One directory with the model and the way to the next, which has the date.
    let (first, second) = (8_u32, 8 + 2 + 2 * 12 + 4);
    let values = second + 2 + 12 + 4;
    assert_eq!(first, 8);
    let entry = |tag: u16, kind: u16, count: usize, value: u32, tiff: &mut Vec<u8>| {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(u32::try_from(count).unwrap().to_le_bytes());
        tiff.extend(value.to_le_bytes());
    };
    tiff.extend(2_u16.to_le_bytes());
    let behind = values + u32::try_from(date.len()).unwrap();
    entry(0x0110, 2, model.len(), behind, &mut tiff);
    entry(0x8769, 4, 1, second, &mut tiff);
    tiff.extend([0; 4]);
    tiff.extend(1_u16.to_le_bytes());
    entry(0x9003, 2, date.len(), values, &mut tiff);
    tiff.extend([0; 4]);
    tiff.extend(date.bytes());
    tiff.extend(model.bytes());
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1];
    bytes.extend(u16::try_from(tiff.len() + 8).unwrap().to_be_bytes());
    bytes.extend(b"Exif\0\0");
    bytes.extend(tiff);
    bytes.extend(&picture[2..]);
    bytes
}

#[test]
fn a_picture_is_done_when_all_its_renditions_are_there() {
    let sandbox = Sandbox::with(THREE);
    sandbox.write("in/sub/a.jpg", &jpeg(90, 60, 1));
    sandbox.write("in/b.png", &png(40, 60, 2));
    sandbox.write("out/web/.watermarkd-123-0", b"half a picture");
    sandbox.once_expecting(2, 0);
    assert!(!sandbox.path("out/web/.watermarkd-123-0").exists());
    for (name, expected) in [
        ("out/sub/a.jpg", (72, 48)),
        ("out/web/sub/a_web.jpg", (30, 20)),
        ("out/thumb/small/sub/a_9x6.png", (9, 6)),
        ("out/b.png", (32, 48)),
        ("out/web/b_web.jpg", (20, 30)),
        ("out/thumb/small/b_6x9.png", (6, 9)),
    ] {
        let bytes = fs::read(sandbox.path(name)).unwrap();
        assert_eq!(size(&bytes), expected, "{name}");
    }
    let (code, told) = run(&sandbox, &["explain", "in/sub/a.jpg"]);
    assert_eq!(code, Some(0));
    for part in [
        "out/sub/a.jpg",
        "out/web/sub/a_web.jpg",
        "out/thumb/small/sub/a_9x6.png",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let (_, told) = run(&sandbox, &["explain", "--json", "in/sub/a.jpg"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["outputs"].as_array().unwrap().len(), 3, "{told}");
    // Done is done.
    sandbox.once_expecting(0, 0);
    // One that is missing makes all of them again, in their places.
    fs::remove_file(sandbox.path("out/web/sub/a_web.jpg")).unwrap();
    let (code, told) = run(&sandbox, &["reprocess", "in/sub/a.jpg"]);
    assert_eq!(code, Some(0), "{told}");
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out/web/sub"), ["a_web.jpg"]);
    assert_eq!(sandbox.names("out/sub"), ["a.jpg"]);
}

#[test]
fn a_rendition_that_cannot_be_written_leaves_none_of_the_others_undone() {
    let mut sandbox = Sandbox::with(
        "folders:
  - input: in
    output: out
    renditions: [{}, {to: web}]
retry: {first: 100ms, max: 200ms}
",
    );
    sandbox.write("out/web", b"a file in the way");
    sandbox.start();
    sandbox.rename_in("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.wait_for_line(&["web"]);
    let (_, told) = run(&sandbox, &["explain", "in/a.jpg"]);
    assert!(
        told.starts_with("in/a.jpg: waiting") || told.contains("waiting"),
        "{told}"
    );
    fs::remove_file(sandbox.path("out/web")).unwrap();
    sandbox.wait_for_picture("out/web/a.jpg");
    sandbox.wait_for_picture("out/a.jpg");
    assert_eq!(sandbox.names("out"), ["a.jpg", "web"]);
}

#[test]
fn names_tell_when_and_with_what_a_picture_was_taken() {
    let sandbox = Sandbox::with(
        "folders:
  - input: in
    output: out
    renditions: [{name: \"{date:%Y%m%d} {camera} {stem}.{ext}\"}]
",
    );
    sandbox.write("in/a.jpg", &taken("2019:02:03 04:05:06", "Box/1"));
    sandbox.write("in/b.jpg", &jpeg(90, 60, 1));
    let file = fs::File::options()
        .write(true)
        .open(sandbox.path("in/b.jpg"));
    let noon = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_714_564_800);
    file.unwrap().set_modified(noon).unwrap();
    sandbox.once_expecting(2, 0);
    assert_eq!(
        sandbox.names("out"),
        ["20190203 Box_1 a.jpg", "20240501 unknown b.jpg"]
    );
}

#[test]
fn a_text_says_when_a_picture_was_taken() {
    let config = |text: &str| {
        format!(
            "folders:
  - input: in
    output: out
    watermark: {{text: \"{text}\", output_height: 60, output_quality: 100, size: 20px, position: center}}
"
        )
        .replace("20px", "20")
    };
    let made = |text: &str, date: &str| {
        let sandbox = Sandbox::with(&config(text));
        // The mark of the top is a file, and the folder's text replaces it.
        sandbox.write("in/a.jpg", &taken(date, "Box"));
        sandbox.once_expecting(1, 0);
        fs::read(sandbox.path("out/a.jpg")).unwrap()
    };
    let (one, other) = ("2019:02:03 04:05:06", "2021:02:03 04:05:06");
    assert_eq!(made("{date:%Y}", one), made("2019", one));
    assert_ne!(made("{date:%Y}", one), made("{date:%Y}", other));
    assert_eq!(made("{date:%m}", one), made("{date:%m}", one));
    assert_ne!(made("{artist} ", one), made("{camera}", one));
}

fn conflicting(on_conflict: &str) -> Sandbox {
    let sandbox = Sandbox::with(&format!(
        "folders:
  - input: in
    output: out
    on_conflict: {on_conflict}
    renditions: [{{name: \"{{stem}}.jpg\"}}]
"
    ));
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.once_expecting(1, 0);
    sandbox
}

#[test]
fn two_sources_of_one_name_cost_no_picture() {
    let sandbox = conflicting("auto");
    let first = fs::read(sandbox.path("out/a.jpg")).unwrap();
    sandbox.write("in/a.png", &png(60, 60, 2));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg"]);
    assert_eq!(fs::read(sandbox.path("out/a.jpg")).unwrap(), first);
    // Each replaces its own, once it changes.
    sandbox.write("in/a.png", &png(60, 30, 3));
    sandbox.write("in/a.jpg", &jpeg(30, 60, 3));
    sandbox.once_expecting(2, 0);
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg"]);
    assert_eq!(
        size(&fs::read(sandbox.path("out/a.jpg")).unwrap()),
        (24, 48)
    );
    assert_eq!(
        size(&fs::read(sandbox.path("out/a.1.jpg")).unwrap()),
        (60, 30)
    );
    // A ledger that is lost costs none, and makes none twice.
    fs::remove_dir_all(sandbox.path("state")).unwrap();
    sandbox.once_expecting(2, 0);
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg"]);
}

#[test]
fn two_renditions_of_one_name_cost_no_picture() {
    for on_conflict in ["auto", "replace", "number"] {
        let sandbox = Sandbox::with(&format!(
            "folders:
  - input: in
    output: out
    on_conflict: {on_conflict}
    renditions: [{{name: \"{{stem}}.jpg\"}}, {{output_height: 12}}]
"
        ));
        sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
        sandbox.once_expecting(1, 0);
        let sizes = || {
            ["out/a.jpg", "out/a.1.jpg"].map(|name| size(&fs::read(sandbox.path(name)).unwrap()))
        };
        assert_eq!(sizes(), [(72, 48), (18, 12)], "{on_conflict}");
        if on_conflict == "number" {
            continue;
        }
        // Made again, each is in its own place.
        sandbox.write("in/a.jpg", &jpeg(60, 60, 2));
        sandbox.once_expecting(1, 0);
        assert_eq!(sizes(), [(48, 48), (12, 12)], "{on_conflict}");
        assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg"], "{on_conflict}");
    }
}

#[test]
fn a_taken_name_is_replaced_numbered_or_refused_as_the_folder_says() {
    let sandbox = conflicting("replace");
    sandbox.write("in/a.png", &png(60, 60, 2));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out"), ["a.jpg"]);
    assert_eq!(
        size(&fs::read(sandbox.path("out/a.jpg")).unwrap()),
        (48, 48)
    );

    let sandbox = conflicting("number");
    sandbox.write("in/a.jpg", &jpeg(60, 60, 2));
    sandbox.once_expecting(1, 0);
    assert_eq!(sandbox.names("out"), ["a.1.jpg", "a.jpg"]);

    let sandbox = conflicting("fail");
    sandbox.write("in/a.jpg", &jpeg(60, 60, 2));
    sandbox.once_expecting(1, 0);
    sandbox.write("in/a.png", &png(60, 60, 2));
    sandbox.once_expecting(0, 1);
    assert_eq!(sandbox.names("out"), ["a.jpg"]);
    let (_, told) = run(&sandbox, &["explain", "in/a.png"]);
    assert!(told.contains("another file has this name"), "{told}");
}

#[test]
fn a_name_that_ends_in_webp_is_one_and_so_is_a_source() {
    let sandbox = Sandbox::with(
        "folders:
  - input: in
    output: out
    renditions:
      - {name: \"{stem}_{ext}.webp\"}
      - {to: same, name: \"{stem}.{ext}\"}
      - {to: jpeg, name: \"{stem}_{ext}.jpg\"}
",
    );
    sandbox.write("in/a.jpg", &jpeg(90, 60, 1));
    sandbox.write("in/a.png", &png(40, 60, 2));
    let mut webp = std::io::Cursor::new(Vec::new());
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    super::pictures::rgb(60, 90, 3)
        .write_with_encoder(encoder)
        .unwrap();
    sandbox.write("in/a.webp", &webp.into_inner());
    sandbox.once_expecting(3, 0);
    for (name, expected, lossy) in [
        ("out/a_jpg.webp", (72, 48), true),
        ("out/a_png.webp", (32, 48), false),
        ("out/a_webp.webp", (32, 48), false),
        ("out/same/a.webp", (32, 48), false),
    ] {
        let bytes = fs::read(sandbox.path(name)).unwrap();
        assert_eq!(&bytes[8..12], b"WEBP", "{name}");
        assert_eq!(size(&bytes), expected, "{name}");
        assert_eq!(bytes[12..].starts_with(b"VP8 "), lossy, "{name}");
    }
    for name in ["out/same/a.jpg", "out/jpeg/a_webp.jpg"] {
        let bytes = fs::read(sandbox.path(name)).unwrap();
        assert!(bytes.starts_with(&[0xff, 0xd8]), "{name}");
    }
    let (code, told) = run(&sandbox, &["preview", "in/a.png", "-o", "p.webp"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(&fs::read(sandbox.path("p.webp")).unwrap()[8..12], b"WEBP");
}
