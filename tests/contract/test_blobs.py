"""What content-addressed bytes promise, on a local disk and on an object store (fsspec's in-memory one)."""

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from loop.domain.errors import NotFound, SettingsError, Unavailable
from loop.domain.identity import digest_of
from loop.store.blobs import FsspecBlobs

CONTENT = b"\x89PNG" + bytes(range(256)) * 5000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "blobs"


@pytest.fixture(params=["folder", "file-url", "object-store"])
def blobs(request: pytest.FixtureRequest, root: Path) -> Iterator[FsspecBlobs]:
    urls = {"folder": str(root), "file-url": root.as_uri(), "object-store": "memory://bucket/blobs"}
    yield FsspecBlobs.open(urls[request.param])
    fsspec.filesystem("memory").store.clear()


def _path(root: Path, key: str) -> Path:
    return root / key[:2] / key


def _files(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [CONTENT, b"", b"\n"])
def test_content_comes_back_under_its_digest(blobs: FsspecBlobs, content: bytes) -> None:
    """The key is the SHA-256 of the bytes; empty content is content."""
    assert not blobs.has(digest_of(content))
    key = blobs.put(content)
    assert key == digest_of(content)
    assert blobs.has(key)
    assert blobs.get(key) == content


def test_putting_again_changes_nothing(blobs: FsspecBlobs) -> None:
    """A retry gives the same key."""
    assert blobs.put(CONTENT) == blobs.put(CONTENT)
    assert blobs.get(digest_of(CONTENT)) == CONTENT


def test_one_content_is_one_file(root: Path) -> None:
    """Under ab/cd/, with no temp file left, and not rewritten by a second put."""
    blobs = FsspecBlobs.open(str(root))
    key = blobs.put(CONTENT)
    made = _path(root, key).stat()
    blobs.put(CONTENT)
    assert _path(root, key).stat().st_ino == made.st_ino
    assert _files(root) == [key]


def test_a_missing_key_is_not_found(blobs: FsspecBlobs) -> None:
    """Not an empty answer."""
    with pytest.raises(NotFound):
        blobs.get(digest_of(b"never put"))


@pytest.mark.parametrize(
    "key", ["", "..", "../../../../etc/passwd", "A" * 64, "g" * 64, "a" * 63, "a" * 64 + "\n", "/" * 64, "%2e%2e"]
)
def test_a_key_that_is_no_digest_is_not_found(blobs: FsspecBlobs, key: str) -> None:
    """Whatever a URL asked for, nothing outside of the layout is touched."""
    assert not blobs.has(key)
    with pytest.raises(NotFound):
        blobs.get(key)


def test_damaged_bytes_are_never_handed_out(root: Path) -> None:
    """A flipped bit, a truncated file: Unavailable; the same content sent again heals it."""
    blobs = FsspecBlobs.open(str(root))
    key = blobs.put(CONTENT)
    flipped = bytearray(CONTENT)
    flipped[777] ^= 1
    for damaged in (bytes(flipped), CONTENT[:-1], b""):
        _path(root, key).write_bytes(damaged)
        with pytest.raises(Unavailable, match="damaged"):
            blobs.get(key)
        assert blobs.put(CONTENT) == key
        assert blobs.get(key) == CONTENT


def test_damage_in_an_object_store_is_seen_too() -> None:
    """By the digest, not by the store's word."""
    blobs = FsspecBlobs.open("memory://bucket/damaged")
    key = blobs.put(CONTENT)
    fsspec.filesystem("memory").pipe_file(f"/bucket/damaged/{key[:2]}/{key}", b"else")
    with pytest.raises(Unavailable, match="damaged"):
        blobs.get(key)


def test_a_key_is_visible_only_with_all_of_its_content(root: Path) -> None:
    """A reader that polls while others write sees nothing or everything."""
    blobs = FsspecBlobs.open(str(root))
    contents = [bytes([number]) * 3_000_000 for number in range(5)]
    writing = threading.Event()
    writing.set()
    seen: set[bytes] = set()

    def watch() -> None:
        while writing.is_set():
            for content in contents:
                if blobs.has(digest_of(content)):
                    seen.add(blobs.get(digest_of(content)))

    watcher = ThreadPoolExecutor(1)
    watched = watcher.submit(watch)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(blobs.put, contents * 2))
    writing.clear()
    watched.result()
    watcher.shutdown()
    assert seen <= set(contents)
    assert sorted(_files(root)) == sorted(map(digest_of, contents))


def test_a_failing_rename_leaves_no_key(root: Path) -> None:
    """The last step before a key exists is the rename: without it there is neither key nor rubbish."""
    blobs = FsspecBlobs.open(str(root))
    blocker = _path(root, digest_of(CONTENT))
    (blocker / "in the way").mkdir(parents=True)
    with pytest.raises(Unavailable, match="cannot be written"):
        blobs.put(CONTENT)
    assert not blobs.has(digest_of(CONTENT))
    assert _files(root) == []
    (blocker / "in the way").rmdir()
    blocker.rmdir()
    assert blobs.get(blobs.put(CONTENT)) == CONTENT


def test_bytes_are_synced_before_the_name_and_the_name_before_the_answer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of the file, rename, fsync of every folder on the way: what survives a power cut in this order."""
    blobs = FsspecBlobs.open(str(root))
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append("sync temp file" if path.is_file() else f"sync {path.relative_to(root)}")
        fsync(descriptor)

    def seen_replace(source: Path, target: Path) -> None:
        assert source.read_bytes() == CONTENT
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    key = blobs.put(CONTENT)
    folder = f"sync {key[:2]}"
    assert calls == ["sync temp file", "rename", folder, "sync ."]
    # Another process may have renamed a moment ago and not have synced yet: a second put does not rely on it.
    calls.clear()
    blobs.put(CONTENT)
    assert calls == [folder]


@pytest.mark.parametrize("link", [False, True])
def test_a_blob_as_a_file(blobs: FsspecBlobs, tmp_path: Path, link: bool) -> None:
    """With its bytes, wherever they lie; what is not there, or damaged, gives none."""
    key = blobs.put(CONTENT)
    blobs.place(key, tmp_path / "copy", link=link)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    with pytest.raises(NotFound):
        blobs.place("f" * 64, tmp_path / "absent", link=link)


@pytest.mark.parametrize("link", [False, True])
def test_a_damaged_blob_is_no_file(root: Path, tmp_path: Path, link: bool) -> None:
    blobs = FsspecBlobs.open(str(root))
    key = blobs.put(CONTENT)
    (root / key[:2] / key).write_bytes(b"other")
    with pytest.raises(Unavailable, match="damaged"):
        blobs.place(key, tmp_path / "copy", link=link)
    assert not (tmp_path / "copy").exists()


def test_a_linked_blob_takes_no_space(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same file; on another disk it is copied."""
    blobs = FsspecBlobs.open(str(root))
    key = blobs.put(CONTENT)
    blobs.place(key, tmp_path / "link", link=True)
    assert (tmp_path / "link").samefile(root / key[:2] / key)
    monkeypatch.setattr(Path, "hardlink_to", raising(OSError(errno.EXDEV, "Invalid cross-device link")))
    blobs.place(key, tmp_path / "far", link=True)
    assert (tmp_path / "far").read_bytes() == CONTENT
    assert not (tmp_path / "far").samefile(root / key[:2] / key)


def test_what_is_staged_has_no_key_before_it_is_kept(blobs: FsspecBlobs) -> None:
    """Then it is like any other; to keep it again changes nothing, and to drop it then neither."""
    staged = blobs.stage(CONTENT)
    assert not blobs.has(digest_of(CONTENT))
    assert staged.keep() == staged.keep() == digest_of(CONTENT)
    staged.drop()
    assert blobs.get(digest_of(CONTENT)) == CONTENT


def test_a_keep_that_failed_can_be_tried_again(blobs: FsspecBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is never given without its content: neither after a failure, nor after a drop."""
    staged = blobs.stage(CONTENT)
    failing = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as full:
        full.setattr(os, "replace", raising(failing))
        full.setattr(MemoryFileSystem, "pipe_file", raising(failing))
        for _ in range(2):
            with pytest.raises(Unavailable, match="No space left"):
                staged.keep()
            assert not blobs.has(digest_of(CONTENT))
    assert blobs.get(staged.keep()) == CONTENT
    other = blobs.stage(b"other")
    other.drop()
    assert blobs.get(other.keep()) == b"other"


def raising(error: Exception) -> Callable[..., None]:
    def call(*_arguments: object, **_named: object) -> None:
        raise error

    return call


def test_what_is_dropped_leaves_nothing(root: Path) -> None:
    """Whatever it was: an image that was none, a caller who hung up."""
    blobs = FsspecBlobs.open(str(root))
    blobs.stage(CONTENT).drop()
    assert _files(root) == []
    key = blobs.put(CONTENT)
    blobs.stage(CONTENT).drop()  # of another request: what is there stays
    assert _files(root) == [key]


def test_what_a_crash_left_staged_is_cleared_away(root: Path) -> None:
    """By the next process that opens the folder, and not what another one is about to keep."""
    blobs = FsspecBlobs.open(str(root))
    blobs.stage(CONTENT)
    (left,) = (root / ".staged").iterdir()
    an_hour_ago = time.time() - 3700
    os.utime(left, (an_hour_ago, an_hour_ago))
    staged = blobs.stage(CONTENT + b"2")
    FsspecBlobs.open(str(root))
    assert blobs.get(staged.keep()) == CONTENT + b"2"
    assert _files(root) == [digest_of(CONTENT + b"2")]


def test_a_folder_that_was_removed_is_made_again(root: Path) -> None:
    """Whoever tidies up below a running service loses what was there, and nothing that comes later."""
    blobs = FsspecBlobs.open(str(root))
    key = blobs.put(CONTENT)
    shutil.rmtree(root / key[:2])
    shutil.rmtree(root / ".staged")
    assert blobs.put(CONTENT) == key
    assert blobs.get(key) == CONTENT


def test_a_folder_of_an_earlier_layout_is_refused_with_the_command_that_mends_it(root: Path) -> None:
    """Rather than found empty: two folders deep is how contents lay before."""
    key = digest_of(CONTENT)
    (root / key[:2] / key[2:4]).mkdir(parents=True)
    (root / key[:2] / key[2:4] / key).write_bytes(CONTENT)
    with pytest.raises(SettingsError) as caught:
        FsspecBlobs.open(str(root))
    command = caught.value.hint.removeprefix("Stop the service, then: ")
    subprocess.run(["bash", "-c", command], check=True)
    assert FsspecBlobs.open(str(root)).get(key) == CONTENT


def test_concurrent_puts_of_one_content_agree(blobs: FsspecBlobs) -> None:
    """The same image from many callers at once is stored once, by whoever comes first."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(blobs.put, [CONTENT] * 16))
    assert keys == {digest_of(CONTENT)}
    assert blobs.get(digest_of(CONTENT)) == CONTENT


@pytest.mark.parametrize("url", ["nosuch://bucket/path", "zip+what://x"])
def test_an_unknown_scheme_is_a_settings_error(url: str) -> None:
    """With what to set or to install."""
    with pytest.raises(SettingsError) as caught:
        FsspecBlobs.open(url)
    assert caught.value.hint


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be made"):
        FsspecBlobs.open(str(tmp_path / "file" / "blobs"))


# --- large ones, and such as may go again ------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n", CONTENT, bytes(2 * 1024 * 1024)])
def test_content_can_be_read_in_pieces(blobs: FsspecBlobs, content: bytes) -> None:
    """The same bytes, never more than a megabyte of them at once."""
    pieces = list(blobs.pieces(blobs.put(content)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1024 * 1024


def test_pieces_of_what_is_missing_are_not_found_before_the_first(blobs: FsspecBlobs) -> None:
    """So that an answer that has begun is never cut for it."""
    for key in (digest_of(b"never put"), "../../../../etc/passwd"):
        with pytest.raises(NotFound):
            blobs.pieces(key)


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_damaged_content_never_ends_as_if_it_were_whole(root: Path, size: int) -> None:
    """Its last piece is Unavailable."""
    blobs = FsspecBlobs.open(str(root))
    content = bytes(size)
    key = blobs.put(content)
    _path(root, key).write_bytes(content[:-1] + b"x")
    seen = 0
    with pytest.raises(Unavailable, match="damaged"):
        for piece in blobs.pieces(key):
            seen += len(piece)
    assert seen < size


def test_what_is_removed_is_gone(blobs: FsspecBlobs) -> None:
    """Removing it again, or what never was, does nothing; the same content may be put again."""
    key = blobs.put(CONTENT)
    for _ in range(2):
        blobs.remove(key)
        assert not blobs.has(key)
    blobs.remove("../../../../etc/passwd")
    assert blobs.get(blobs.put(CONTENT)) == CONTENT


def test_who_is_reading_a_file_goes_on_when_it_is_removed(root: Path) -> None:
    blobs = FsspecBlobs.open(str(root))
    content = bytes(range(256)) * 20_000
    pieces = blobs.pieces(blobs.put(content))
    first = next(pieces)
    blobs.remove(digest_of(content))
    assert first + b"".join(pieces) == content
