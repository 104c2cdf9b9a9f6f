"""Video files become upright frames with exact times; what cannot be read is told."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loop.domain.errors import Invalid, PayloadTooLarge
from loop.domain.items.clips import BadVideo, ReadFrame, Sampling, sampling_of
from loop.items.video import FfmpegVideos
from tests.clips import HEIGHT, WIDTH, pictures, sound, turned, video, wave_file

ALL = Sampling(every=1)
PNG = FfmpegVideos("png", 95, 40_000_000)


def read(
    content: bytes, tmp_path: Path, sampling: Sampling = ALL, *, after: int = -1, limit: int = 1000,
    videos: FfmpegVideos = PNG,
) -> tuple[list[ReadFrame], tuple[str, ...]]:  # fmt: skip
    path = tmp_path / "video"
    path.write_bytes(content)
    with videos.open(path) as opened:
        frames = list(opened.frames(sampling, after=after, limit=limit))
        return frames, opened.notes


def pixels(frame: ReadFrame) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(frame.content)))


def test_every_frame_has_its_picture_and_its_exact_time(tmp_path):
    """In their order, from 0."""
    drawn = pictures(7)
    frames, notes = read(video(drawn), tmp_path)
    assert [frame.number for frame in frames] == list(range(7))
    assert [frame.seconds for frame in frames] == [number / 10 for number in range(7)]
    assert notes == ()
    for frame, expected in zip(frames, drawn, strict=True):
        assert np.abs(pixels(frame).astype(int) - expected).mean() < 25
        assert (frame.facts.width, frame.facts.height, frame.facts.media_type) == (WIDTH, HEIGHT, "image/png")


@pytest.mark.parametrize(("container", "codec"), [("matroska", "mpeg4"), ("avi", "mpeg4"), ("mpegts", "mpeg2video")])
def test_other_containers_are_read_alike(tmp_path, container, codec):
    """A clock that does not begin at 0 does not matter."""
    frames, _ = read(video(pictures(5), rate=25, container=container, codec=codec), tmp_path)
    assert [round(frame.seconds, 6) for frame in frames] == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_each_nth_frame(tmp_path):
    """Of the numbers in the video."""
    frames, _ = read(video(pictures(8)), tmp_path, Sampling(every=3))
    assert [frame.number for frame in frames] == [0, 3, 6]


@pytest.mark.parametrize(
    ("fps", "numbers"), [(5, [0, 2, 4, 6, 8]), (2, [0, 5]), (3, [0, 4, 7]), (0.5, [0]), (100, list(range(10)))]
)
def test_so_many_frames_a_second(tmp_path, fps, numbers):
    """The first at or after each moment; never more than there are."""
    frames, _ = read(video(pictures(10)), tmp_path, sampling_of(None, fps))
    assert [frame.number for frame in frames] == numbers


def test_a_variable_frame_rate_keeps_its_times(tmp_path):
    """Each frame has the time that the file gives it, and the import says so."""
    times = [Fraction(n, 1000) for n in (0, 40, 80, 500, 520, 1700)]
    frames, notes = read(video(pictures(6), times=times, container="matroska"), tmp_path)
    assert [frame.seconds for frame in frames] == [float(moment) for moment in times]
    assert any("frame rate varies" in note for note in notes)


def test_a_turned_video_is_shown_upright(tmp_path):
    """As a player shows it: what lies left below is left above after a quarter turn clockwise."""
    corner = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    corner[HEIGHT // 2 :, : WIDTH // 2] = 255
    ((frame,), _) = read(turned(video([corner])), tmp_path)
    seen = pixels(frame)
    assert seen.shape[:2] == (WIDTH, HEIGHT) == (frame.facts.height, frame.facts.width)
    assert seen[: WIDTH // 2, : HEIGHT // 2].mean() > 200
    assert seen[WIDTH // 2 :].mean() < 50
    assert seen[:, HEIGHT // 2 :].mean() < 50


def test_a_file_that_breaks_off_keeps_the_frames_before_it(tmp_path):
    """What was decoded until there, and a note that says where it ends."""
    garbled = bytearray(video(pictures(40)))
    middle = len(garbled) // 2
    garbled[middle : middle + 2000] = b"\xff" * 2000
    frames, notes = read(bytes(garbled), tmp_path)
    assert 10 < len(frames) < 30
    assert f"breaks off after {frames[-1].seconds:.3f} s" in notes[0]
    assert f"the {len(frames)} frames until there are kept" in notes[0]


@pytest.mark.parametrize(("container", "share"), [("matroska", 0.5), ("matroska", 0.8), ("avi", 0.5), ("avi", 0.8)])
def test_a_missing_tail_is_told(tmp_path, container, share):
    """A file that ends early without an error has fewer frames, or lasts less, than its header says."""
    whole = video(pictures(40), container=container)
    frames, notes = read(whole[: int(len(whole) * share)], tmp_path)
    assert 4 < len(frames) < 40
    assert "The file says" in notes[0]


def test_a_video_that_is_too_long_is_cut_and_says_so(tmp_path):
    """At the limit; what was taken before an interruption counts."""
    frames, notes = read(video(pictures(9)), tmp_path, limit=4)
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert "first 4 frames" in notes[0]
    frames, _ = read(video(pictures(9)), tmp_path, limit=4, after=2)
    assert [frame.number for frame in frames] == [3]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be opened"),
        (b"no video at all " * 500, "cannot be opened"),
        (sound(), "no video in it, but audio"),
        (wave_file(), "cannot be opened"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "cannot be opened"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be opened"),
        (video(pictures(9))[:3000], "cannot be opened"),  # without its index an MP4 tells nothing
    ],
)
def test_what_is_no_video_is_refused(tmp_path, content, says):
    """Rubbish, sound, and lists that would make the reader open other files: with what to do."""
    with pytest.raises(BadVideo) as refused:
        read(content, tmp_path)
    assert says in refused.value.detail
    assert refused.value.hint


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile other.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_does_not_open_the_files_that_it_names(tmp_path, playlist):
    """Whoever uploads it would see videos of this machine."""
    (tmp_path / "other.mp4").write_bytes(video(pictures(3)))
    (tmp_path / "other.ts").write_bytes(video(pictures(3), container="mpegts", codec="mpeg2video"))
    with pytest.raises(BadVideo):
        read(playlist.encode(), tmp_path)


def test_frames_beyond_the_limit_are_refused_before_they_are_decoded(tmp_path):
    """By the header."""
    with pytest.raises(PayloadTooLarge, match="64 x 48"):
        read(video(pictures(2)), tmp_path, videos=FfmpegVideos("png", 95, WIDTH * HEIGHT - 1))


def test_frames_that_grow_beyond_the_limit_end_the_video(tmp_path):
    """Those before are kept."""
    small = video(pictures(20), container="mpegts", codec="mpeg2video")
    large = [np.tile(drawn, (2, 2, 1)) for drawn in pictures(20)]
    both = small + video(large, container="mpegts", codec="mpeg2video")
    frames, notes = read(both, tmp_path, videos=FfmpegVideos("png", 95, WIDTH * HEIGHT))
    assert 10 < len(frames) <= 20
    assert "a frame has 128 x 96 pixels" in notes[0]


def test_jpeg_and_png(tmp_path):
    """PNG is the frame itself; JPEG is smaller, and says so."""
    content = video(pictures(1))
    ((lossless,), _), ((small,), _) = (
        read(content, tmp_path),
        read(content, tmp_path, videos=FfmpegVideos("jpeg", 90, 10**7)),
    )
    assert small.facts.media_type == "image/jpeg"
    assert np.abs(pixels(small).astype(int) - pixels(lossless)).mean() < 4


@pytest.mark.parametrize(("every", "fps"), [(0, None), (1, 2.0), (None, 0.0), (None, "x"), (None, -1)])
def test_a_sampling_that_means_nothing_is_refused(every, fps):
    """Neither none nor both, and no rate that is none."""
    with pytest.raises(Invalid):
        sampling_of(every, fps)
