"""What the Python peers share: the original tool's pool of processes, timed from its start to the last picture.

usage of a peer: PEER.py INPUT OUTPUT MARK.npy HEIGHT QUALITY OUTPUT_QUALITY OPACITY PROCESSES
"""

import dataclasses
import multiprocessing
import pathlib
import sys
import time


@dataclasses.dataclass
class Job:
    source: str
    target: str
    mark: str
    height: int
    quality: int
    output_quality: int
    opacity: float


def attempt(treat_and_job):
    treat, job = treat_and_job
    try:
        treat(job)
        return None
    except Exception as error:  # one bad picture is counted, as in the original
        return f"{job.source}: {error}"


def run(treat):
    """Prints how many pictures were written, and in how many seconds."""
    source, target, mark, height, quality, output_quality, opacity, processes = sys.argv[1:]
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    jobs = [
        (treat, Job(str(path), str(target / path.name), mark, int(height), int(quality), int(output_quality), float(opacity)))
        for path in sorted(pathlib.Path(source).iterdir())
    ]
    start = time.monotonic()
    with multiprocessing.Pool(int(processes)) as pool:
        failures = [failure for failure in pool.map(attempt, jobs, chunksize=1) if failure]
    seconds = time.monotonic() - start
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(jobs) - len(failures)} {seconds:.3f}")
