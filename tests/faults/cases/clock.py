"""The wall clock set back and forth under the daemon, by libfaketime: this machine's clock stays."""

import glob
import time

from lab.home import Unverified

from . import Skip, case
from .crashes import Stream
from .full import RETRY, arrive


@case("wall clock set back and forth", "faketime", quick=True)
def wall_clock(home):
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        raise Skip("libfaketime is nowhere")
    offset = home.path / "offset"
    offset.write_text("+0")
    home.configure(RETRY)
    environment = {
        "LD_PRELOAD": found[0],
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        # Only the wall clock is set on a real machine, and files keep their times.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
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
