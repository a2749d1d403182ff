"""The original tool's steps in Pillow."""

import io

import numpy
import pool
from PIL import Image, ImageOps


def treat(job):
    with Image.open(job.source) as opened:
        picture = ImageOps.exif_transpose(opened)
    lossless = opened.format == "PNG"
    picture = picture.convert("RGBA" if lossless and picture.has_transparency_data else "RGB")
    width = max(1, round(picture.width * job.height / picture.height))
    picture = picture.resize((width, job.height), Image.Resampling.BICUBIC)
    if job.quality < 100 and not lossless:
        reduced = io.BytesIO()
        picture.save(reduced, "JPEG", quality=job.quality)
        picture = Image.open(reduced).convert("RGB")
    mark = Image.fromarray(numpy.load(job.mark))
    alpha = mark.getchannel("A").point(lambda value: round(value * job.opacity / 100))
    picture.paste(mark.convert("RGB"), (0, 0), alpha)
    if lossless:
        picture.save(job.target, "PNG")
    else:
        picture.save(job.target, "JPEG", quality=job.output_quality, subsampling="4:2:0")


if __name__ == "__main__":
    pool.run(treat)
