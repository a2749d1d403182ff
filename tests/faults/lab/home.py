"""A home of one daemon: drop folder, output, ledger and log, and the verdict over what became of the
pictures that were dropped."""

import collections
import contextlib
import dataclasses
import errno
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from . import pictures
from .observer import Observer

COMMON = """\
watermark: {npy_path: mark.npy, output_height: %d, quality: 80}
settle: 500ms
settle_closed: 50ms
workers: 2
log: {dir: log, console: true, level: debug}
""" % pictures.HEIGHT


class Unverified(Exception):
    """The case did not do what it was to do, or nothing can be said about its end."""


class Skip(Exception):
    """This machine or user cannot do it."""


@dataclasses.dataclass
class Verdict:
    times: int
    dropped: int
    lost: list
    doubled: list
    partial: list
    leftovers: list
    disagree: list
    recovered: float
    # Beyond what the case allows: a fault of its own.
    late: bool
    notes: list

    def clean(self):
        faults = (self.lost, self.doubled, self.partial, self.leftovers, self.disagree)
        return not any(faults) and not self.late


class Home:
    def __init__(self, path, binary, log=lambda text: None):
        self.path = Path(path)
        self.binary = binary
        self.tell = log
        self.dropped = {}
        # How many complete states of each picture there were to be seen.
        self.states = collections.Counter()
        self.times = 0
        self.notes = []
        self.mended = None
        self.within = None
        self.daemon = None
        self.observer = None
        self._serial = itertools.count(1)
        self._undo = contextlib.ExitStack()
        for folder in ("in", "out", "beside", "state"):
            (self.path / folder).mkdir(parents=True)
        self.run("mark", "text", "lab", "-o", self.path / "mark.npy", "--size", "12")

    # Folders and pictures

    def configure(self, more="", input="in", output="out", ledger="state/ledger.sqlite", folder=""):
        """`folder` is more of the folder's keys, as `, key: value`."""
        self.input, self.output = self.path / input, self.path / output
        self.ledger = self.path / ledger
        text = f"{COMMON}ledger: {ledger}\n{more}\n"
        text += f"folders: [{{input: {input}, output: {output}{folder}}}]\n"
        (self.path / "config.yaml").write_text(text)

    def picture(self, name, big=False):
        """Makes a picture that is going to be dropped under this name, and expects its output. A
        name that was there before gets a new state."""
        serial = next(self._serial)
        if self.dropped.get(name) == (pictures.WIDTHS[serial % 40] // 2, pictures.HEIGHT):
            serial = next(self._serial)
        data, size = pictures.make(serial, name, big)
        self.dropped[name] = size
        self.states[name] += 1
        return data

    def source(self, name, big=False):
        """The same as a file outside the drop folder."""
        data = self.picture(name, big)
        path = self.path / "beside" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def drop(self, name, into=None, big=False):
        """Drops a picture by a rename, the surest way."""
        path = self.source(name, big)
        target = (into or self.input) / name
        try:
            os.rename(path, target)
        except OSError as cause:
            if cause.errno != errno.EXDEV:
                raise
            hidden = target.with_name("." + target.name)
            shutil.copyfile(path, hidden)
            os.rename(hidden, target)

    # What is to be undone

    def later(self, *command):
        """Runs a command when the case ends, whatever becomes of it before."""
        self._undo.callback(subprocess.run, command, capture_output=True)

    def mount(self, *arguments):
        """`mount`, undone when the case ends."""
        done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip(f"cannot mount: {done.stderr.strip()}")
        self.later("umount", "-l", str(arguments[-1]))

    def spawn(self, *command, **keywords):
        """A server that ends with the case."""
        keywords = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | keywords
        child = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, **keywords)

        def end():
            child.kill()
            child.wait()

        self._undo.callback(end)
        return child

    def close(self):
        if self.observer:
            self.observer.stop()
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.kill()
            self.daemon.wait()
        self._undo.close()

    # The daemon

    def run(self, *arguments, **keywords):
        environment = os.environ | {"WATERMARKD_CONFIG": str(self.path / "config.yaml")}
        return subprocess.run(
            [self.binary, *map(str, arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.path,
            **keywords,
        )

    def start(self, wrap=(), environment=(), wait=True):
        if self.observer is None:
            self.observer = Observer(self.output)
        console = self.path / "console"
        self._logged_before = console.stat().st_size if console.exists() else 0
        environment = os.environ | dict(environment)
        environment["WATERMARKD_CONFIG"] = str(self.path / "config.yaml")
        with open(self.path / "console", "ab") as console:
            self.daemon = subprocess.Popen(
                [*wrap, self.binary, "run"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=self.path,
            )
        if wait:
            self.wait_for("readiness", lambda: " ready " in self.new_log())

    def log(self):
        try:
            return (self.path / "console").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def new_log(self):
        """Of the running daemon."""
        with open(self.path / "console", errors="replace") as file:
            file.seek(self._logged_before)
            return file.read()

    def wait_for_line(self, pattern, timeout=30):
        self.wait_for(f"a log line with {pattern}", lambda: re.search(pattern, self.new_log()), timeout)

    def wait_for(self, what, condition, timeout=30):
        deadline = time.monotonic() + timeout
        while not condition():
            if self.daemon and self.daemon.poll() is not None:
                raise Unverified(f"the daemon ended with {self.daemon.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                raise Unverified(f"waited {timeout} s for {what}: {self.tail()}")
            time.sleep(0.01)

    def tail(self):
        lines = [line for line in self.log().splitlines() if " DEBUG " not in line]
        return "\n" + "\n".join(lines[-12:])

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        try:
            code = self.daemon.wait(60)
        except subprocess.TimeoutExpired as cause:
            raise Unverified(f"does not stop: {self.tail()}") from cause
        if code != 0:
            raise Unverified(f"stopped with {code}: {self.tail()}")

    # The verdict

    def is_out(self, name):
        try:
            data = (self.output / name).read_bytes()
            return pictures.check(data) == self.dropped[name]
        except (OSError, pictures.NotWhole):
            return False

    def wait_for_outputs(self, names=None, timeout=60):
        left = set(self.dropped if names is None else names)

        def all_out():
            left.difference_update([name for name in left if self.is_out(name)])
            return not left

        with contextlib.suppress(Unverified):
            self.wait_for("outputs", all_out, timeout)
        return left

    def fault(self):
        """Something was broken just now."""
        self.times += 1

    def mend(self):
        """The fault, or the writer, has ended just now: recovery is timed from here."""
        self.mended = time.monotonic()

    def verdict(self, timeout=120, forget=frozenset()):
        """Waits until everything dropped is out, ends the daemon and takes stock. What the ledger says
        of names to forget is left aside: they were judged, and cleared away."""
        began = self.mended or time.monotonic()
        lost = sorted(self.wait_for_outputs(timeout=timeout))
        with contextlib.suppress(Unverified):
            # A picture can be out, and the ledger not know it yet.
            self.wait_for("the ledger", self._all_done, 0 if lost else 30)
        recovered = time.monotonic() - began
        self.stop()
        self.observer.stop()
        waiting = self._leftovers()
        if waiting:
            self.notes.append(f"{len(waiting)} temporary files stayed until the next start")
        once = self.run("run", "--once", timeout=600)
        if not lost and not once.stdout.startswith("0 pictures, 0 failed") or once.returncode != 0:
            lost.append(f"a second pass still finds work: {once.stdout.splitlines()[:1]}")
        partial = list(self.observer.partial)
        for name in self._visible():
            try:
                pictures.decode((self.output / name).read_bytes())
            except (OSError, pictures.NotWhole) as cause:
                partial.append(f"{name}: {cause}")
        if self.observer.blind:
            self.notes.append(f"the observer was blind {self.observer.blind} times")
        repeats = sum((self.observer.published - self.states).values())
        if repeats:
            self.notes.append(f"{repeats} written again under the same name")
        return Verdict(
            times=self.times,
            dropped=len(self.dropped),
            lost=lost,
            doubled=self._doubled(),
            partial=partial,
            leftovers=self._leftovers(),
            disagree=self._disagreements(forget),
            recovered=recovered,
            late=self.within is not None and recovered > self.within,
            notes=self.notes,
        )

    def _all_done(self):
        with contextlib.closing(sqlite3.connect(self.ledger, timeout=30)) as ledger:
            rows = ledger.execute("SELECT path FROM file WHERE state = 'done'")
            return self.dropped.keys() <= {path for (path,) in rows}

    def _files(self):
        for directory, _, files in os.walk(self.output):
            for name in files:
                yield os.path.relpath(os.path.join(directory, name), self.output)

    def _visible(self):
        return [name for name in self._files() if not os.path.basename(name).startswith(".")]

    def _leftovers(self):
        return [name for name in self._files() if os.path.basename(name).startswith(".watermarkd")]

    def _doubled(self):
        processed = collections.Counter()
        for path in re.findall(r' processed +("[^"]+"|\S+)  ', self.log()):
            processed[path.strip('"')] += 1
        return [f"{name}: {times}" for name, times in (processed - self.states).items()]

    def _disagreements(self, forget):
        """Where the ledger says one thing and the folders another."""
        found = []
        visible = set(self._visible())
        for name in visible - self.dropped.keys():
            found.append(f"{name}: nobody dropped it")
        with contextlib.closing(sqlite3.connect(self.ledger, timeout=30)) as ledger:
            rows = ledger.execute("SELECT path, length, mtime_ns, state, output, bytes FROM file")
            rows = {row[0]: row[1:] for row in rows}
        for name in self.dropped:
            if name not in rows:
                found.append(f"{name}: not in the ledger")
                continue
            length, mtime, state, output, size = rows.pop(name)
            if state != "done":
                found.append(f"{name}: {state} in the ledger")
                continue
            source = os.lstat(self.input / name)
            if (length, mtime) != (source.st_size, source.st_mtime_ns):
                found.append(f"{name}: another state of it in the ledger")
            if Path(os.fsdecode(output)) != self.output / name or name not in visible:
                found.append(f"{name}: done, but not at {output!r}")
            elif size != os.stat(self.output / name).st_size:
                found.append(f"{name}: done with {size} bytes")
        for name, row in rows.items():
            if name in forget:
                continue
            # A file that went away while it was in progress was given back, and that is all.
            if row[2] != "released" or (self.input / name).exists():
                found.append(f"{name}: only in the ledger, {row[2]}")
        return found
