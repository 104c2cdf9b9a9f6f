"""Small videos that tests encode themselves."""

import io
import struct
import wave
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT = 64, 48


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    """Of noise in large patches, which survive compression; no two alike."""
    rng = np.random.default_rng(seed)
    return [np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(count)]


def video(
    frames: Sequence[np.ndarray],
    *,
    rate: int = 10,
    times: Sequence[Fraction] | None = None,
    container: str = "mp4",
    codec: str = "mpeg4",
) -> bytes:
    """times: seconds of each frame, in milliseconds at most; else they come evenly at `rate` a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 4
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number if times is None else int(times[number] * 1000)
            if times is not None:
                frame.time_base = Fraction(1, 1000)
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return buffer.getvalue()


def turned(mp4: bytes) -> bytes:
    """The same MP4, which says that it is to be shown a quarter turn clockwise."""
    content = bytearray(mp4)
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    assert struct.unpack(">9i", content[matrix : matrix + 36])[0] == 1 << 16
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    return bytes(content)


def sound() -> bytes:
    """A container with audio alone."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return buffer.getvalue()


def wave_file() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0" * 1600)
    return buffer.getvalue()
