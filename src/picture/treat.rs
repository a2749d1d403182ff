//! The way of a picture as a list of steps: one result, or several of one decode.

use super::colour::{self, Colour, PngColour};
use super::decode::{self, Lies};
use super::engines::Engines;
use super::error::{PictureError, bad};
use super::geometry::Task;
use super::metadata::{self, Lost};
use super::recipe::{Format, Order, Recipe};
use super::resize::{self, Plan, Scaler};
use super::samples::Samples;
use super::scratch::Scratch;
use super::turbo::Warning;
use super::{convert, encode, orient, overlay, probe, recompress, share, sharpen, strip, webp};
use crate::{outcome::Step, template::About};

/// A finished picture, in the worker's buffer.
#[derive(Debug)]
pub struct Treated<'a> {
    pub bytes: &'a [u8],
    pub format: Format,
    /// Pixels of the written picture.
    pub width: u32,
    pub height: u32,
    /// Pixels of the source as it was stored, before orientation.
    pub source_width: u32,
    pub source_height: u32,
    /// What the decoder complained about in a picture that was accepted all the same.
    pub warning: Option<String>,
    /// What else the source had that no result has.
    pub lost: Lost,
}

/// How far a picture has come.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A step that was needed is done.
    After(Step),
    /// The result of the order with this index is finished.
    Made(usize, Treated<'a>),
}

/// Makes all results of one picture. `tell` is called after each step and with each result, in the order
/// of `orders`; its error ends the work.
pub fn treat_all<E: From<PictureError>>(
    bytes: &[u8],
    orders: &[Order<'_>],
    scratch: &mut Scratch,
    tell: &mut dyn FnMut(Progress<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let tasks = plans(bytes, orders, scratch)?;
    let base = share::base(&tasks).and_then(|index| Some((index, tasks[index]?)));
    let mut told = Ok(());
    let mut shared = None;
    for (index, order) in orders.iter().enumerate() {
        let mut after_step = |step| {
            if told.is_ok() {
                told = tell(Progress::After(step));
            }
        };
        let task = tasks.get(index).copied().flatten();
        let treated = match (base, task) {
            (Some((at, base)), Some(task)) if at == index || share::derives(&task, &base) => {
                if shared.is_none() {
                    shared = Some(decode_for(bytes, &base, scratch, &mut after_step)?);
                }
                let warning = shared.clone().flatten();
                derive(
                    bytes,
                    (&task, order.about),
                    warning,
                    scratch,
                    &mut after_step,
                )?
            }
            _ => treat_one(bytes, order, scratch, &mut after_step)?,
        };
        std::mem::replace(&mut told, Ok(()))?;
        tell(Progress::Made(index, treated))?;
    }
    Ok(())
}

/// What is to be done for each order of a JPEG of which several results are wanted; nothing for others, which are made one by one, and
/// for an order that is refused.
fn plans<'a>(
    bytes: &[u8],
    orders: &[Order<'a>],
    scratch: &mut Scratch,
) -> Result<Vec<Option<Task<'a>>>, PictureError> {
    if orders.len() < 2 {
        return Ok(Vec::new());
    }
    let source = probe::probe(bytes, &mut scratch.colour.icc)?;
    if source.format != Format::Jpeg {
        return Ok(Vec::new());
    }
    let plan = |order: &Order<'a>| Task::plan(source, order.wanted, order.recipe).ok();
    Ok(orders.iter().map(plan).collect())
}

/// Decodes and scales a JPEG for the largest of its results.
fn decode_for(
    bytes: &[u8],
    base: &Task<'_>,
    scratch: &mut Scratch,
    after_step: &mut dyn FnMut(Step),
) -> Result<Warning, PictureError> {
    let Scratch {
        engines,
        samples,
        colour,
        resize: room,
        base: kept,
        ..
    } = scratch;
    colour::by_exif(bytes, &mut colour.icc);
    let warning = from_jpeg(bytes, base, engines, colour, room, samples, after_step)?;
    std::mem::swap(kept, &mut samples.planes.front);
    Ok(warning)
}

/// Makes a result of planes that were decoded for one as large or larger.
fn derive<'a>(
    bytes: &[u8],
    (task, about): (&Task<'_>, &About),
    warning: Warning,
    scratch: &'a mut Scratch,
    after_step: &mut dyn FnMut(Step),
) -> Result<Treated<'a>, PictureError> {
    let Scratch {
        engines,
        samples,
        colour,
        metadata,
        resize: room,
        base,
        ..
    } = scratch;
    metadata::collect(
        bytes,
        &task.source,
        task.recipe.metadata,
        task.size(),
        metadata,
    );
    colour.png = PngColour::default();
    let planes = &mut samples.planes;
    let plan = Plan {
        orientation: 1,
        ..Plan::of(task)
    };
    let mut scaler = Scaler::new(plan, room, &mut planes.front, after_step);
    scaler.whole(base);
    scaler.finish();
    if task.wanted != Format::Jpeg {
        let to = &mut samples.pixels.front;
        convert::to_pixels(&mut engines.decompressor, &planes.front, task.size(), to)
            .map_err(bad(Step::Resize))?;
    }
    after_step(Step::Resize);
    let (width, height) = task.size();
    let lost = metadata.lost;
    Ok(Treated {
        bytes: finish(task, about, scratch, after_step)?,
        format: task.wanted,
        width,
        height,
        source_width: task.source.width,
        source_height: task.source.height,
        warning,
        lost,
    })
}

/// The same for one result of a picture of which nothing is known but its bytes.
pub fn treat<'a>(
    bytes: &[u8],
    wanted: Format,
    recipe: &Recipe,
    scratch: &'a mut Scratch,
    after_step: &mut dyn FnMut(Step),
) -> Result<Treated<'a>, PictureError> {
    let order = Order {
        wanted,
        recipe,
        about: &About::default(),
    };
    treat_one(bytes, &order, scratch, after_step)
}

/// Makes one result of a picture. What the bytes are, they say themselves. `after_step` is called after
/// each step that was needed.
pub fn treat_one<'a>(
    bytes: &[u8],
    order: &Order<'_>,
    scratch: &'a mut Scratch,
    after_step: &mut dyn FnMut(Step),
) -> Result<Treated<'a>, PictureError> {
    let (wanted, recipe) = (order.wanted, order.recipe);
    let Scratch {
        engines,
        samples,
        colour,
        metadata,
        resize: room,
        ..
    } = scratch;
    let source = probe::probe(bytes, &mut colour.icc)?;
    if source.format == Format::Jpeg {
        colour::by_exif(bytes, &mut colour.icc);
    }
    let task = &Task::plan(source, wanted, recipe)?;
    metadata::collect(bytes, &source, recipe.metadata, task.size(), metadata);
    colour.png = PngColour::default();

    // Rows are scaled as they come, and turned when there are fewer of them.
    let warning = match source.format {
        Format::Jpeg => from_jpeg(bytes, task, engines, colour, room, samples, after_step)?,
        Format::Png | Format::WebP => {
            from_pixels(bytes, task, engines, colour, samples, after_step)?
        }
    };
    let lost = metadata.lost;
    Ok(Treated {
        bytes: finish(task, order.about, scratch, after_step)?,
        format: wanted,
        width: task.geometry.width,
        height: task.geometry.height,
        source_width: source.width,
        source_height: source.height,
        warning,
        lost,
    })
}

/// What comes after scaling: the written picture.
fn finish<'a>(
    task: &Task<'_>,
    about: &About,
    scratch: &'a mut Scratch,
    after_step: &mut dyn FnMut(Step),
) -> Result<&'a [u8], PictureError> {
    let Scratch {
        engines,
        samples,
        colour,
        metadata,
        stamps,
        sharpen: room,
        encode: written,
        ..
    } = scratch;
    let recipe = task.recipe;
    if recipe.sharpen > 0 && task.geometry.shrinks() {
        match task.wanted {
            Format::Jpeg => sharpen::planes(recipe.sharpen, &mut samples.planes.front, room),
            Format::Png | Format::WebP => {
                sharpen::pixels(recipe.sharpen, &mut samples.pixels.front, room);
            }
        }
        after_step(Step::Resize);
    }
    if task.wanted == Format::Jpeg && recipe.quality < 100 {
        recompress::run(recipe.quality, &mut samples.planes.front);
        after_step(Step::Recompress);
    }
    if task.wanted == Format::WebP {
        overlay::with_colour(task, colour, samples);
    }
    if task.geometry.marked {
        overlay::run(task, &mut engines.resizer, stamps, colour, samples, about)
            .map_err(bad(Step::Overlay))?;
        after_step(Step::Overlay);
    }
    let bytes = encode::run(task, engines, written, colour, metadata, samples)
        .map_err(bad(Step::Encode))?;
    after_step(Step::Encode);
    Ok(bytes)
}

/// Decodes and scales a JPEG. Returns what was wrong with it all the same.
fn from_jpeg(
    bytes: &[u8],
    task: &Task<'_>,
    engines: &mut Engines,
    colour: &mut Colour,
    room: &mut resize::Room,
    samples: &mut Samples,
    after_step: &mut dyn FnMut(Step),
) -> Result<Warning, PictureError> {
    let Samples {
        planes,
        pixels,
        packed,
    } = samples;
    // What was written last lies in front: the larger buffer is the other.
    planes.flip();
    let mut scaler = Scaler::new(Plan::of(task), room, &mut planes.back, after_step);
    let mut to = decode::Target {
        planes: &mut planes.front,
        packed,
        sink: &mut scaler,
    };
    let decoded = decode::jpeg(
        bytes,
        &task.source,
        &task.geometry,
        engines,
        colour,
        &mut to,
    );
    scaler.passed(Step::Decode);
    let (warning, lies) = decoded.map_err(bad(Step::Decode))?;
    if lies == Lies::Whole {
        scaler.whole(&planes.front);
        scaler.passed(Step::Resize);
    }
    scaler.finish();
    planes.flip();
    if task.wanted != Format::Jpeg {
        let (planes, to) = (&planes.front, &mut pixels.front);
        convert::to_pixels(&mut engines.decompressor, planes, task.size(), to)
            .map_err(bad(Step::Resize))?;
    }
    after_step(if task.source.orientation == 1 {
        Step::Resize
    } else {
        Step::Orient
    });
    Ok(warning)
}

/// The same for what is decoded to pixels.
fn from_pixels(
    bytes: &[u8],
    task: &Task<'_>,
    engines: &mut Engines,
    colour: &mut Colour,
    samples: &mut Samples,
    after_step: &mut dyn FnMut(Step),
) -> Result<Warning, PictureError> {
    let Samples {
        planes,
        pixels,
        packed,
    } = samples;
    let resizer = &mut engines.resizer;
    let warning = if task.source.format == Format::WebP {
        let decoded = webp::decode(bytes, &mut pixels.back);
        after_step(Step::Decode);
        decoded.map_err(bad(Step::Decode))?;
        strip::whole(task, resizer, pixels).map_err(bad(Step::Resize))?;
        after_step(Step::Resize);
        None
    } else {
        strip::run(bytes, task, resizer, colour, pixels, after_step)?
    };
    if task.source.orientation != 1 {
        orient::pair(pixels, task.source.orientation);
        after_step(Step::Orient);
    }
    if task.wanted == Format::Jpeg {
        let (pixels, planes) = (&pixels.front, &mut planes.front);
        let compressor = &mut engines.compressor;
        convert::to_planes(compressor, pixels, task.sampling(), packed, planes)
            .map_err(bad(Step::Resize))?;
        after_step(Step::Resize);
    }
    Ok(warning)
}
