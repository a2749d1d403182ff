//! Is its writer done? Facts go in, a verdict comes out; no file is touched here.
//!
//! Quiet time only says when a file is tried. Whether it was whole its decoder says first: data
//! that ends too early is not yet complete. A file whose length was set before its bytes came, as
//! many file servers do, is different: what has not been written yet reads as zeros, of which a
//! decoder may make a picture, or an error that will pass. So zeros and holes count as long as more
//! may come: among the samples of a picture, and anywhere where there is none. That is until the
//! last try, which comes once the file has not changed for [`PATIENCE`](crate::settle::PATIENCE).

use crate::picture::Place;

/// What is known of a file beside what its decoder says.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The file has not changed for so long that no more is expected.
    pub last_try: bool,
    /// Its writer was heard writing, and not closing it since.
    pub writer_open: bool,
    /// Where there are more zeros in a row than coded pictures have.
    pub zeros: Place,
    /// Where the file system says that a part of it was never written.
    pub hole: Place,
    /// It lacked its end, which was put in its place for this try.
    pub end_supplied: bool,
}

impl Facts {
    /// Whether samples of a picture that was decoded may still be to come. What is beside them says
    /// nothing: maker notes are padded with zeros, of which some copies make holes.
    fn is_unwritten(self) -> bool {
        self.hole == Place::Samples || self.writer_open && self.zeros == Place::Samples
    }

    /// Whether what the decoder stumbled over may only be what has not been written yet.
    fn may_be_unwritten(self) -> bool {
        self.hole != Place::Nowhere
            || if self.last_try {
                self.writer_open
            } else {
                self.zeros != Place::Nowhere
            }
    }
}

/// What the decoder said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    Whole,
    /// Decoded to its full height, with damage.
    Damaged,
    /// The data ends too early.
    CutShort,
    /// It is no picture, or none that can be decoded.
    Bad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What the decoder says holds: a picture is published, an error fails the file until it changes.
    Final {
        /// More may have been meant to come: nobody deletes or moves the source.
        source_stays: bool,
        /// Parts of it look unwritten: the operator is told.
        unwritten: bool,
    },
    /// It is tried again later.
    Wait(Why),
}

/// Why a file is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// For what the decoder said.
    Decoder,
    /// Its end marker had to be supplied, and the decoder is not content even so.
    CutShort,
    /// Parts of it look unwritten.
    Unwritten,
    /// Both: the decoder's error may only be what is unwritten.
    DecoderOverUnwritten,
}

/// Why a picture is waited for that could be made, or would have failed.
pub const UNWRITTEN: &str = "parts of it are zeros, or were never written";

/// What becomes of a file now that its bytes have been through the decoder.
#[must_use]
pub fn judge(decoded: Decoded, facts: Facts) -> Verdict {
    let unwritten = facts.is_unwritten();
    match decoded {
        Decoded::CutShort => Verdict::Wait(Why::Decoder),
        Decoded::Bad if facts.may_be_unwritten() => Verdict::Wait(Why::DecoderOverUnwritten),
        Decoded::Bad if facts.end_supplied => Verdict::Wait(Why::CutShort),
        Decoded::Bad => Verdict::Final {
            source_stays: false,
            unwritten: false,
        },
        // Half of it may be missing in the middle, where its writer has not been yet.
        Decoded::Damaged if !facts.last_try => Verdict::Wait(Why::Decoder),
        Decoded::Damaged if facts.end_supplied => Verdict::Wait(Why::CutShort),
        Decoded::Damaged => Verdict::Final {
            source_stays: true,
            unwritten: false,
        },
        Decoded::Whole if !facts.last_try && unwritten => Verdict::Wait(Why::Unwritten),
        Decoded::Whole => Verdict::Final {
            source_stays: facts.end_supplied || unwritten,
            unwritten,
        },
    }
}

/// Whether a settled file is not even tried yet: it is to leave its folder afterwards, and its
/// writer, who would go on writing into what has left, has it open.
#[must_use]
pub fn waits_for_its_writer(writer_open: bool, last_try: bool, source_leaves: bool) -> bool {
    writer_open && source_leaves && !last_try
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: Facts = Facts {
        last_try: false,
        writer_open: false,
        zeros: Place::Nowhere,
        hole: Place::Nowhere,
        end_supplied: false,
    };
    const LAST: Facts = Facts {
        last_try: true,
        ..JPEG
    };

    fn holds(source_stays: bool, unwritten: bool) -> Verdict {
        Verdict::Final {
            source_stays,
            unwritten,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a case after the other")]
    fn a_writer_is_done_when_nothing_speaks_against_it() {
        use Decoded::{Bad, CutShort, Damaged, Whole};
        use Verdict::Wait;
        let zeros = |facts| Facts {
            zeros: Place::Samples,
            ..facts
        };
        let padded = |facts| Facts {
            zeros: Place::Beside,
            ..facts
        };
        let open = |facts| Facts {
            writer_open: true,
            ..facts
        };
        let hole = |facts| Facts {
            hole: Place::Samples,
            ..facts
        };
        let hole_beside = |facts| Facts {
            hole: Place::Beside,
            ..facts
        };
        let end = |facts| Facts {
            end_supplied: true,
            ..facts
        };
        for (what, decoded, facts, expected) in [
            ("whole", Whole, JPEG, holds(false, false)),
            ("whole, at last", Whole, LAST, holds(false, false)),
            (
                "zeros of a coded picture",
                Whole,
                zeros(JPEG),
                holds(false, false),
            ),
            (
                "zeros, and its writer at work",
                Whole,
                zeros(open(JPEG)),
                Wait(Why::Unwritten),
            ),
            (
                "the same, at last",
                Whole,
                zeros(open(LAST)),
                holds(true, true),
            ),
            (
                "zeros beside the samples",
                Whole,
                padded(open(JPEG)),
                holds(false, false),
            ),
            (
                "a hole beside the samples",
                Whole,
                hole_beside(padded(JPEG)),
                holds(false, false),
            ),
            (
                "no picture, with a hole beside",
                Bad,
                hole_beside(LAST),
                Wait(Why::DecoderOverUnwritten),
            ),
            (
                "a writer that only keeps it open",
                Whole,
                open(JPEG),
                holds(false, false),
            ),
            ("a hole", Whole, hole(zeros(JPEG)), Wait(Why::Unwritten)),
            (
                "a hole, at last",
                Whole,
                hole(zeros(LAST)),
                holds(true, true),
            ),
            ("end supplied", Whole, end(LAST), holds(true, false)),
            ("cut short", CutShort, JPEG, Wait(Why::Decoder)),
            ("cut short, at last", CutShort, LAST, Wait(Why::Decoder)),
            ("damaged", Damaged, JPEG, Wait(Why::Decoder)),
            ("damaged, at last", Damaged, LAST, holds(true, false)),
            (
                "damaged, end supplied",
                Damaged,
                end(LAST),
                Wait(Why::CutShort),
            ),
            ("bad, end supplied", Bad, end(LAST), Wait(Why::CutShort)),
            (
                "damaged by a hole, at last",
                Damaged,
                hole(LAST),
                holds(true, false),
            ),
            ("no picture", Bad, JPEG, holds(false, false)),
            ("no picture, at last", Bad, LAST, holds(false, false)),
            (
                "no picture, with zeros",
                Bad,
                zeros(JPEG),
                Wait(Why::DecoderOverUnwritten),
            ),
            (
                "no picture, with zeros beside",
                Bad,
                padded(JPEG),
                Wait(Why::DecoderOverUnwritten),
            ),
            (
                "no picture, with zeros, at last",
                Bad,
                zeros(LAST),
                holds(false, false),
            ),
            (
                "no picture, writer at work",
                Bad,
                open(JPEG),
                holds(false, false),
            ),
            (
                "the same, at last",
                Bad,
                open(LAST),
                Wait(Why::DecoderOverUnwritten),
            ),
            (
                "no picture, with a hole",
                Bad,
                hole(LAST),
                Wait(Why::DecoderOverUnwritten),
            ),
        ] {
            assert_eq!(judge(decoded, facts), expected, "{what}");
        }
    }

    #[test]
    fn only_a_file_that_leaves_waits_for_its_writer_to_close_it() {
        for (open, last_try, leaves, waits) in [
            (true, false, true, true),
            (true, false, false, false),
            (true, true, true, false),
            (false, false, true, false),
        ] {
            let found = waits_for_its_writer(open, last_try, leaves);
            assert_eq!(found, waits, "{open} {last_try} {leaves}");
        }
    }
}
