"""The original tool's job in pyvips, as a libvips user would write it, with a pool of processes.

usage: pyvips_original.py INPUT OUTPUT MARK.npy HEIGHT QUALITY OUTPUT_QUALITY OPACITY PROCESSES
"""

import multiprocessing
import os
import pathlib
import sys
import time

os.environ.setdefault("VIPS_CONCURRENCY", "1")

import numpy
import pyvips


def treat(job):
    source, target, mark_path, height, quality, output_quality, opacity = job
    try:
        # Decodes at a reduced size where that helps, and applies the orientation.
        picture = pyvips.Image.thumbnail(source, 10_000_000, height=height)
        if quality < 100:
            reduced = picture.jpegsave_buffer(Q=quality)
            picture = pyvips.Image.jpegload_buffer(reduced)
        mark = numpy.load(mark_path).copy()
        mark[..., 3] = numpy.round(mark[..., 3] * (opacity / 100))
        mark = pyvips.Image.new_from_array(mark, interpretation="srgb")
        picture = picture.composite2(mark, "over", x=0, y=0).flatten()
        picture.jpegsave(target, Q=output_quality, subsample_mode="on", keep="icc")
        return None
    except Exception as error:
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
