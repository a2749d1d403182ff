#!/usr/bin/env python3
"""Makes the pictures of this folder: sources, the mark, and what the original tool's steps make of
them in Pillow. Run by hand and only when the cases change; the results are committed.

    pip install pillow numpy && python tests/reference/make.py

The steps: open, exif_transpose, resize bicubic, (JPEG only) save at `quality` and reopen, lay the
mark on at the top left with alpha x opacity, save (JPEG at 100, 4:2:0). Unlike the original, PNGs
are not degraded, and transparency is kept. References are PNGs, so that they add no loss of their
own.
"""
import io
import pathlib

import numpy
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

HERE = pathlib.Path(__file__).parent
HEIGHT, QUALITY, OPACITY = 180, 30, 60


def photo(width, height, seed):
    """Light, haze, edges, discs and grain: what a photograph has for a codec."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    sky = numpy.stack([90 + 120 * y / height, 130 + 60 * x / width, 220 - 120 * y / height], -1)
    hills = (height * (0.55 + 0.1 * numpy.sin(x / width * 7) + 0.04 * numpy.sin(x / width * 31)) < y)
    sky[hills] = sky[hills] * 0.35 + numpy.array([30, 50, 20])
    image = Image.fromarray(sky.clip(0, 255).astype("uint8"))
    draw = ImageDraw.Draw(image)
    for _ in range(18):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(0.02, 0.1) * height
        colour = tuple(int(v) for v in random.integers(20, 240, 3))
        shape = draw.ellipse if random.random() < 0.6 else draw.rectangle
        shape([cx - r, cy - r, cx + r, cy + r], fill=colour)
    for i in range(12):
        draw.line([i * width / 12, height * 0.9, (i + 3) * width / 12, height * 0.6], fill=(230, 220, 200), width=max(1, height // 150))
    grain = Image.fromarray((random.normal(0, 7, (height, width, 1)) + 128).clip(0, 255).astype("uint8").repeat(3, 2))
    grain = grain.filter(ImageFilter.GaussianBlur(0.8))
    image = image.filter(ImageFilter.GaussianBlur(0.6))
    return ImageChops.add(image, grain, 1, -128)


def mark():
    image = Image.new("RGBA", (90 * 4, 40 * 4), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle([8, 8, 351, 151], 40, fill=(200, 30, 60, 200), outline=(255, 255, 255, 255), width=12)
    draw.ellipse([40, 40, 120, 120], fill=(250, 220, 40, 255))
    draw.line([150, 110, 200, 50, 250, 110, 320, 50], fill=(255, 255, 255, 230), width=16)
    return image.resize((90, 40), Image.BOX)


def faded(image):
    red, green, blue, alpha = image.split()
    return Image.merge("RGBA", (red, green, blue, alpha.point(lambda v: round(v * OPACITY / 100))))


def treat(source, is_jpeg):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    width = max(1, (image.width * HEIGHT * 2 + image.height) // (image.height * 2))
    image = image.resize((width, HEIGHT), Image.BICUBIC)
    stamp = faded(mark())
    if image.mode.startswith("I;16"):
        return image, stamp  # Pillow cannot lay colours on 16 bits: see below.
    if is_jpeg:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=QUALITY)
        image = Image.open(buffer)
    if image.mode == "RGBA":
        image.alpha_composite(stamp)
    else:
        image = image.convert("RGB")
        image.paste(stamp, (0, 0), stamp)
    if is_jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=100, subsampling="4:2:0")
        image = Image.open(buffer)
    return image, None


def main():
    numpy.save(HERE / "mark.npy", numpy.asarray(mark()))
    sources = {}

    def jpeg(name, image, **options):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", **{"quality": 88, **options})
        sources[name + ".jpg"] = buffer.getvalue()

    def png(name, image):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        sources[name + ".png"] = buffer.getvalue()

    jpeg("photo-420", photo(320, 240, 1), subsampling="4:2:0")
    # More than twice the output's height: the decoder scales this one.
    jpeg("photo-large", photo(800, 533, 2), subsampling="4:2:0", quality=80)
    jpeg("photo-444-odd", photo(321, 243, 3), subsampling="4:4:4")
    jpeg("photo-422-progressive", photo(360, 241, 4), subsampling="4:2:2", progressive=True)
    jpeg("photo-small", photo(128, 96, 5), subsampling="4:2:0")
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg("photo-turned", photo(480, 361, 6), subsampling="4:2:0", exif=exif)
    jpeg("photo-grey", photo(300, 220, 7).convert("L"))
    png("rgb", photo(200, 150, 8).filter(ImageFilter.MedianFilter(5)))
    rgba = photo(180, 200, 9).filter(ImageFilter.MedianFilter(5)).convert("RGBA")
    alpha = Image.new("L", rgba.size, 0)
    ImageDraw.Draw(alpha).ellipse([10, 10, 170, 190], fill=255)
    rgba.putalpha(alpha.filter(ImageFilter.GaussianBlur(6)))
    png("rgba", rgba)
    png("palette", photo(240, 200, 10).quantize(32))
    deep = numpy.mgrid[0:120, 0:160].sum(0).astype(float)
    deep = (deep / deep.max() * 60000 + 3000 * numpy.sin(deep / 9)).clip(0, 65535).astype("uint16")
    png("grey-16", Image.fromarray(deep))

    for name, source in sources.items():
        (HERE / name).write_bytes(source)
        result, stamp = treat(source, name.endswith(".jpg"))
        if stamp is not None:
            # 16 bits: the blend in floating point, reported as the nearest 8 bits.
            grey = numpy.asarray(result).astype(float)[..., None].repeat(3, 2) / 257
            stamp = numpy.asarray(stamp).astype(float)
            part = grey[: stamp.shape[0], : stamp.shape[1]]
            alpha = stamp[..., 3:] / 255
            part[:] = part * (1 - alpha) + stamp[..., :3] * alpha
            result = Image.fromarray((grey + 0.5).clip(0, 255).astype("uint8"))
        result.save(HERE / (name.replace(".", "-") + ".reference.png"), optimize=True)


main()
