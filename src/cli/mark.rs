//! `watermarkd mark`: makes marks from texts and pictures.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use clap::Subcommand;

use super::{examples, terminal};
use crate::{
    mark::{self, Mark, text},
    staging,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a mark from a text.
    #[command(after_long_help = examples::MARK)]
    Text {
        /// The text; it may have several lines.
        #[arg(allow_hyphen_values = true)]
        text: String,
        #[command(flatten)]
        target: Target,
        /// A TrueType or OpenType font; DejaVu Sans Bold, which is built in, without it.
        #[arg(long, value_name = "FILE")]
        font: Option<PathBuf>,
        /// Size of the font in pixels, 4..1000.
        #[arg(long, value_name = "PX", default_value = "64", value_parser = size)]
        size: f32,
        /// Colour, with its opacity if it has eight digits: #rrggbb or #rrggbbaa; the # may be
        /// left out.
        #[arg(long, value_name = "COLOR", default_value = "#ffffff", value_parser = text::colour)]
        color: text::Colour,
        /// Width of an outline in pixels, 0..100, and its colour: 2 or 2,#000000.
        #[arg(long, value_name = "PX[,COLOR]", value_parser = outline)]
        outline: Option<(f32, text::Colour)>,
        /// How far a shadow stands to the right and below in pixels, -1000..1000, and its colour:
        /// 3,3 or -3,3,#00000080.
        #[arg(long, value_name = "DX,DY[,COLOR]", value_parser = shadow, allow_hyphen_values = true)]
        shadow: Option<((i32, i32), text::Colour)>,
    },
    /// Make a mark from a PNG or JPEG.
    #[command(after_long_help = examples::MARK)]
    Image {
        /// The picture.
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
}

/// Where the mark goes.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Where to write the mark, a name that ends in .npy.
    #[arg(short, long, value_name = "MARK")]
    output: PathBuf,
    /// Replace a file that is there. Without it the question is asked on a terminal.
    #[arg(short, long)]
    force: bool,
    /// Only say how large the mark would be.
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Text {
            text,
            target,
            font,
            size,
            color,
            outline,
            shadow,
        } => {
            let style = text::Style {
                size,
                colour: color,
                outline,
                shadow,
            };
            let read = |file: &Path| mark::font(file).map_err(anyhow::Error::msg);
            let mark = match &font {
                Some(file) => text::draw(&text, &read(file)?, &style)
                    .map_err(|cause| anyhow::anyhow!("font {}: {cause}", file.display())),
                None => text::draw(&text, text::FONT, &style).map_err(anyhow::Error::msg),
            };
            write(&mark?, &target)
        }
        Command::Image { file, target } => write(&mark::load(&file)?, &target),
    }
}

fn write(mark: &Mark, target: &Target) -> anyhow::Result<ExitCode> {
    let output = &target.output;
    // Under the name of a picture it would be taken for one by everything else.
    if output.extension().is_none_or(|end| end != "npy") {
        bail!("{}: the name must end in .npy", output.display());
    }
    let shown = output.display();
    let (width, height) = (mark.width, mark.height);
    if target.dry_run {
        let there = if is_there(output) {
            "; a file would be replaced"
        } else {
            ""
        };
        writeln!(
            io::stdout(),
            "{shown}: {width}x{height}, nothing was written{there}"
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    if is_there(output) && !target.force {
        match terminal::confirm(&format!("{shown} is there already. Replace it?"))? {
            Some(true) => {}
            Some(false) => bail!("{shown} stays as it is"),
            None => bail!("{shown} is there already; --force replaces it"),
        }
    }
    staging::write(output, &mark::to_npy(mark)?)?;
    writeln!(io::stdout(), "{shown}: {width}x{height}")?;
    Ok(ExitCode::SUCCESS)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn size(text: &str) -> Result<f32, String> {
    number(text, 4.0, 1000.0)
}

fn outline(text: &str) -> Result<(f32, text::Colour), String> {
    let (width, colour) = text.split_once(',').unwrap_or((text, "#000000"));
    Ok((number(width, 0.0, 100.0)?, text::colour(colour)?))
}

fn shadow(text: &str) -> Result<((i32, i32), text::Colour), String> {
    let mut parts = text.splitn(3, ',');
    let mut distance = || {
        parts
            .next()
            .and_then(|part| part.trim().parse().ok())
            .filter(|distance| (-1000..=1000).contains(distance))
            .ok_or("two distances in whole pixels -1000..1000 are wanted, such as 3,3")
    };
    let by = (distance()?, distance()?);
    Ok((by, text::colour(parts.next().unwrap_or("#00000080"))?))
}

fn number(text: &str, least: f32, most: f32) -> Result<f32, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("pixels {least}..{most} are wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::text::colour;

    #[test]
    fn colours_outlines_and_shadows_are_read() {
        assert_eq!(colour("#0a14FF"), Ok([10, 20, 255, 255]));
        assert_eq!(colour("0a14ff80"), Ok([10, 20, 255, 128]));
        assert_eq!(outline("2.5"), Ok((2.5, [0, 0, 0, 255])));
        assert_eq!(outline("3,#ff000040"), Ok((3.0, [255, 0, 0, 64])));
        assert_eq!(shadow("-3,4"), Ok(((-3, 4), [0, 0, 0, 128])));
        assert_eq!(shadow("0, 1, ffffff"), Ok(((0, 1), [255; 4])));
    }

    #[test]
    fn what_is_no_colour_outline_or_shadow_is_refused() {
        for bad in ["", "#", "red", "#12345", "#1234567", "+12345", "#123456789"] {
            assert!(colour(bad).unwrap_err().contains("#rrggbb"), "{bad}");
        }
        for bad in ["", "x", "-1", "101", "nan", "2,", "2,red"] {
            assert!(outline(bad).is_err(), "{bad}");
        }
        for bad in ["", "1", "1,", "1,x", "1001,0", "1,1,red", "1,1,"] {
            assert!(shadow(bad).is_err(), "{bad}");
        }
        for bad in ["3.9", "1001", "inf"] {
            assert!(size(bad).unwrap_err().contains("4..1000"), "{bad}");
        }
    }
}
