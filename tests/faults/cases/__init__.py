"""The fault cases. A case is a function that is given a home, configures and starts a daemon in it,
drops pictures, breaks something and mends it. What has become of the pictures is judged afterwards,
the same way for all."""

import dataclasses
import importlib.util
import os
import shutil
from collections.abc import Callable

from lab.home import Skip

CASES = {}


@dataclasses.dataclass
class Case:
    name: str
    play: Callable
    needs: tuple
    quick: bool
    # How long the daemon may take to be through with everything, in seconds.
    patience: float

    def missing(self):
        """Why it cannot be played here."""
        for need in self.needs:
            if need == "root":
                if os.environ.get("FAULTS_NAMESPACE") is None:
                    return "needs root, or user namespaces"
            elif need == "true root":
                if os.environ.get("FAULTS_NAMESPACE") != "root":
                    return "needs root"
            elif need.startswith("module "):
                if importlib.util.find_spec(need.removeprefix("module ")) is None:
                    return f"needs the Python {need}"
            elif need.startswith("/"):
                if not os.path.exists(need):
                    return f"needs {need}"
            elif not shutil.which(need, path=f"{os.environ.get('PATH')}:/usr/sbin:/sbin"):
                return f"needs {need}"
        return None


def case(name, *needs, quick=False, patience=120):
    def add(play):
        CASES[name] = Case(name, play, needs, quick, patience)
        return play

    return add


def load():
    from . import clock, crashes, full, mounts, network, syscalls, watching, writers  # noqa: F401

    return CASES


__all__ = ["CASES", "Case", "Skip", "case", "load"]
