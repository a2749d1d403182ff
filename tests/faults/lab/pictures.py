"""Small pictures made in code, each of a width that tells it from others, and a check that a picture
is whole. Nothing but the standard library, so that a bare machine can run the faults; a real decoder
is asked as well where there is one."""

import functools
import io
import random
import shutil
import struct
import subprocess
import zlib

try:
    from PIL import Image
except ImportError:
    Image = None

# What every configuration of the lab scales to.
HEIGHT = 48
WIDTHS = [64 + 8 * step for step in range(40)]


class NotWhole(Exception):
    pass


def make(serial, name, big=False):
    """Bytes of the picture with this number, in the format that the name promises, and the size
    that its output must have."""
    width = WIDTHS[serial % len(WIDTHS)]
    scale = 12 if big else 1
    if name.lower().endswith(".png"):
        body = _png(width * scale, 96 * scale)
        note = _chunk(b"tEXt", b"serial\0%d" % serial)
        head = 8 + 25
    else:
        body = _jpeg(width * scale, 96 * scale)
        text = b"serial %d" % serial
        note = b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text
        head = 2
    return body[:head] + note + body[head:], (width // 2, HEIGHT)


@functools.cache
def _png(width, height):
    noise = random.Random(width)
    rows = b"".join(b"\0" + noise.randbytes(width) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(rows, 1))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@functools.cache
def _jpeg(width, height):
    """A grey baseline JPEG of noise. The Huffman tables hold three codes of two bits each, so that
    the picture can be written without a transform."""
    noise = random.Random(width)
    # Categories 0, 1 and 2 for DC; end of block and coefficients of one and two bits for AC.
    table = bytes([0, 3] + [0] * 14)
    dc, ac = table + bytes([0, 1, 2]), table + bytes([0x00, 0x01, 0x02])

    def block():
        bits = noise.choice(["00", "010", "011", "1000", "1011"])
        for _ in range(10):
            bits += noise.choice(["010", "011", "1000", "1001", "1010", "1011"])
        return bits + "00"

    blocks = [block() for _ in range(64)]
    count = -(-width // 8) * -(-height // 8)
    bits = "".join(noise.choices(blocks, k=count))
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")

    def segment(marker, body):
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\x08" * 64)
        + segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
        + segment(0xC4, b"\x00" + dc)
        + segment(0xC4, b"\x10" + ac)
        + segment(0xDA, b"\1\1\0\0\x3f\0")
        + data
        + b"\xff\xd9"
    )


def check(data):
    """Width and height of a whole picture. A PNG is inflated to its last row; of a JPEG the
    segments and the end marker are looked at, the rest is the decoder's."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _check_png(data)
    if data.startswith(b"\xff\xd8"):
        return _check_jpeg(data)
    raise NotWhole(f"no picture: {data[:8]!r}, {len(data)} bytes")


def _check_png(data):
    at, packed, size = 8, b"", None
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        crc = data[at + 8 + length : at + 12 + length]
        if crc != struct.pack(">I", zlib.crc32(kind + body)):
            raise NotWhole(f"PNG chunk {kind!r} is broken")
        at += 12 + length
        if kind == b"IHDR":
            size = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        elif kind == b"IEND":
            width, height, depth, colour = size[:4]
            row = 1 + (width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] + 7) // 8
            if len(zlib.decompress(packed)) != row * height:
                raise NotWhole("PNG has too few rows")
            return width, height
    raise NotWhole("PNG without end")


def _check_jpeg(data):
    if not data.endswith(b"\xff\xd9"):
        raise NotWhole("JPEG without end")
    at = 2
    while at + 4 <= len(data):
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xC2:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
    raise NotWhole("JPEG without frame")


def decoder():
    """The name of the decoder that `decode` asks, for the record."""
    if Image:
        return "Pillow"
    return "djpeg" if shutil.which("djpeg") else "none but our own checks"


def decode(data):
    """`check`, and a real decoder over every pixel."""
    size = check(data)
    if Image:
        try:
            Image.open(io.BytesIO(data)).load()
        except OSError as cause:
            raise NotWhole(str(cause)) from cause
    elif data.startswith(b"\xff\xd8") and shutil.which("djpeg"):
        done = subprocess.run(["djpeg", "-outfile", "/dev/null"], input=data, capture_output=True)
        if done.returncode != 0 or done.stderr:
            raise NotWhole(done.stderr.decode(errors="replace").strip())
    return size
