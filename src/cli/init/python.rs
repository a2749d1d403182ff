//! `init --from-python`: the Python tool's file in the new form, with the same results as before.

use std::{fs, io, path::Path, process::ExitCode};

use anyhow::Context;

use super::file::{EXAMPLE, as_yaml, refuse_existing, with_folder, with_values, write_new};
use crate::{
    cli::terminal::{line, quoted},
    config::{self, PythonForm},
};

pub fn run(old: &Path, directory: &Path, config: &Path) -> anyhow::Result<ExitCode> {
    refuse_existing(config)?;
    let form = config::python_form(old)?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create folder {}", directory.display()))?;
    write_new(config, &text_of(&form)?)?;
    let mut out = io::stdout().lock();
    let (input, output) = (form.input.display(), form.output.display());
    line(&mut out, format_args!("wrote {}", config.display()))?;
    for told in [
        format!("pictures from {input} go to {output}, as before"),
        format!(
            "the results stay as they were: reduced to quality {} before the mark is laid on, \
             written at 100, enlarged to {} pixels",
            form.quality, form.output_height
        ),
        "for better ones: quality: 100, output_quality: 90, upscale: false".to_owned(),
        "what lies in the input and was done by the old tool is done once more: move it away first"
            .to_owned(),
        format!("next: watermarkd check -c {}", quoted(config)),
    ] {
        line(&mut out, format_args!("{told}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text_of(form: &PythonForm) -> anyhow::Result<String> {
    let text = EXAMPLE.replacen(
        "A value that is not commented out is the default,\n# except npy_path and folders, which you must give.",
        "A value that is not commented out is the default,\n# except npy_path, folders, and what the Python tool's file says.",
        1,
    );
    let (opacity, height) = (form.opacity.to_string(), form.output_height.to_string());
    let quality = form.quality.to_string();
    let mark = as_yaml(&form.mark)?;
    let text = with_values(
        &text,
        &[
            ("npy_path", &mark),
            ("opacity", &opacity),
            ("output_height", &height),
            ("quality", &quality),
            ("output_quality", "100"),
            ("upscale", "true"),
            ("resample", "fast"),
            ("chroma", "\"420\""),
        ],
    );
    let text = with_folder(&text, "input", "in", &form.input)?;
    with_folder(&text, "output", "out", &form.output)
}
