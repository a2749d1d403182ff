"""The original tool's job in pyvips, as a libvips user would write it."""

import os

os.environ.setdefault("VIPS_CONCURRENCY", "1")

import numpy
import pool
import pyvips


def treat(job):
    lossless = job.source.endswith(".png")
    # Decodes at a reduced size where that helps, and applies the orientation.
    picture = pyvips.Image.thumbnail(job.source, 10_000_000, height=job.height)
    if job.quality < 100 and not lossless:
        reduced = picture.jpegsave_buffer(Q=job.quality)
        picture = pyvips.Image.jpegload_buffer(reduced)
    mark = numpy.load(job.mark).copy()
    mark[..., 3] = numpy.round(mark[..., 3] * (job.opacity / 100))
    mark = pyvips.Image.new_from_array(mark, interpretation="srgb")
    opaque = not picture.hasalpha()
    picture = picture.composite2(mark, "over", x=0, y=0)
    if opaque:
        picture = picture.flatten()
    if lossless:
        picture.pngsave(job.target, keep="icc")
    else:
        picture.jpegsave(job.target, Q=job.output_quality, subsample_mode="on", keep="icc")


if __name__ == "__main__":
    pool.run(treat)
