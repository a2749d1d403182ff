//! `watermarkd init`: a folder in which `run` works at once.

mod file;
mod python;
mod scene;

use std::{
    fs, io,
    path::{self, Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context;

pub use self::file::EXAMPLE;
use self::file::{refuse_existing, with_folder, with_values, write_new};
use super::terminal::{line, quoted};
use crate::{
    log::Local,
    mark::{self, text},
    os,
    picture::Mark,
    staging,
};

/// What a photographer keeps, in place of the example's values.
const KEPT: [(&str, &str); 3] = [
    ("position", "bottom-right"),
    ("margin", "2%"),
    ("scale", "20%"),
];

/// Pixels of the demonstration picture.
const SCENE: (u16, u16) = (1620, 1080);
const SCENE_QUALITY: i32 = 92;

/// The new form of a file of the Python tool.
pub fn python(old: &Path, directory: &Path) -> anyhow::Result<ExitCode> {
    python::run(old, directory, &directory.join("config.yaml"))
}

/// Without folders of their own, input and output lie beside the configuration, with a picture.
pub fn run(
    directory: &Path,
    input: Option<&Path>,
    output: Option<&Path>,
    words: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let (config, mark_file) = (directory.join("config.yaml"), directory.join("mark.npy"));
    let mut text = text_of_kept();
    let mut folders = Vec::new();
    for (key, beside, named) in [("input", "in", input), ("output", "out", output)] {
        folders.push(match named {
            Some(folder) => {
                let folder = path::absolute(folder)?;
                text = with_folder(&text, key, beside, &folder)?;
                folder
            }
            None => directory.join(beside),
        });
    }
    // Into a folder of somebody's nothing is put that he did not ask for.
    let sample = input.is_none().then(|| folders[0].join("sample.jpg"));
    for path in [&config, &mark_file].into_iter().chain(&sample) {
        refuse_existing(path)?;
    }
    let (mark, drawn) = draw(words)?;
    for folder in folders.iter().map(PathBuf::as_path).chain([directory]) {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create folder {}", folder.display()))?;
    }
    staging::write(&mark_file, &mark::to_npy(&mark)?)?;
    if let Some(sample) = &sample {
        staging::write(sample, &scene()?)?;
    }
    write_new(&config, &text)?;
    let mut out = io::stdout().lock();
    let (file, mark_file, inbox) = (config.display(), mark_file.display(), folders[0].display());
    line(
        &mut out,
        format_args!("wrote {file}, and {mark_file} with the text {drawn:?}"),
    )?;
    let named = quoted(&config);
    if let Some(sample) = &sample {
        let (sample, outbox) = (sample.display(), folders[1].display());
        line(
            &mut out,
            format_args!("try it: watermarkd run --once -c {named} takes {sample} to {outbox}"),
        )?;
    }
    line(&mut out, format_args!("next: watermarkd run -c {named}"))?;
    line(&mut out, format_args!("then drop pictures into {inbox}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The example with the values that are kept.
fn text_of_kept() -> String {
    let head = EXAMPLE.replacen(
        "A value that is not commented out is the default,\n# except npy_path and folders, which you must give.",
        "A value that is not commented out is the default,\n# except npy_path and folders, which you must give, and what `init` chose for photographs: a small mark\n# at the lower right.",
        1,
    );
    with_values(&head, &KEPT)
}

/// The mark, and the text that it shows: the one that is asked for, else the user's name or the
/// year, if the font has its letters.
fn draw(words: Option<&str>) -> anyhow::Result<(Mark, String)> {
    if let Some(words) = words {
        let mark = text::draw(words, text::FONT, &super::apply::STYLE).map_err(anyhow::Error::msg);
        return Ok((mark?, words.to_owned()));
    }
    let year = format!("© {}", Local::of(SystemTime::now()).date().year());
    let name = os::user_name().map(|name| format!("© {name}"));
    for words in name.into_iter().chain([year]) {
        if let Ok(mark) = text::draw(&words, text::FONT, &super::apply::STYLE) {
            return Ok((mark, words));
        }
    }
    Ok((mark::sample(), "watermarkd".to_owned()))
}

/// The demonstration picture as a JPEG.
fn scene() -> anyhow::Result<Vec<u8>> {
    let (width, height) = SCENE;
    let rgb = scene::draw(width, height);
    let image = turbojpeg::Image {
        pixels: rgb.as_slice(),
        width: width.into(),
        pitch: usize::from(width) * 3,
        height: height.into(),
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image, SCENE_QUALITY, turbojpeg::Subsamp::Sub2x2);
    Ok(jpeg
        .context("cannot encode the demonstration picture")?
        .to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kept_value_stands_in_the_text() {
        let text = text_of_kept();
        for (key, value) in KEPT {
            let line = format!("\n  {key}: {value}\n");
            assert_eq!(text.matches(&line).count(), 1, "{key}");
            assert_eq!(text.matches(&format!("\n  {key}: ")).count(), 1, "{key}");
        }
        assert!(text.contains("`init` chose"), "{text}");
    }

    #[test]
    fn there_is_always_a_mark() {
        let (mark, words) = draw(Some("© Jane")).unwrap();
        assert!(mark.width > mark.height && words == "© Jane");
        assert!(draw(None).unwrap().1.starts_with('©'));
        assert!(draw(Some("")).is_err());
    }
}
