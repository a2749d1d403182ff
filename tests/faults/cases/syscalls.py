"""System calls that fail, by strace: attached to the running daemon for a while, so that what it
needs to start is spared, and detached again."""

import os
import re
import signal
import subprocess
import time

from lab.home import Skip, Unverified

from . import case
from .full import RETRY, arrive


def inject(name, *faults, more="", quick=False):
    """A case of calls that fail: `faults` are calls, error and when, as strace writes it (first and
    step)."""

    @case(name, "strace", "root", quick=quick)
    def play(home):
        home.configure(f"{RETRY}\n{more}", folder=", watch: poll" if more else "")
        home.start()
        arrive(home, "before")
        home.wait_for_outputs()
        trace = home.path / "trace"
        command = ["strace", "-f", "-qq", "-o", trace]
        command += ["-e", "trace=" + ",".join(calls for calls, _, _ in faults)]
        for calls, error, when in faults:
            command += ["-e", f"inject={calls}:error={error}:when={when}"]
        tracer = home.spawn(*command, "-p", home.daemon.pid, stderr=subprocess.PIPE)
        home.wait_for("strace", lambda: traced(home.daemon.pid) or tracer.poll() is not None)
        if tracer.poll() is not None:
            raise Skip(f"strace: {tracer.stderr.read().decode().strip()}")
        for round in range(8):
            arrive(home, f"broken-{round}", 5)
            time.sleep(0.3)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        home.mend()
        for calls, _, _ in faults:
            pattern = rf"({calls.replace(',', '|')})\b.*\(INJECTED\)"
            times = len(re.findall(pattern, trace.read_text(errors="replace")))
            if times == 0:
                raise Unverified(f"no {calls} failed: {tracer.stderr.read()}")
            home.times += times
        arrive(home, "after")
        home.within = 15


def traced(pid):
    return not re.search(r"TracerPid:\t0\n", open(f"/proc/{pid}/status").read())


RENAMES = "rename,renameat,renameat2"

STATS = "statx,lstat,stat,newfstatat"
POLL = "poll: 300ms"

inject("write: EIO", ("write", "EIO", "1+3"))
inject("write: ENOSPC", ("write", "ENOSPC", "1+2"), quick=True)
inject("fsync: EIO", ("fsync", "EIO", "1+2"), quick=True)
inject("fsync: ENOSPC", ("fsync", "ENOSPC", "1+3"))
inject("rename: EIO", (RENAMES, "EIO", "1+2"), quick=True)
inject("rename: ENOSPC", (RENAMES, "ENOSPC", "1+3"))
inject("rename: EIO, and unlink: EIO", (RENAMES, "EIO", "1+2"), ("unlink,unlinkat", "EIO", "1+2"))
inject("open: EIO", ("openat", "EIO", "1+3"))
inject("open: ENOSPC", ("openat", "ENOSPC", "1+3"))
inject("open: EMFILE", ("openat", "EMFILE", "1+2"))
inject("open: ESTALE", ("openat", "ESTALE", "1+2"))
inject("read: EIO", ("read", "EIO", "1+3"))
inject("read: ESTALE", ("read", "ESTALE", "1+2"))
inject("stat: EIO", (STATS, "EIO", "1+3"))
inject("stat: ESTALE", (STATS, "ESTALE", "1+2"))
inject("stat: ESTALE, polled", (STATS, "ESTALE", "1+3"), more=POLL)
inject("getdents: EIO, polled", ("getdents64", "EIO", "1+2"), more=POLL)
inject("ledger's writes: EIO", ("pwrite64", "EIO", "1+3"), quick=True)
inject("ledger's writes: ENOSPC", ("pwrite64", "ENOSPC", "1+2"))


@case("order of syncs, for a power cut", "strace", "root", quick=True)
def order(home):
    """For every picture: the temporary file is synced, then renamed, then its directory synced, and
    only then does the ledger get a page that names the output."""
    home.configure()
    trace = home.path / "trace"
    calls = f"trace=fsync,fdatasync,{RENAMES},pwrite64,write"
    # -D keeps the daemon our own child; the ledger's pages are below 5000 bytes.
    home.start(wrap=["strace", "-D", "-f", "-y", "-qq", "-s", "5000", "-o", trace, "-e", calls])
    for round in range(10):
        arrive(home, str(round), 20)
        home.fault()
        time.sleep(0.2)
    home.mend()
    left = home.wait_for_outputs()
    home.daemon.send_signal(signal.SIGTERM)
    home.daemon.wait(60)
    wrong = [] if left else disorder(home, joined(trace))
    home.start()
    home.notes += wrong[:3]
    if wrong:
        raise Unverified(f"{len(wrong)} times out of order: {wrong[:5]}")


def joined(trace):
    """Lines of a trace in the order in which the calls began and ended: what one thread began and
    another call interrupted stands twice, and counts when it ended, but for the ledger's writes,
    which count when they began."""
    begun = {}
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>").rstrip()
            if call.startswith("pwrite64"):
                yield call
        elif call.startswith("<... "):
            whole = begun.pop(thread, "") + call.partition("resumed>")[2].lstrip()
            if not whole.startswith("pwrite64"):
                yield whole
        else:
            yield call


# A folder, if the call names one, and a name.
AT_NAME = r'(?:[\w-]+<([^>]+)>, )?"([^"]+)"'


def pairs(match):
    first, temp, second, target = match.groups()
    return (first, temp), (second, target)


def disorder(home, calls):
    out = str(home.output)
    synced, renamed, durable, wrong, told = set(), {}, set(), [], set()
    for call in calls:
        if match := re.match(r"f(?:data)?sync\(\d+<([^>]+)>\)\s+= 0", call):
            path = match[1]
            if path == out:
                durable.update(renamed)
            else:
                synced.add(path)
        elif match := re.match(r"write\(\d+<([^>]+)>", call):
            synced.discard(match[1])
        elif match := re.match(rf"rename\w*\({AT_NAME}, {AT_NAME}.*\)\s+= 0", call):
            # A name is looked up in the folder that is held open.
            temp, target = (os.path.join(folder or "", name) for folder, name in pairs(match))
            if not target.startswith(out):
                continue
            if temp not in synced:
                wrong.append(f"{target} renamed before its sync")
            renamed[target] = temp
        elif re.match(r"pwrite64\(\d+<[^>]+-wal>", call):
            for name in home.dropped:
                target = f"{out}/{name}"
                if target in told or not re.search(re.escape(target), call):
                    continue
                told.add(target)
                if target not in durable:
                    wrong.append(f"the ledger knows {target} before its directory was synced")
    if told != {f"{out}/{name}" for name in home.dropped}:
        wrong.append(f"only {len(told)} of {len(home.dropped)} pictures seen in the ledger's pages")
    return wrong
