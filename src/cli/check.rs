//! `watermarkd check`: what the daemon would do, and whether it could.

use std::{
    env, io,
    process::{Command, ExitCode},
};

use anyhow::Context;

use super::{
    availability,
    config_file::ConfigFile,
    terminal::{self, line},
};
use crate::{
    config::{self, Folder, Rendition, Source},
    exit, ledger, os,
    picture::{Chroma, PlacedMark, Position, Recipe, Resample, Scale, Side, Size, Subject},
    template::Template,
    watch,
};

pub fn run(file: &ConfigFile, user: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(name) = user else {
        let code = check(file)?;
        if os::is_root() {
            let told = "checked as root, who may write everywhere; `--user NAME` checks as the service's user";
            line(&mut io::stdout(), format_args!("{told}"))?;
        }
        return Ok(code);
    };
    let user = os::user(name).with_context(|| format!("cannot check as {name}"))?;
    if env::var_os("HOME").is_none_or(|home| home != user.home) {
        return at_home(&user);
    }
    os::with_rights_of(&user, || check(file)).with_context(|| format!("cannot check as {name}"))?
}

/// The same command once more, with what the environment would be of that user.
fn at_home(user: &os::User) -> anyhow::Result<ExitCode> {
    let mut again = Command::new(os::own_program()?);
    again.args(env::args_os().skip(1)).env("HOME", &user.home);
    for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        again.env_remove(variable);
    }
    let code = again.status().context("cannot start the program again")?;
    let code = code.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(exit::FAILED)))
}

fn check(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let (config, warnings) = config::load_strictly(&config::locate(file.config.as_deref())?)?;
    ledger::inspect(&config.ledger)?;
    let mut out = io::stdout().lock();
    line(&mut out, format_args!("{}: fine", config.file.display()))?;
    for warning in warnings {
        let warning = warning.in_file(&config.file);
        line(&mut out, format_args!("warning: {warning}"))?;
    }
    line(&mut out, format_args!("workers: {}", config.workers))?;
    line(
        &mut out,
        format_args!("ledger: {}", config.ledger.display()),
    )?;
    if let Some(earlier) = availability::earlier(&config) {
        let earlier = earlier.display();
        line(
            &mut out,
            format_args!("  the next start takes over {earlier}"),
        )?;
    }
    line(&mut out, format_args!("log: {}", config.log.dir.display()))?;
    for warning in config::warnings(&config) {
        terminal::error(&anyhow::anyhow!("warning: {warning}"));
    }
    for folder in &config.folders {
        write_folder(&mut out, folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_folder(out: &mut impl io::Write, folder: &Folder) -> io::Result<()> {
    let (mode, why) = watch::choose_mode(folder);
    let depth = if folder.recursive {
        ", with subfolders"
    } else {
        ""
    };
    line(out, format_args!("folder {}", folder.input.display()))?;
    if let Some(cause) = availability::away(&folder.input) {
        line(out, format_args!("  offline: {cause}; waiting for it"))?;
    }
    line(out, format_args!("  watch: {} ({why}){depth}", mode.name()))?;
    line(out, format_args!("  output: {}", folder.output.display()))?;
    if folder
        .output
        .parent()
        .is_some_and(|parent| !parent.is_dir())
    {
        line(out, format_args!("  output is offline, waiting for it"))?;
    }
    if folder.after != Source::Keep {
        line(
            out,
            format_args!("  after: {}", describe_source(&folder.after)),
        )?;
    }
    if folder.on_failure != Source::Keep {
        let what = describe_source(&folder.on_failure);
        line(out, format_args!("  on_failure: {what}"))?;
    }
    for rendition in &folder.renditions {
        let Rendition {
            to, name, recipe, ..
        } = rendition;
        let what = if folder.renditions.len() > 1 || *name != Template::of_source() {
            format!("rendition {}", to.join(name.text()).display())
        } else {
            "recipe".to_owned()
        };
        line(out, format_args!("  {what}: {}", describe(recipe)))?;
    }
    Ok(())
}

fn describe_source(source: &Source) -> String {
    match source {
        Source::Keep => "keep".to_owned(),
        Source::Delete => "delete".to_owned(),
        Source::MoveTo(path) => format!("move_to {}", path.display()),
    }
}

/// A recipe in one line, in the words of the configuration.
fn describe(recipe: &Recipe) -> String {
    let chroma = match recipe.chroma {
        Chroma::Half => "420",
        Chroma::Full => "444",
    };
    let resample = match recipe.resample {
        Resample::Fast => "fast",
        Resample::Fine => "fine",
    };
    let sharpen = match recipe.sharpen {
        0 => String::new(),
        amount => format!(", sharpen {amount}"),
    };
    let marks: String = recipe.marks.iter().map(describe_mark).collect();
    format!(
        "{}, quality {}{marks}, output_quality {}, chroma {chroma}, resample {resample}{sharpen}",
        describe_size(recipe),
        recipe.quality,
        recipe.output_quality,
    )
}

fn describe_size(recipe: &Recipe) -> String {
    let size = match recipe.size {
        Size::Original => return "output_height original".to_owned(),
        Size::Width(pixels) => format!("output_width {pixels}"),
        Size::Height(pixels) => format!("output_height {pixels}"),
        Size::Box { width, height } => format!("output_width {width} and output_height {height}"),
        Size::LongEdge(pixels) => format!("long_edge {pixels}"),
        Size::ShortEdge(pixels) => format!("short_edge {pixels}"),
    };
    let at_most = if recipe.upscale { "" } else { " at most" };
    format!("{size}{at_most}")
}

fn describe_mark(placed: &PlacedMark) -> String {
    let PlacedMark { mark, opacity, .. } = placed;
    let scale = placed.scale.map(|Scale { percent, side }| match side {
        Side::Shorter => format!(" scaled to {percent} %"),
        Side::Width => format!(" scaled to {percent} % of width"),
        Side::Height => format!(" scaled to {percent} % of height"),
    });
    let rotate = (placed.rotate != 0.0).then(|| format!(" turned by {} degrees", placed.rotate));
    let tiled = matches!(placed.position, Position::Tile { .. }).then(|| ", tiled".to_owned());
    let what = match mark {
        Subject::Image(mark) => format!("{}x{}", mark.width, mark.height),
        Subject::Text(text) => format!("{:?}", text.template.text()),
    };
    [
        format!(", mark {what} at {opacity} % opacity"),
        scale.unwrap_or_default(),
        rotate.unwrap_or_default(),
        tiled.unwrap_or_default(),
    ]
    .concat()
}
