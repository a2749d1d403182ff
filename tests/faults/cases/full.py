"""Disks that are full, out of inodes, read-only, and processes out of file descriptors, while
pictures arrive. All of it passes, so nothing may be lost, and nothing may have to be done by hand."""

import os
import subprocess
import time

from . import case

# What the daemon says when it cannot write, or does not want to fill the disk.
STUCK = r"(?i)failed for now|failed again|paus|no space|read-only"
RETRY = "retry: {first: 500ms, max: 2s}"
# Larger than what the daemon keeps free on any output.
SIZE = "size=200m"


def arrive(home, prefix, count=10):
    for number in range(count):
        home.drop(f"{prefix}-{number}.{'png' if number % 2 else 'jpg'}")


def fill(path):
    """Takes all the space there is."""
    with open(path, "wb", buffering=0) as ballast:
        for size in (1 << 20, 4096):
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError:
                continue


def fill_inodes(folder):
    folder.mkdir()
    try:
        for number in range(100_000):
            (folder / f".{number}").touch()
    except OSError:
        pass


def empty_inodes(folder):
    subprocess.run(["rm", "-rf", folder], check=True)


def tmpfs(home, name, options=SIZE):
    home.mount("-t", "tmpfs", "-o", options, "tmpfs", home.path / name)


@case("output full, then freed", "root", quick=True)
def output_full(home):
    home.configure(RETRY)
    tmpfs(home, "out")
    home.start()
    for round in range(3):
        arrive(home, f"before-{round}", 3)
        fill(home.output / ".ballast")
        home.fault()
        arrive(home, f"full-{round}")
        home.wait_for_line(STUCK)
        time.sleep(2)
        os.unlink(home.output / ".ballast")
        home.mend()
        home.wait_for_outputs()


@case("output fills up under the daemon", "root")
def output_fills(home):
    """A disk so small that some of it fits: outputs of 40 KB and 4 MB free."""
    home.configure(RETRY + "\nrescan: 5m")
    tmpfs(home, "out")
    fill(home.output / ".ballast")
    size = (home.output / ".ballast").stat().st_size
    home.start()
    for round in range(3):
        os.truncate(home.output / ".ballast", size - (round + 1) * 64 * 1024)
        home.fault()
        arrive(home, f"tight-{round}", 60)
        home.wait_for_line(STUCK)
        time.sleep(1)
    os.unlink(home.output / ".ballast")
    home.mend()


@case("output out of inodes, then freed", "root", quick=True)
def inodes(home):
    home.configure(RETRY)
    tmpfs(home, "out", SIZE + ",nr_inodes=200")
    home.start()
    for round in range(3):
        fill_inodes(home.output / ".many")
        home.fault()
        arrive(home, f"full-{round}")
        home.wait_for_line(STUCK)
        time.sleep(1)
        empty_inodes(home.output / ".many")
        home.mend()
        home.wait_for_outputs()


@case("output read-only, then writable", "true root", quick=True)
def read_only(home):
    home.configure(RETRY)
    tmpfs(home, "out")
    home.start()
    for round in range(3):
        arrive(home, f"before-{round}")
        home.wait_for_outputs()
        subprocess.run(["mount", "-o", "remount,ro", home.output], check=True)
        home.fault()
        arrive(home, f"while-{round}")
        home.wait_for_line(STUCK)
        time.sleep(1)
        subprocess.run(["mount", "-o", "remount,rw", home.output], check=True)
        home.mend()
        home.wait_for_outputs()


@case("disk of ledger and log full, then freed", "root")
def state_full(home):
    home.configure(RETRY.replace("retry", "log: {dir: state/log, console: true, level: debug}\nretry"))
    text = (home.path / "config.yaml").read_text()
    (home.path / "config.yaml").write_text(text.replace("log: {dir: log, console: true, level: debug}\n", ""))
    tmpfs(home, "state")
    home.start()
    for round in range(3):
        arrive(home, f"before-{round}")
        home.wait_for_outputs()
        fill(home.path / "state/ballast")
        home.fault()
        # Enough for the ledger to want another page.
        arrive(home, f"full-{round}", 200)
        time.sleep(3)
        os.unlink(home.path / "state/ballast")
        home.mend()
        home.wait_for_outputs()


@case("disk of the ledger read-only, then writable", "true root")
def state_read_only(home):
    """A file that is open for writing keeps a file system from becoming read-only, which is why
    the daemon is stopped first: it must then refuse to start, and start when it can."""
    home.configure(RETRY)
    tmpfs(home, "state")
    home.start()
    arrive(home, "before")
    home.wait_for_outputs()
    home.stop()
    subprocess.run(["mount", "-o", "remount,ro", home.path / "state"], check=True)
    home.fault()
    arrive(home, "while")
    refused = home.run("run", timeout=30)
    if refused.returncode == 0 or "ledger" not in refused.stderr:
        home.notes.append(f"started on a read-only ledger: {refused.returncode} {refused.stderr}")
    subprocess.run(["mount", "-o", "remount,rw", home.path / "state"], check=True)
    home.mend()
    home.start()


@case("out of file descriptors", "prlimit")
def descriptors(home):
    home.configure(RETRY)
    home.start()
    for round in range(3):
        open_now = len(os.listdir(f"/proc/{home.daemon.pid}/fd"))
        limit(home, open_now + round)
        home.fault()
        arrive(home, f"few-{round}", 40)
        time.sleep(2)
        limit(home, 1024)
        home.mend()
        home.wait_for_outputs()


def limit(home, files):
    subprocess.run(["prlimit", f"--pid={home.daemon.pid}", f"--nofile={files}:1024"], check=True)
