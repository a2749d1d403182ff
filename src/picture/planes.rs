//! A picture as JPEG codes it: planes of 8-bit Y, Cb, Cr samples (JFIF, full range), the chroma
//! planes possibly smaller.
//!
//! Planes are padded to whole chroma samples as TurboJPEG wants them, and a DCT-scaled decode may
//! end in the middle of a sample. So each plane carries the area that is really picture, and every
//! geometric step works on that area: padding never shifts a picture.

/// How many pixels share a chroma sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// Y alone.
    Grey,
    S444,
    S422,
    S420,
    S440,
    S411,
    S441,
}

impl Sampling {
    /// Pixels per sample of a plane, across and down.
    pub fn steps(self, plane: usize) -> (u32, u32) {
        if plane == 0 {
            (1, 1)
        } else {
            self.chroma_steps()
        }
    }

    fn chroma_steps(self) -> (u32, u32) {
        match self {
            Self::Grey | Self::S444 => (1, 1),
            Self::S422 => (2, 1),
            Self::S420 => (2, 2),
            Self::S440 => (1, 2),
            Self::S411 => (4, 1),
            Self::S441 => (1, 4),
        }
    }

    fn planes(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }
}

/// A number of samples along a side as a coordinate.
#[expect(
    clippy::cast_precision_loss,
    reason = "sides are below 2^32, far from 2^53"
)]
pub fn coordinate(samples: usize) -> f64 {
    samples as f64
}

/// A rectangle in samples; its edges may lie inside of samples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

#[derive(Debug, Default)]
pub struct Plane {
    /// `width × height` samples, rows top to bottom without gaps.
    pub samples: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// The part that is picture, the rest is padding.
    pub area: Area,
}

#[derive(Debug)]
pub struct Planes {
    pub sampling: Sampling,
    planes: [Plane; 3],
}

impl Default for Planes {
    fn default() -> Self {
        Self {
            sampling: Sampling::Grey,
            planes: Default::default(),
        }
    }
}

impl Planes {
    /// Makes room for a picture of this size, with the padding that TurboJPEG wants. The samples
    /// are whatever was there before; buffers only grow.
    pub fn allocate(&mut self, sampling: Sampling, width: u32, height: u32) {
        self.form(sampling, width, height);
        self.make_room();
    }

    /// Makes room for all samples of planes that have their form.
    pub fn make_room(&mut self) {
        for plane in self.used_mut() {
            plane.samples.resize(plane.width * plane.height, 0);
        }
    }

    /// Sizes and areas, without room for samples.
    fn form(&mut self, sampling: Sampling, width: u32, height: u32) {
        self.sampling = sampling;
        let (across, down) = sampling.chroma_steps();
        for (index, plane) in self.used_mut().iter_mut().enumerate() {
            let (x_step, y_step) = sampling.steps(index);
            let padded = |side: u32, step: u32| side.div_ceil(step) * step;
            plane.width = (padded(width, across) / x_step) as usize;
            plane.height = (padded(height, down) / y_step) as usize;
            plane.area = Area {
                left: 0.0,
                top: 0.0,
                width: f64::from(width) / f64::from(x_step),
                height: f64::from(height) / f64::from(y_step),
            };
        }
    }

    /// The same for a picture of this coded size at a scale of `eighths`/8, which may end within a sample.
    pub fn allocate_scaled(&mut self, sampling: Sampling, size: (u32, u32), eighths: u32) {
        self.form_scaled(sampling, size, eighths);
        self.make_room();
    }

    /// The same without room for samples.
    pub fn form_scaled(&mut self, sampling: Sampling, (width, height): (u32, u32), eighths: u32) {
        // A side of 16 bits times 8 is far below the limit.
        let scaled = |side: u32| side.saturating_mul(eighths).div_ceil(8);
        self.form(sampling, scaled(width), scaled(height));
        self.end_within((width, height), eighths);
    }

    /// Lets a picture of this coded size end where it does at a scale of `eighths`/8.
    pub fn end_within(&mut self, (width, height): (u32, u32), eighths: u32) {
        let (sampling, shrink) = (self.sampling, f64::from(eighths) / 8.0);
        for (index, plane) in self.used_mut().iter_mut().enumerate() {
            let (across, down) = sampling.steps(index);
            // The last column and row may be partly or wholly padding: only this much is picture.
            plane.area = Area {
                left: 0.0,
                top: 0.0,
                width: f64::from(width) * shrink / f64::from(across),
                height: f64::from(height) * shrink / f64::from(down),
            };
        }
    }

    /// The planes that the sampling has: one or three.
    pub fn used(&self) -> &[Plane] {
        &self.planes[..self.sampling.planes()]
    }

    pub fn used_mut(&mut self) -> &mut [Plane] {
        &mut self.planes[..self.sampling.planes()]
    }

    /// Bytes that the buffers have room for.
    pub fn kept(&self) -> usize {
        self.planes
            .iter()
            .map(|plane| plane.samples.capacity())
            .sum()
    }

    /// Gives a grey picture neutral chroma, so that it can take colour.
    pub fn colour(&mut self, sampling: Sampling, width: u32, height: u32) {
        if self.sampling != Sampling::Grey || sampling == Sampling::Grey {
            return;
        }
        let grey = std::mem::take(&mut self.planes[0]);
        self.allocate(sampling, width, height);
        let luma = &mut self.planes[0];
        for (y, row) in luma.samples.chunks_exact_mut(luma.width).enumerate() {
            let from = &grey.samples[y.min(grey.height - 1) * grey.width..][..grey.width];
            row[..grey.width].copy_from_slice(from);
            row[grey.width..].fill(from[grey.width - 1]);
        }
        for chroma in &mut self.planes[1..] {
            chroma.samples.fill(128);
        }
    }
}
