"""Events that get lost: more than the queue of the kernel holds, more than there may be watches."""

import os
import re
import signal
import subprocess
import time

from lab.home import Skip, Unverified

from . import case
from .full import arrive

BURST = 18_000


@case("event queue overflowed", quick=True, patience=180)
def overflow(home):
    """The daemon is stopped while more comes than the kernel's queue holds; then it runs on."""
    home.configure()
    home.start()
    queue = int(open("/proc/sys/fs/inotify/max_queued_events").read())
    count = max(BURST, queue + 1000)
    if count > 50_000:
        raise Unverified(f"a queue of {queue} events is too long for this test")
    arrive(home, "before")
    home.wait_for_outputs()
    home.daemon.send_signal(signal.SIGSTOP)
    for number in range(count):
        (home.input / f"{number}.png").write_bytes(home.picture(f"{number}.png"))
    home.fault()
    home.daemon.send_signal(signal.SIGCONT)
    home.mend()
    home.wait_for_line("events were lost")
    arrive(home, "after")


def limited(home, what, limit, told):
    if subprocess.run(["unshare", "-U", "-r", "true"], capture_output=True).returncode != 0:
        raise Skip("needs user namespaces")
    home.configure("poll: 1s\nrescan: 5m", folder=", recursive: true")
    for number in range(5):
        (home.input / f"sub-{number}").mkdir()
    set_limit = f'echo {limit} >/proc/sys/user/{what} && exec "$@"'
    home.start(wrap=["unshare", "-U", "-r", "sh", "-c", set_limit, "sh"])
    if not re.search(told, home.new_log()):
        raise Unverified(f"the limit did not bite: {home.tail()}")
    for round in range(5):
        home.fault()
        for number in range(5):
            home.source(f"sub-{number}/{round}.png")
            source = home.path / f"beside/sub-{number}/{round}.png"
            os.rename(source, home.input / f"sub-{number}/{round}.png")
        home.drop(f"top-{round}.jpg")
        (home.input / f"new-{round}").mkdir()
        data = home.picture(f"new-{round}/a.jpg")
        (home.input / f"new-{round}/a.jpg").write_bytes(data)
        time.sleep(0.5)
    home.mend()
    home.within = 15


@case("one watch for six folders", "unshare", quick=True)
def one_watch(home):
    limited(home, "max_inotify_watches", 1, "limit of watches")


@case("no watcher at all", "unshare")
def no_watcher(home):
    limited(home, "max_inotify_instances", 0, "limit of watchers")
