"""The wall clock set back and forth under the daemon, by libfaketime: this machine's clock stays."""

import glob
import os
import time

from lab.home import Unverified

from . import Skip, case
from .crashes import Stream
from .full import RETRY, arrive


def faked(home):
    """The environment of a daemon whose clock is set by writing to the file `offset`."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        raise Skip("libfaketime is nowhere")
    offset = home.path / "offset"
    offset.write_text("+0")
    return offset, {
        "LD_PRELOAD": found[0],
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        # Only the wall clock is set on a real machine, and files keep their times.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@case("wall clock set back and forth", "faketime", quick=True)
def wall_clock(home):
    offset, environment = faked(home)
    home.configure(RETRY)
    home.start(environment=environment)
    stream = Stream(home, 5, pause=0.02)
    for step in ("-1d", "+0", "+2y", "-40y", "+1h", "-1h", "+0", "+10y", "-3d", "+0"):
        offset.write_text(step)
        home.fault()
        time.sleep(0.8)
    stream.stop()
    home.mend()
    year = str(time.gmtime().tm_year + 10)
    if f"\n{year}-" not in home.new_log():
        raise Unverified("the clock did not move")
    arrive(home, "after")


@case("wall clock set, and restarted, while pictures wait", "faketime")
def waiting(home):
    """What waits for its next try when the clock is set must not wait for the clock."""
    offset, environment = faked(home)
    (home.path / "nas/out").mkdir(parents=True)
    home.configure(RETRY, output="nas/out")
    home.start(environment=environment)
    home.within = 15
    for step in ("-1d", "+0", "-10y", "+3y", "+0"):
        arrive(home, f"before{step}")
        home.wait_for_outputs()
        os.rename(home.path / "nas", home.path / "away")
        arrive(home, f"waits{step}")
        home.wait_for_line("is gone")
        home.kill()
        home.fault()
        offset.write_text(step)
        home.start(environment=environment, wait=False)
        time.sleep(1)
        if home.daemon.poll() is not None:
            # A daemon that does not start without its output: then it starts with it.
            os.rename(home.path / "away", home.path / "nas")
            home.start(environment=environment)
        else:
            os.rename(home.path / "away", home.path / "nas")
        home.mend()
        home.wait_for_outputs()
