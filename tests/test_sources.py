"""What a source names, and who may have it read."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from loop.domain.errors import (
    AskanceError,
    BadDataset,
    BadImage,
    Invalid,
    PayloadTooLarge,
    SettingsError,
    SourceNotAllowed,
)
from loop.domain.items.annotation import SourceEntry
from loop.exchange.sources import FsspecSources, read_bytes
from loop.settings import load_settings

NOBODY = FsspecSources(())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in three folders, with what is none between them; the path without links."""
    root = Path(os.path.realpath(tmp_path)) / "in"
    for name in ("b.jpg", "a.PNG", "sub/c.webp", "sub/deep/d.jpeg", "notes.md", ".hidden.jpg", ".git/e.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


@pytest.fixture
def memory():
    """An object store with three images under memory://in, and one beside."""
    store = fsspec.filesystem("memory")
    for name in ("/in/b.jpg", "/in/sub/a.png", "/in/readme.txt", "/in/x/c.webp", "/inside/d.jpg"):
        store.pipe(name, name.encode())
    yield "memory://in"
    store.store.clear()


def listed(source: object, sources: FsspecSources = NOBODY, *, any_folder: bool = True) -> list[SourceEntry]:
    return sources.list(str(source), any_folder=any_folder)


def refused(kind: type[AskanceError], source: object, *words: str, sources: FsspecSources = NOBODY, **rights) -> None:
    with pytest.raises(kind) as caught:
        listed(source, sources, **rights)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.hint


# --- folders and stores ------------------------------------------------------------------------------


def test_a_folder_is_searched_to_the_bottom(folder):
    """By suffix, whatever its case, in the order of the names, without what is hidden."""
    found = listed(folder)
    assert [Path(one.url).relative_to(folder).as_posix() for one in found] == [
        "a.PNG", "b.jpg", "sub/c.webp", "sub/deep/d.jpeg",
    ]  # fmt: skip
    assert [one.position for one in found] == [0, 1, 2, 3]


def test_one_image_is_a_source_too(folder):
    """A path that is a file and no manifest."""
    assert [one.url for one in listed(folder / "b.jpg")] == [str(folder / "b.jpg")]
    assert [one.url for one in listed(f"file://{folder}/b.jpg")] == [str(folder / "b.jpg")]


def test_a_prefix_of_a_store_is_searched(memory):
    """The same for a URL; a prefix ends at a slash."""
    sources = FsspecSources(("memory://in/",))
    found = listed(memory, sources, any_folder=False)
    assert [one.url for one in found] == ["memory://in/b.jpg", "memory://in/sub/a.png", "memory://in/x/c.webp"]
    assert read_bytes(found[0].url, max_bytes=100) == b"/in/b.jpg"


def test_what_cannot_be_listed_says_so(folder, tmp_path):
    """Missing, without an image, relative, with an unknown scheme, chained."""
    (tmp_path / "empty").mkdir()
    refused(BadDataset, tmp_path / "nope", "there is no", "nope")
    refused(BadDataset, tmp_path / "empty", "names no image", ".webp")
    refused(Invalid, "in/here", "not absolute")
    refused(BadDataset, "nosuch://x/y", "cannot be read", sources=FsspecSources(("nosuch://x/",)))
    refused(Invalid, f"simplecache::file://{folder}", "Chained")
    refused(Invalid, "s3://user:secret@bucket/x", "password", sources=FsspecSources(("s3://",)))


# --- manifests ---------------------------------------------------------------------------------------

MANIFESTS = {
    "list.txt": "# day 1\nb.jpg\n\nsub/c.webp\n",
    "list.jsonl": '{"url": "b.jpg", "source": "cam", "group": "g1"}\n\n{"url": "sub/c.webp"}\n',
    "list.csv": '\ufeffsource,url,group\ncam,b.jpg,g1\n"",sub/c.webp,\n',
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_names_images_in_its_order(folder, name):
    """Relative to itself, with source and group where the form has them; the same image counts once."""
    (folder / name).write_text(MANIFESTS[name], encoding="utf-8")
    with (folder / name).open("a", encoding="utf-8") as file:
        again = {".txt": str(folder / "sub/../b.jpg"), ".jsonl": '{"url": "./b.jpg"}', ".csv": "cam,./b.jpg,g1"}
        file.write(again[Path(name).suffix] + "\n")
    extra = ("", "") if name.endswith(".txt") else ("cam", "g1")
    assert listed(folder / name) == [
        SourceEntry(0, str(folder / "b.jpg"), *extra),
        SourceEntry(1, str(folder / "sub/c.webp")),
    ]


def test_a_manifest_may_lie_in_a_store(memory):
    """Its relative names lie beside it."""
    fsspec.filesystem("memory").pipe("/in/list.txt", b"sub/a.png\nmemory://in/b.jpg\n")
    found = listed("memory://in/list.txt", FsspecSources(("memory://in",)), any_folder=False)
    assert [one.url for one in found] == ["memory://in/sub/a.png", "memory://in/b.jpg"]


@pytest.mark.parametrize(
    ("name", "text", "line", "problem"),
    [
        ("a.jsonl", '{"url": "b.jpg"}\nb.jpg\n', 2, "not JSON"),
        ("a.jsonl", '{"url": "b.jpg"}\n["b.jpg"]\n', 2, "no object"),
        ("a.jsonl", '\n\n{"uri": "b.jpg"}\n', 3, "'uri'"),
        ("a.jsonl", '{"source": "x"}\n', 1, "no url"),
        ("a.jsonl", '{"url": "b.jpg", "group": 7}\n', 1, "no text"),
        ("a.csv", "path,source\nb.jpg,x\n", 1, "column url"),
        ("a.csv", "url,group\nb.jpg,x\n,y\n", 3, "no url"),
        ("a.csv", "url\nb.jpg,x\n", 2, "unknown field"),
        ("a.csv", "", 1, "column url"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(folder, name, text, line, problem):
    """By its number, and with what is wrong; nothing of the manifest is read then."""
    (folder / name).write_text(text)
    refused(BadDataset, folder / name, f"line {line} of {name}", problem)


def test_bytes_that_are_no_text_are_named_by_line(folder):
    """A manifest in another encoding."""
    (folder / "a.txt").write_bytes(b"b.jpg\n\xff\xfe\n")
    refused(BadDataset, folder / "a.txt", "line 2 of a.txt", "UTF-8")


# --- who may read what ---------------------------------------------------------------------------------


def test_without_settings_only_operators_read_and_only_folders(folder):
    """Nobody else reads a folder, and nobody a URL."""
    assert listed(folder)
    refused(SourceNotAllowed, folder, "annotation.allowed_sources", any_folder=False)
    for url in ("s3://bucket/x", "http://127.0.0.1/x.jpg", "https://example.org/x.jpg", "memory://in"):
        refused(SourceNotAllowed, url, url)


def test_allowed_sources_hold_for_everybody(folder, memory):
    """At and below each folder and prefix, and nowhere beside."""
    sources = FsspecSources((f"{folder}/sub/", "memory://in"))
    assert len(listed(folder / "sub", sources, any_folder=False)) == 2
    assert len(listed(memory, sources, any_folder=False)) == 3
    refused(SourceNotAllowed, folder, sources=sources, any_folder=False)
    refused(SourceNotAllowed, "memory://inside", sources=sources)
    (folder / "subway").mkdir()
    refused(SourceNotAllowed, folder / "subway", sources=sources, any_folder=False)


@pytest.mark.parametrize("url", ["memory://in/../inside", "memory://in/%2e%2e/inside", "memory://in/x\\..\\..\\inside"])
def test_a_url_may_not_climb(url, memory):
    """However the dots are written."""
    refused(Invalid, url, "climbs", sources=FsspecSources((memory,)))


def test_a_link_does_not_lead_out(folder, tmp_path):
    """Links are resolved first: for a folder, for what lies in it, and for what a manifest names."""
    sources = FsspecSources((str(folder / "sub"),))
    (folder / "sub" / "out.jpg").symlink_to(folder / "b.jpg")
    refused(SourceNotAllowed, folder / "sub", "b.jpg", sources=sources, any_folder=False)
    (folder / "sub" / "out.jpg").unlink()
    (folder / "sub" / "list.txt").write_text("c.webp\n../b.jpg\n")
    refused(
        SourceNotAllowed, folder / "sub" / "list.txt", "line 2 of list.txt", "b.jpg", sources=sources, any_folder=False
    )
    (folder / "sub" / "up").symlink_to(folder)
    refused(SourceNotAllowed, folder / "sub" / "up", sources=sources, any_folder=False)


def test_a_link_put_there_after_listing_is_not_followed(folder):
    """Between listing and reading a file may be exchanged."""
    (entry,) = listed(folder / "b.jpg")
    (folder / "b.jpg").unlink()
    (folder / "b.jpg").symlink_to(folder / "notes.md")
    with pytest.raises(BadImage, match="link"):
        read_bytes(entry.url, max_bytes=100)


# --- reading -----------------------------------------------------------------------------------------


def test_an_image_that_cannot_be_read_is_named(folder, memory):
    """Missing ones and too large ones, on disk and in a store."""
    for url in (str(folder / "gone.jpg"), "memory://in/gone.jpg"):
        with pytest.raises(BadImage, match=r"gone\.jpg"):
            read_bytes(url, max_bytes=100)
    for url in (str(folder / "b.jpg"), "memory://in/b.jpg"):
        with pytest.raises(PayloadTooLarge, match="larger than 4 bytes"):
            read_bytes(url, max_bytes=4)


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """A web server: /in/a.jpg is there, /in/away.jpg redirects to /secret.jpg, /in/ links to images here and elsewhere.
    Gives its URL and the paths that were asked for."""
    asked: list[str] = []
    pages = {
        "/in/a.jpg": b"image a",
        "/secret.jpg": b"secret",
        "/in/": b'<a href="a.jpg">a</a> <a href="/secret.jpg">s</a> <a href="http://127.0.0.1:9/in/x.jpg">x</a>',
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/in/away.jpg":
                self.send_response(302)
                self.send_header("Location", "/secret.jpg")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_the_web_is_read_where_it_is_allowed_and_nowhere_it_leads(web, tmp_path):
    """Not without the setting; with it neither redirects nor links lead out of the prefix."""
    url, asked = web
    refused(SourceNotAllowed, f"{url}/in/")
    assert asked == []
    sources = FsspecSources((f"{url}/in/",))
    assert [one.url for one in listed(f"{url}/in/", sources)] == [f"{url}/in/a.jpg"]
    assert read_bytes(f"{url}/in/a.jpg", max_bytes=100) == b"image a"
    with suppress(BadImage):
        assert b"secret" not in read_bytes(f"{url}/in/away.jpg", max_bytes=100)
    assert "/secret.jpg" not in asked


def test_allowed_sources_are_one_comma_separated_setting():
    """As YAML and variables hold it; relative folders and chained URLs are refused by the loader."""
    key = "ASKANCE_ANNOTATION__ALLOWED_SOURCES"
    assert load_settings(environ={}).annotation.allowed_sources == ()
    loaded = load_settings(environ={key: "/data/in, s3://bucket/cam/,"})
    assert loaded.annotation.allowed_sources == ("/data/in", "s3://bucket/cam/")
    for wrong in ("data/in", "/data,in", "simplecache::s3://x"):
        with pytest.raises(SettingsError, match=r"annotation\.allowed_sources"):
            load_settings(environ={key: wrong})
