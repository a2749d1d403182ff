"""Everything that puts a picture into a folder on this machine. Pauses are longer than `settle`, so
that a file which merely looks quiet is tried while it is half there. The safety scan is left at five
minutes where events must do: a test that a scan saves proves nothing about them."""

import ctypes
import mmap
import os
import shutil
import subprocess
import time
import zipfile

from . import case

NAMES = ["a.jpg", "b.png", "c.JPG", "d.jpeg", "e.png"]
# Longer than `settle`.
PAUSE = 0.7
OFTEN = "rescan: 1s"


def run(*command, **keywords):
    subprocess.run([*map(str, command)], check=True, capture_output=True, **keywords)


def writer(name, *needs, over=False, big=False, quick=False, more="", folder=""):
    """A case of a way to write one file. With `over` every file is written a second time, with
    another picture, once the first has been processed."""

    def add(write):
        @case(name, *needs, quick=quick)
        def play(home):
            home.configure(more, folder=folder)
            home.start()
            for again in [False, True] if over else [False]:
                if again:
                    home.wait_for_outputs()
                for file in NAMES:
                    write(home, home.source(file, big), home.input / file)
                    home.fault()
                home.mend()

        return write

    return add


@writer("cp", "cp", quick=True, over=True)
def cp(home, source, target):
    run("cp", source, target)


@writer("cp -p", "cp", over=True)
def cp_p(home, source, target):
    past = time.time() - 100_000 + 1000 * home.times
    os.utime(source, (past, past))
    run("cp", "-p", source, target)


@writer("mv, same file system", "mv", quick=True, over=True)
def mv(home, source, target):
    run("mv", source, target)


@writer("mv, across file systems", "mv", "root", over=True, big=True)
def mv_across(home, source, target):
    other = home.path / "other"
    if not other.exists():
        other.mkdir()
        home.mount("-t", "tmpfs", "tmpfs", other)
    run("mv", source, other / source.name)
    run("mv", other / source.name, target)


@writer("ln", "ln", over=True)
def ln(home, source, target):
    run("ln", "-f", source, target)
    source.unlink()


@writer("O_TMPFILE, linkat")
def tmpfile(home, source, target):
    file = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY, 0o644)
    os.write(file, source.read_bytes())
    # The system call by hand: os.link does not follow the link in /proc.
    libc = ctypes.CDLL(None, use_errno=True)
    path, at_cwd, follow = f"/proc/self/fd/{file}".encode(), -100, 0x400
    if libc.linkat(at_cwd, path, at_cwd, os.fsencode(target), follow) != 0:
        raise OSError(ctypes.get_errno(), "linkat")
    time.sleep(0.1)
    os.close(file)


@writer("rsync", "rsync", over=True, big=True, quick=True)
def rsync(home, source, target):
    run("rsync", "-t", source, target)


@writer("rsync --inplace, throttled", "rsync", over=True, big=True)
def rsync_inplace(home, source, target):
    run("rsync", "--inplace", "--bwlimit=700", source, target)


@writer("rsync --delay-updates", "rsync", over=True, big=True)
def rsync_delay(home, source, target):
    run("rsync", "--delay-updates", source, f"{target.parent}/")


@writer("rclone copy", "rclone", over=True)
def rclone(home, source, target):
    environment = os.environ | {"RCLONE_CONFIG": str(home.path / "rclone.conf")}
    run("rclone", "copyto", "--ignore-times", source, target, env=environment)


def pieces(source, count):
    data = source.read_bytes()
    step = -(-len(data) // count)
    return [(at, data[at : at + step]) for at in range(0, len(data), step)]


@writer("slow writer, pauses longer than settle", over=True, big=True, quick=True)
def slow(home, source, target):
    with open(target, "wb", buffering=0) as file:
        for at, data in pieces(source, 3):
            if at:
                time.sleep(PAUSE)
            file.write(data)


@writer("reopen and append", big=True)
def append(home, source, target):
    for _, data in pieces(source, 3):
        with open(target, "ab", buffering=0) as file:
            file.write(data)
        time.sleep(PAUSE)


@writer("empty first, contents later", "touch", big=True)
def touch(home, source, target):
    run("touch", target)
    time.sleep(PAUSE)
    target.write_bytes(source.read_bytes())


@writer("truncate and rewrite", big=True, over=True)
def rewrite(home, source, target):
    data = source.read_bytes()
    with open(target, "wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        time.sleep(PAUSE)
        file.write(data[len(data) // 2 :])


@writer("preallocate, then dd", "fallocate", "dd", big=True, quick=True)
def preallocate(home, source, target):
    size = source.stat().st_size
    run("fallocate", "-l", size, target)
    time.sleep(PAUSE)
    half = size // 8192
    run("dd", f"if={source}", f"of={target}", "conv=notrunc", "bs=4096", f"count={half}")
    time.sleep(PAUSE)
    skip = [f"skip={half}", f"seek={half}"]
    run("dd", f"if={source}", f"of={target}", "conv=notrunc", "bs=4096", *skip)


@writer("end first, then backwards", big=True)
def backwards(home, source, target):
    with open(target, "wb", buffering=0) as file:
        for at, data in reversed(pieces(source, 3)):
            file.seek(at)
            file.write(data)
            time.sleep(PAUSE)


def mapped(source, target):
    data = source.read_bytes()
    with open(target, "r+b") as file:
        file.truncate(len(data))
        view = mmap.mmap(file.fileno(), len(data))
    # The file is closed: from here on nothing raises an event.
    for at, piece in pieces(source, 4):
        view[at : at + len(piece)] = piece
        time.sleep(0.3)
    view.flush()
    view.close()


@writer("mmap, new file", big=True, more=OFTEN)
def mmap_new(home, source, target):
    target.touch()
    mapped(source, target)


@writer("mmap, existing file", big=True, more=OFTEN, over=True)
def mmap_existing(home, source, target):
    if not target.exists():
        target.write_bytes(source.read_bytes())
    else:
        mapped(source, target)


@writer("written through another name", over=True, more=OFTEN)
def other_name(home, source, target):
    kept = home.path / f"kept-{target.name}"
    if not kept.exists():
        kept.touch()
        os.link(kept, target)
    kept.write_bytes(source.read_bytes())


@writer("temporary name, then rename", over=True, quick=True)
def temporary(home, source, target):
    endings = {"a.jpg": "a.jpg.part", "b.png": ".b.png.Xy12", "c.JPG": "c.JPG.crdownload"}
    beside = target.with_name(endings.get(target.name, f".syncthing.{target.name}.tmp"))
    beside.write_bytes(source.read_bytes())
    time.sleep(0.2)
    if beside.name.startswith(".sync"):
        # Syncthing removes the old file first.
        target.unlink(missing_ok=True)
    os.rename(beside, target)


@writer("tar x", "tar", over=True)
def tar(home, source, target):
    archive = source.with_name(f".{source.name}.tar")
    run("tar", "cf", archive, "-C", source.parent, source.name)
    run("tar", "xf", archive, "-C", target.parent)
    archive.unlink()


@writer("unzip over", "unzip", over=True)
def unzip(home, source, target):
    archive = source.with_name(f".{source.name}.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.write(source, target.name)
    run("unzip", "-o", archive, "-d", target.parent)


def tree(home, top):
    """Pictures in folders in folders, beside the drop folder."""
    for folder in ("", "one/", "one/two/", "one/two/three/"):
        for name in NAMES[:3]:
            home.source(f"{top}/{folder}{name}")
    return home.path / "beside" / top


@case("mkdir, cp -r into a recursive folder", "cp", quick=True)
def cp_r(home):
    home.configure(folder=", recursive: true")
    home.start()
    for top in ("first", "second", "third"):
        source = tree(home, top)
        (home.input / top).mkdir()
        run("cp", "-r", source, home.input)
        home.fault()
    home.mend()


@case("mv of a folder into a recursive folder", "mv", quick=True)
def mv_folder(home):
    home.configure(folder=", recursive: true")
    home.start()
    for top in ("first", "second", "third"):
        run("mv", tree(home, top), home.input)
        home.fault()
    home.wait_for_outputs()
    # What comes later shows that the new folders are watched.
    home.drop("third/one/two/later.jpg")
    # A folder moved within is pictures that arrive under new names.
    for name in [name for name in home.dropped if name.startswith("first/one/")]:
        home.dropped[name.replace("first/one", "moved")] = home.dropped[name]
        home.states[name.replace("first/one", "moved")] = 1
    run("mv", home.input / "first/one", home.input / "moved")
    home.fault()
    home.wait_for_outputs()
    # Back, so that ledger and folder can be compared: the names are known, with their old states.
    run("cp", "-rp", home.input / "moved", home.input / "first/one")
    home.mend()


@case("renamed while it waits and while it is worked on", "mv")
def renamed(home):
    home.configure()
    home.start()
    for step in range(20):
        data = home.picture(f"last-{step}.png", big=True)
        first = home.input / f"first-{step}.png"
        first.write_bytes(data)
        time.sleep(0.01 * step)
        if not first.exists():
            continue
        os.rename(first, home.input / f"last-{step}.png")
        home.fault()
    home.wait_for_outputs()
    # Those that were done before they got their last name are no fault; they have an output each.
    for done in home.output.glob("first-*"):
        shutil.copy2(home.input / done.name.replace("first", "last"), home.input / done.name)
        home.dropped[done.name] = home.dropped[done.name.replace("first", "last")]
        home.states[done.name] = 1
    home.mend()
