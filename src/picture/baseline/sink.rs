//! Where the rows of a picture go while it is decoded.

use std::ops::Range;

use super::super::planes::{Plane, Planes};

/// Where the rows of a picture go.
pub trait Sink {
    /// Makes room for samples in planes whose sizes are known: as many rows as it wants to have at once, and so
    /// many more of each that come in one go.
    fn begin(&mut self, planes: &mut Planes, at_once: [usize; 3]);

    /// Takes rows of a plane, of which those before `rows` are not there any more. Returns the first
    /// that it leaves there.
    fn take(&mut self, index: usize, plane: &mut Plane, rows: Range<usize>) -> usize;
}

/// Leaves all rows in the planes.
pub struct Whole;

impl Sink for Whole {
    fn begin(&mut self, planes: &mut Planes, _at_once: [usize; 3]) {
        planes.make_room();
    }

    fn take(&mut self, _index: usize, _plane: &mut Plane, rows: Range<usize>) -> usize {
        rows.start
    }
}
