"""The original tool's steps in Pillow, with its pool of processes: the yardstick for `run --once`.

usage: pillow_original.py INPUT OUTPUT MARK.npy HEIGHT QUALITY OUTPUT_QUALITY OPACITY PROCESSES
"""

import io
import multiprocessing
import pathlib
import sys
import time

import numpy
from PIL import Image, ImageOps


def treat(job):
    source, target, mark_path, height, quality, output_quality, opacity = job
    try:
        with Image.open(source) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        width = max(1, round(picture.width * height / picture.height))
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        if quality < 100:
            reduced = io.BytesIO()
            picture.save(reduced, "JPEG", quality=quality)
            picture = Image.open(reduced).convert("RGB")
        mark = Image.fromarray(numpy.load(mark_path))
        alpha = mark.getchannel("A").point(lambda value: round(value * opacity / 100))
        picture.paste(mark.convert("RGB"), (0, 0), alpha)
        picture.save(target, "JPEG", quality=output_quality, subsampling="4:2:0")
        return None
    except Exception as error:  # one bad picture is counted, as in the original
        return f"{source}: {error}"


def main():
    source, target, mark, height, quality, output_quality, opacity, processes = sys.argv[1:]
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    jobs = [
        (str(path), str(target / path.name), mark, int(height), int(quality), int(output_quality), float(opacity))
        for path in sorted(pathlib.Path(source).iterdir())
        if path.suffix.lower() in (".jpg", ".jpeg")
    ]
    start = time.monotonic()
    with multiprocessing.Pool(int(processes)) as pool:
        failures = [failure for failure in pool.map(treat, jobs, chunksize=1) if failure]
    seconds = time.monotonic() - start
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(jobs) - len(failures)} {seconds:.3f}")


main()
