"""Watches an output folder while the daemon works. A picture must become visible by a rename, whole;
whatever else happens under a visible name is a partial picture. Events, unlike looking often, miss
nothing; every new name is opened and checked as well, at once."""

import collections
import ctypes
import os
import select
import struct
import threading

from . import pictures

MODIFY, MOVED_TO, CREATE = 0x2, 0x80, 0x100
OVERFLOW, IS_DIR = 0x4000, 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)


class Observer(threading.Thread):
    def __init__(self, folder):
        super().__init__(name="observer", daemon=True)
        self.folder = os.fspath(folder)
        self.partial = []
        # How often each name, relative to the folder, was renamed into place.
        self.published = collections.Counter()
        # Names seen, and what could not be observed.
        self.checked = 0
        self.blind = 0
        self._directories = {}
        self._root = None
        self._ended = threading.Event()
        self._events = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._events < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._find_root()
        self.start()

    def stop(self):
        self._ended.set()
        # A hung folder must not hang the verdict.
        self.join(10)

    def run(self):
        while not self._ended.is_set():
            if select.select([self._events], [], [], 0.05)[0]:
                self._take(os.read(self._events, 1 << 16))
            self._find_root()
        while select.select([self._events], [], [], 0)[0]:
            self._take(os.read(self._events, 1 << 16))
        os.close(self._events)

    def _find_root(self):
        """The folder may be another one by now: mounted, unmounted, made again."""
        try:
            found = os.stat(self.folder)
        except OSError:
            return
        if (found.st_dev, found.st_ino) != self._root:
            self._root = (found.st_dev, found.st_ino)
            self._watch("")

    def _watch(self, relative):
        path = os.path.join(self.folder, relative)
        mask = CREATE | MOVED_TO | MODIFY
        number = _libc.inotify_add_watch(self._events, os.fsencode(path), mask)
        if number < 0:
            self.blind += 1
            return
        self._directories[number] = relative
        try:
            for entry in os.scandir(path):
                name = os.path.join(relative, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    self._watch(name)
                else:
                    self._look(name)
        except OSError:
            self.blind += 1

    def _take(self, raw):
        at = 0
        while at < len(raw):
            number, mask, _, length = struct.unpack_from("iIII", raw, at)
            name = os.fsdecode(raw[at + 16 : at + 16 + length].rstrip(b"\0"))
            at += 16 + length
            if mask & OVERFLOW:
                self.blind += 1
            if number not in self._directories or not name:
                continue
            relative = os.path.join(self._directories[number], name)
            if mask & IS_DIR:
                if mask & (CREATE | MOVED_TO):
                    self._watch(relative)
            elif name.startswith("."):
                continue
            elif mask & MOVED_TO:
                self.published[relative] += 1
                self._look(relative)
            else:
                self.partial.append(f"{relative}: written to under its visible name")

    def _look(self, relative):
        if os.path.basename(relative).startswith("."):
            return
        try:
            with open(os.path.join(self.folder, relative), "rb") as file:
                data = file.read()
        except OSError:
            # Gone again with its mount; what stays is looked at in the end.
            return
        self.checked += 1
        try:
            pictures.check(data)
        except pictures.NotWhole as cause:
            self.partial.append(f"{relative}: {cause}")
