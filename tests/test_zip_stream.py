"""ZIP files that are written from front to back."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loop.exchange.zip_stream import ZipStream

FAR = 5 << 30  # bytes; more than 32 bits can say


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ZipStream]:
    with (tmp_path / "listed").open("w+b") as listed:
        yield ZipStream(listed, tmp_path)


def test_other_readers_read_it(archive: ZipStream, tmp_path: Path) -> None:
    """Stored and packed files, an empty one, names beyond ASCII; every checksum holds."""
    text = "ß, 雪\n" * 100_000
    (tmp_path / "text").write_text(text, encoding="utf-8")
    (tmp_path / "nothing").write_bytes(b"")
    written = b"".join(
        [
            *archive.stored("images/a.png", b"\0\1\2"),
            *archive.packed("größe.txt", tmp_path / "text"),
            *archive.packed("nothing.txt", tmp_path / "nothing"),
            *archive.stored("empty", b""),
            *archive.end(),
        ]
    )
    assert len(written) < 10_000
    with zipfile.ZipFile(io.BytesIO(written)) as read:
        assert read.testzip() is None
        assert read.namelist() == ["images/a.png", "größe.txt", "nothing.txt", "empty"]
        assert read.read("größe.txt").decode() == text and read.read("images/a.png") == b"\0\1\2"


def test_it_may_hold_more_files_than_sixteen_bits_count(archive: ZipStream) -> None:
    names = [f"{number}.txt" for number in range(70_000)]
    written = b"".join([piece for name in names for piece in archive.stored(name, name.encode())] + [*archive.end()])
    with zipfile.ZipFile(io.BytesIO(written)) as read:
        assert read.namelist() == names
        assert read.read("69999.txt") == b"69999.txt"
    record = written.rindex(b"PK\6\6")  # the end of ZIP64; some readers go by its count
    assert struct.unpack_from("<2Q", written, record + 24) == (70_000, 70_000)


def test_it_may_be_longer_than_four_gigabytes(archive: ZipStream, tmp_path: Path) -> None:
    """As if so much had been sent before; the file on disk has a hole there."""
    path = tmp_path / "far.zip"
    archive._at = FAR
    with path.open("wb") as file:
        file.seek(FAR)
        for piece in (*archive.stored("a", b"first"), *archive.stored("b", b"second"), *archive.end()):
            file.write(piece)
    with zipfile.ZipFile(path) as read:
        assert [info.header_offset for info in read.infolist()] == [FAR, FAR + 36]
        assert (read.read("a"), read.read("b")) == (b"first", b"second")


def test_the_number_of_its_files_takes_no_memory(archive: ZipStream) -> None:
    """The directory waits in a file."""

    def peak(count: int) -> int:
        tracemalloc.start()
        for number in range(count):
            for _ in archive.stored(f"{number:08}.txt", b"x" * 100):
                pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(20_000) < peak(2_000) + 10_000
