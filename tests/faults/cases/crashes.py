"""Processes that end without notice, and a ledger that others hold."""

import random
import signal
import sqlite3
import threading
import time

from . import case
from .full import RETRY, arrive
from .mounts import WITHIN


class Stream(threading.Thread):
    """Drops pictures, one way and another, until it is stopped."""

    def __init__(self, home, seed, pause=0.03):
        super().__init__(name="stream", daemon=True)
        self.home, self.random, self.pause = home, random.Random(seed), pause
        self.ended = threading.Event()
        self.start()

    def run(self):
        number = 0
        while not self.ended.wait(self.random.expovariate(1 / self.pause)):
            number += 1
            name = f"s{number}.{self.random.choice(['jpg', 'png', 'JPEG'])}"
            big = self.random.random() < 0.1
            if self.random.random() < 0.5:
                self.home.drop(name, big=big)
                continue
            data = self.home.picture(name, big=big)
            with open(self.home.input / name, "wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                time.sleep(self.random.random() * 0.02)
                file.write(data[len(data) // 2 :])

    def stop(self):
        self.ended.set()
        self.join()


def killed(home, times):
    home.configure(RETRY)
    moment = random.Random(1)
    home.start()
    stream = Stream(home, 1)
    for _ in range(times):
        time.sleep(moment.random() ** 2 * 0.8)
        home.kill()
        home.fault()
        home.start(wait=moment.random() < 0.3)
    stream.stop()
    home.mend()


@case("kill -9 at random moments, 200 times", patience=180)
def kill_200(home):
    killed(home, 200)


@case("kill -9 at random moments, 20 times", quick=True)
def kill_20(home):
    killed(home, 20)


@case("killed at the n-th call of each kind", "strace", "root", patience=180)
def killed_at(home):
    """Not at random: on entering the first, second, … call of each kind that publishing makes."""
    home.configure(RETRY)
    for call in ("fsync", "rename", "pwrite64", "write", "unlink", "openat", "ftruncate"):
        for when in range(1, 12, 2):
            arrive(home, f"{call}-{when}", 4)
            trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
            trace += ["-e", f"inject={call}:signal=SIGKILL:when={when + (60 if call == 'openat' else 0)}"]
            home.start(wrap=trace, wait=False)
            try:
                home.daemon.wait(3)
                home.fault()
            except Exception:
                # It never got so far: an end like any other.
                home.kill()
    home.start()
    home.mend()


@case("stopped and continued", quick=True)
def stopped(home):
    home.configure()
    home.start()
    stream = Stream(home, 2, pause=0.01)
    for round in range(20):
        time.sleep(0.1)
        home.daemon.send_signal(signal.SIGSTOP)
        home.fault()
        time.sleep(0.02 * round)
        home.daemon.send_signal(signal.SIGCONT)
    stream.stop()
    home.mend()


@case("SIGTERM and a new start under load")
def restarted(home):
    home.configure()
    home.start()
    stream = Stream(home, 3, pause=0.005)
    for _ in range(20):
        time.sleep(0.3)
        home.stop()
        home.fault()
        home.start()
    stream.stop()
    home.mend()


@case("reloads, good and bad, under load", quick=True)
def reloaded(home):
    home.configure()
    home.start()
    good = (home.path / "config.yaml").read_text()
    stream = Stream(home, 4, pause=0.01)
    for round in range(40):
        bad = round % 2
        (home.path / "config.yaml").write_text(good + ("unknown: key\n" if bad else f"poll: {round + 2}s\n"))
        home.daemon.send_signal(signal.SIGHUP)
        home.fault()
        time.sleep(0.1)
    stream.stop()
    (home.path / "config.yaml").write_text(good)
    home.mend()
    home.wait_for_line("reload rejected")


@case("ledger locked by another process")
def locked(home):
    """For longer than the daemon waits in a statement."""
    home.configure(RETRY)
    home.start()
    for round in range(2):
        arrive(home, f"before-{round}")
        home.wait_for_outputs()
        other = sqlite3.connect(home.ledger, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        home.fault()
        arrive(home, f"locked-{round}")
        time.sleep(14)
        other.execute("ROLLBACK")
        other.close()
        home.mend()
        home.within = WITHIN
        home.wait_for_outputs()
