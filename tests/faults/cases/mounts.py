"""Folders whose mount goes and returns while pictures arrive on the other side, as a NAS sees to it:
unmounted, mounted over, a FUSE server that is killed or hangs."""

import os
import signal
import subprocess
import time

from . import case
from .full import RETRY, arrive

# From the return of a folder to the last picture of those that waited.
WITHIN = 15


def bind(home, name, behind="nas", disk=True):
    """A mount whose contents stay when it goes: of a disk of its own, or else of this one."""
    if not (home.path / behind).exists():
        (home.path / behind).mkdir()
        if disk:
            home.mount("-t", "tmpfs", "-o", "size=300m", "tmpfs", home.path / behind)
    home.mount("--bind", home.path / behind, home.path / name)


def unmount(path):
    # As a reboot of the NAS does it: nobody is asked.
    subprocess.run(["umount", "-l", path], check=True)


@case("input unmounted and mounted again", "root", quick=True)
def input_unmounted(home):
    input_goes(home, [1, 4])


@case("input, a folder bound from the same disk, unmounted", "root")
def input_bound(home):
    input_goes(home, [1, 4], disk=False)


@case("input unmounted for a minute", "root")
def input_long_gone(home):
    input_goes(home, [60])


def input_goes(home, lengths, disk=True):
    home.configure()
    bind(home, "in", disk=disk)
    home.start()
    for length in lengths:
        arrive(home, f"before-{length}")
        home.wait_for_outputs()
        unmount(home.input)
        home.fault()
        for number in range(10):
            home.drop(f"away-{length}-{number}.jpg", into=home.path / "nas")
        home.wait_for_line("folder is offline")
        time.sleep(length)
        bind(home, "in", disk=disk)
        home.mend()
        home.within = WITHIN
        for number in range(10):
            home.drop(f"back-{length}-{number}.png")
        if length is not lengths[-1]:
            home.wait_for_outputs()


@case("output unmounted and mounted again", "root", quick=True)
def output_unmounted(home):
    output_goes(home, RETRY, [1, 4])


@case("output, a folder bound from the same disk, unmounted", "root", quick=True)
def output_bound(home):
    output_goes(home, RETRY, [1, 4], disk=False)


@case("output unmounted for a minute", "root")
def output_long_gone(home):
    output_goes(home, "", [60])


def output_goes(home, retry, lengths, disk=True):
    home.configure(retry)
    bind(home, "out", disk=disk)
    home.start()
    for length in lengths:
        arrive(home, f"before-{length}")
        home.wait_for_outputs()
        # Some are on their way at that moment.
        arrive(home, f"during-{length}", 20)
        unmount(home.output)
        home.fault()
        arrive(home, f"away-{length}")
        time.sleep(length)
        if any(not name.name.startswith(".") for name in (home.path / "out").iterdir()):
            home.notes.append("pictures were written below the mount point")
        bind(home, "out", disk=disk)
        home.mend()
        home.within = WITHIN
        if length is not lengths[-1]:
            home.wait_for_outputs()


@case("output unmounted under load", "root")
def output_flaps(home):
    home.configure(RETRY)
    bind(home, "out")
    home.start()
    for round in range(20):
        arrive(home, f"load-{round}", 30)
        time.sleep(0.05 * (round % 8))
        unmount(home.output)
        home.fault()
        time.sleep(0.1 * (round % 5))
        bind(home, "out")
    home.mend()
    home.within = WITHIN


@case("input mounted over and uncovered", "root", quick=True)
def overmounted(home):
    home.configure()
    home.start()
    for round in range(3):
        arrive(home, f"before-{round}")
        home.wait_for_outputs()
        covered = os.open(home.input, os.O_PATH)
        home.mount("-t", "tmpfs", "tmpfs", home.input)
        home.fault()
        beneath = f"/proc/self/fd/{covered}"
        data = home.picture(f"covered-{round}.jpg")
        with open(f"{beneath}/.covered", "wb") as file:
            file.write(data)
        os.rename(f"{beneath}/.covered", f"{beneath}/covered-{round}.jpg")
        os.close(covered)
        time.sleep(1)
        subprocess.run(["umount", home.input], check=True)
        home.mend()
        home.within = WITHIN
        arrive(home, f"after-{round}")
        home.wait_for_outputs()


@case("both mounted over another", "root")
def swapped(home):
    """The same mount point gets another file system with the same pictures, as after a failover."""
    home.configure()
    bind(home, "in", "first")
    home.start()
    arrive(home, "before")
    home.wait_for_outputs()
    subprocess.run(["cp", "-a", home.path / "first", home.path / "second"], check=True)
    home.fault()
    bind(home, "in", "second")
    home.mend()
    home.within = WITHIN
    arrive(home, "after")


# FUSE


def fuse(home, name, behind="nas"):
    (home.path / behind).mkdir(exist_ok=True)
    server = home.spawn("bindfs", "-f", home.path / behind, home.path / name)
    home.later("umount", "-l", str(home.path / name))
    home.wait_for("bindfs", lambda: os.path.ismount(home.path / name))
    return server


@case("FUSE: what others write raises no events", "bindfs", "/dev/fuse", "true root", quick=True)
def polled(home):
    home.configure("poll: 1s")
    fuse(home, "in")
    home.start()
    home.wait_for_line("mode=.?poll")
    for round in range(3):
        for number in range(10):
            home.drop(f"{round}-{number}.png", into=home.path / "nas")
        # One that comes slowly, seen by polls only.
        data = home.picture(f"slow-{round}.jpg", big=True)
        with open(home.path / f"nas/slow-{round}.jpg", "wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            time.sleep(1.5)
            file.write(data[len(data) // 2 :])
        home.fault()
    home.mend()


def killed(home, name, more):
    home.configure("poll: 1s\n" + more)
    server = fuse(home, name)
    home.start()
    for round in range(3):
        arrive(home, f"before-{round}")
        home.wait_for_outputs()
        server.kill()
        server.wait()
        home.fault()
        if name == "in":
            for number in range(5):
                home.drop(f"away-{round}-{number}.png", into=home.path / "nas")
        else:
            arrive(home, f"away-{round}", 5)
        time.sleep(3)
        unmount(home.path / name)
        time.sleep(1)
        server = fuse(home, name)
        home.mend()
        home.within = WITHIN
        home.wait_for_outputs()


@case("FUSE server of the input killed", "bindfs", "/dev/fuse", "true root")
def input_killed(home):
    killed(home, "in", "")


@case("FUSE server of the output killed", "bindfs", "/dev/fuse", "true root", quick=True)
def output_killed(home):
    killed(home, "out", RETRY)


def hung(home, name, more):
    home.configure("poll: 1s\n" + more)
    server = fuse(home, name)
    home.start()
    for round in range(2):
        arrive(home, f"before-{round}")
        home.wait_for_outputs()
        server.send_signal(signal.SIGSTOP)
        home.fault()
        if name == "in":
            for number in range(5):
                home.drop(f"away-{round}-{number}.png", into=home.path / "nas")
        else:
            arrive(home, f"away-{round}", 5)
        time.sleep(8)
        server.send_signal(signal.SIGCONT)
        home.mend()
        home.within = WITHIN
        home.wait_for_outputs()


@case("FUSE server of the input hangs", "bindfs", "/dev/fuse", "true root")
def input_hung(home):
    hung(home, "in", "")


@case("FUSE server of the output hangs", "bindfs", "/dev/fuse", "true root")
def output_hung(home):
    hung(home, "out", RETRY)
