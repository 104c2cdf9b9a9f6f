"""Video files → upright frames with their times, one after the other, by FFmpeg (PyAV).

Only containers of one file are opened: playlists and scripts, which would make FFmpeg read other files or addresses,
are not. One frame is held at a time, by one thread of the decoder.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from loop.domain.errors import PayloadTooLarge
from loop.domain.item import ImageFacts
from loop.domain.items.clips import BadVideo, ReadFrame, Sampling

_CONTAINERS = (
    "mov",
    "mp4",
    "m4a",
    "3gp",
    "3g2",
    "mj2",
    "matroska",
    "webm",
    "avi",
    "mpegts",
    "mpeg",
    "ogg",
    "flv",
    "asf",
)
# FFmpeg's own switches: what may be opened, and that nothing else is from there.
_OPTIONS = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}
# Decoders round sides up, and put a margin around.
_MARGIN_PIXELS = 1_000_000
_MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png"}
# Intervals of a constant rate differ by the rounding to the clock of the file, which is one tick either way.
_TICKS = 2
# What a file may promise and not have without a word: encoders round, and sound goes on a little longer.
_FRAMES_LOST = 2
_SECONDS_LOST = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class FfmpegVideos:
    """Implements `loop.items.clips.Videos`. image_format: jpeg | png. quality: of JPEG, 1 to 100."""

    image_format: str
    quality: int
    max_pixels: int

    @property
    def encoding(self) -> str:
        return f"jpeg-{self.quality}" if self.image_format == "jpeg" else "png"

    @contextmanager
    def open(self, path: Path) -> Iterator["_Open"]:
        """Raises BadVideo for what is no video, PayloadTooLarge for too large frames."""
        try:
            container = av.open(str(path.absolute()), options=_OPTIONS)
        except (FFmpegError, ValueError) as error:
            raise BadVideo(
                f"the file cannot be opened as a video ({_words(error)}).",
                hint="Send an MP4, MOV, MKV, WebM, AVI, MPEG or Ogg file that a player plays to its end.",
            ) from error
        with container:
            stream = _pictures_of(container)
            self._require_small(stream.codec_context.width, stream.codec_context.height)
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            # What grows in the middle of a file may not fill memory before it is looked at.
            stream.codec_context.options = {"max_pixels": str(2 * self.max_pixels + _MARGIN_PIXELS)}
            yield _Open(self, container, stream)

    def _require_small(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise PayloadTooLarge(
                f"a frame has {width:,} x {height:,} pixels; at most {self.max_pixels:,} are read.",
                hint="Send a smaller video, or raise limits.max_image_pixels.",
                max_pixels=self.max_pixels,
            )

    def encoded(self, frame: VideoFrame) -> tuple[bytes, ImageFacts]:
        """The picture as a player shows it: its rotation is applied."""
        pixels = frame.to_ndarray(format="rgb24")
        upright = np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
        height, width = upright.shape[:2]
        buffer = io.BytesIO()
        more = {"quality": self.quality, "subsampling": 0} if self.image_format == "jpeg" else {}
        Image.fromarray(upright).save(buffer, self.image_format.upper(), **more)
        return buffer.getvalue(), ImageFacts(width, height, _MEDIA_TYPES[self.image_format])


@dataclass(slots=True)
class _Open:
    """Implements `loop.items.clips.OpenVideo`."""

    videos: FfmpegVideos
    container: InputContainer
    stream: VideoStream
    _notes: list[str] = field(default_factory=list)
    _backwards: int = 0
    _shortest: Fraction | None = None
    _longest: Fraction = Fraction(0)

    @property
    def meta(self) -> Mapping[str, Any]:
        rate, context = self.stream.average_rate, self.stream.codec_context
        return {
            "container": self.container.format.name,
            "codec": context.name,
            "width": context.width,
            "height": context.height,
            "frames_a_second": None if rate is None else float(rate),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        found = list(self._notes)
        if self._backwards:
            found.append(f"{self._backwards} frames are left out: their times are not after the frame before.")
        tick = self.stream.time_base or Fraction(1, 1000)
        if self._shortest is not None and self._longest - self._shortest > _TICKS * tick:
            found.append("The frame rate varies; each frame has its own time.")
        return tuple(found)

    def frames(self, sampling: Sampling, *, after: int, limit: int) -> Iterator[ReadFrame]:
        due, taken = Fraction(0), 0
        for number, seconds, frame in self._decoded():
            if sampling.every is not None:
                wanted = number % sampling.every == 0
            elif wanted := seconds >= due:
                due = sampling.due(seconds)
            if not wanted:
                continue
            if taken == limit:
                self._notes.append(f"It is longer: the first {limit:,} frames were taken (video.max_frames).")
                return
            taken += 1
            if number > after:
                content, facts = self.videos.encoded(frame)
                yield ReadFrame(number, float(seconds), content, facts)

    def _decoded(self) -> Iterator[tuple[int, Fraction, VideoFrame]]:
        """(number, exact time since the first, frame); times rise. Ends where the file breaks off, and notes it."""
        begin: Fraction | None = None
        last = Fraction(-1)
        number = -1
        try:
            for frame in self.container.decode(self.stream):
                if frame.width * frame.height > self.videos.max_pixels:
                    self._notes.append(f"The file breaks off: a frame has {frame.width:,} x {frame.height:,} pixels.")
                    return
                number += 1
                at = _time_of(frame)
                if at is None:
                    at = (last if begin is None else last + begin) + self._usual_interval()
                begin = at if begin is None else begin
                if at - begin <= last:
                    self._backwards += 1
                    continue
                self._note_interval(at - begin - last if last >= 0 else None)
                last = at - begin
                yield number, last, frame
        except FFmpegError as error:
            self._notes.append(
                f"The file breaks off after {max(float(last), 0.0):.3f} s ({_words(error)}); the {number + 1} frames "
                "until there are kept."
            )
        else:
            self._note_missing(number + 1, last)

    def _note_interval(self, interval: Fraction | None) -> None:
        if interval is not None:
            self._shortest = interval if self._shortest is None else min(self._shortest, interval)
            self._longest = max(self._longest, interval)

    def _note_missing(self, decoded: int, last: Fraction) -> None:
        """Most containers end early without an error; what the header promised tells."""
        if decoded < self.stream.frames - _FRAMES_LOST:
            self._notes.append(f"The file says that it has {self.stream.frames} frames; {decoded} could be read.")
        elif self.container.duration is not None and last >= 0:
            promised = Fraction(self.container.duration, av.time_base)
            if promised - last > max(_SECONDS_LOST, 3 * self._longest):
                self._notes.append(
                    f"The file says that it lasts {float(promised):.3f} s; its last frame is at {float(last):.3f} s."
                )

    def _usual_interval(self) -> Fraction:
        rate = self.stream.average_rate
        return 1 / rate if rate else Fraction(1, 25)


def _pictures_of(container: InputContainer) -> VideoStream:
    """The first stream of moving pictures; the cover of an album is none. Raises BadVideo."""
    moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not moving:
        others = sorted({stream.type for stream in container.streams if stream.type != "video"})
        raise BadVideo(
            f"the file has no video in it, but {', '.join(others) or 'nothing that is known'}.",
            hint="Send a file with moving pictures.",
        )
    return moving[0]


def _time_of(frame: VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
