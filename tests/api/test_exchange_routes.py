"""Data sets over HTTP: a ZIP in, a ZIP out, and what neither could hold."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loop.cli import app
from loop.domain.errors import Conflict
from loop.domain.truth import Geometry
from loop.exchange.reading import Layout
from tests.api.conftest import client_within, picture
from tests.api.test_predictions import problem

PATH = "/v1/projects/shapes"


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def coco(*labels: str, images: bool = True) -> bytes:
    """One image with a box of each label."""
    body = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(labels)],
        "annotations": [{"image_id": 1, "category_id": n, "bbox": [1, 1, 20, 20]} for n in range(len(labels))],
    }
    files = {"set/annotations/instances_val.json": json.dumps(body).encode()}
    return zipped(files | ({"set/images/a.png": picture(1)} if images else {}))


def send(service, content: bytes, role: str = "operator", **asked):
    return service.call("POST", f"{PATH}/imports", role, content=content, params=asked)


def left(service) -> list[str]:
    folder = service.services.settings.data_dir
    return [path.name for path in folder.iterdir() if path.name.startswith(("import-", "export-", "dataset-"))]


def test_a_data_set_comes_and_goes(service):
    """What was sent is there with its truth and its split, the same again changes nothing, and an export has it all."""
    answer = send(service, coco("circle", "nobody")).json()
    assert (answer["format"], answer["imported"], answer["boxes"], answer["created"]) == ("coco", 1, 1, False)
    assert answer["skipped_counts"] == {"box": 1}
    assert "the label 'nobody' is not in the project's recipe" in answer["skipped"][0]["why"]
    assert send(service, coco("circle", "nobody"), format="coco").json()["unchanged"] == 1
    # Without its image: the project has it, by the path that it came with.
    assert send(service, coco("circle", images=False)).json()["unchanged"] == 1
    preview = service.call("GET", f"{PATH}/exports/cvat").json()
    assert (preview["images"], preview["boxes"], preview["splits"]["val"], preview["left_out"]) == (1, 1, 1, {})
    exported = service.call("POST", f"{PATH}/exports/cvat")
    assert exported.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(exported.content))
    assert json.loads(archive.read("askance-export.txt")) == preview
    assert b'label="circle"' in archive.read("annotations.xml")
    assert [archive.read(name) for name in archive.namelist() if name.endswith(".png")] == [picture(1)]
    assert send(service, exported.content).json()["unchanged"] == 1
    assert left(service) == []


def test_what_a_format_cannot_hold_is_told_before(service):
    """Counted by kind, in the preview as in the export."""
    send(service, coco("circle"))
    with service.services.store.begin() as tx:
        ((_, truth),) = tx.truths.all_current("shapes")
        shape = replace(truth.shapes[0], id="a", group="g", attributes={"side": "left"})
        tx.truths.add(replace(truth, version=2, shapes=(shape,)))
    told = service.call("GET", f"{PATH}/exports/yolo").json()["left_out"]
    assert told == {"attributes": 1, "groups and tracks": 1}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "bad-dataset"),
        (b"no zip", "bad-dataset"),
        (zipped({"readme.md": b"hello"}), "bad-dataset"),
        (zipped({"../evil": b"x"}), "bad-dataset"),
        (coco("nobody"), "bad-dataset"),
    ],
)
def test_rubbish_is_refused_with_what_to_do(service, content, code):
    """And nothing stays on the disk."""
    answer = send(service, content)
    problem(answer, 422, code)
    assert answer.json()["hint"]
    assert left(service) == []


def test_an_import_can_be_strict(service):
    problem(send(service, coco("circle", "nobody"), strict=True), 422, "bad-dataset")
    assert service.call("GET", f"{PATH}/items").json()["items"] == []


def test_archives_have_limits(service):
    """By what arrives, and by what comes out of them."""
    limits = service.services.settings.limits
    object.__setattr__(limits, "max_unpacked_bytes", 1000)
    problem(send(service, coco("circle")), 413, "too-large")
    object.__setattr__(limits, "max_archive_bytes", 100)
    problem(send(service, coco("circle")), 413, "too-large")
    assert left(service) == []


def test_who_may(service):
    """Operators alone; the formats are for everybody with a token."""
    for role in ("reviewer", "producer"):
        problem(send(service, coco("circle"), role), 403, "forbidden")
        problem(service.call("POST", f"{PATH}/exports/coco", role), 403, "forbidden")
    problem(service.call("POST", "/v1/projects/nowhere/imports", content=coco("circle")), 404, "not-found")
    formats = service.call("GET", "/v1/formats", "reviewer").json()["formats"]
    assert [one["name"] for one in formats] == list(Layout)
    yolo = next(one for one in formats if one["name"] == "yolo")
    assert yolo["shapes"] == [Geometry.BOX, Geometry.POLYGON]
    assert yolo["does_not_hold"] == [
        "points", "polylines", "outlines of polygons", "attributes", "links", "groups", "tracks", "clips",
    ]  # fmt: skip


def exported(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["export", *arguments, "-p", "shapes"], env={"COLUMNS": "300"})


def files_in(folder: Path) -> dict[str, bytes]:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("layout", list(Layout))
def test_the_command_fetches_from_a_service_what_it_writes_here(service, tmp_path, monkeypatch, layout):
    """The same files, and the same words of them; as a .zip too. What is there is never overwritten."""
    send(service, coco("circle"))
    monkeypatch.setattr("loop.cli.data.client_of", lambda *_: client_within(service))
    monkeypatch.setenv("ASKANCE_DATA_DIR", str(service.services.settings.data_dir))
    here = exported(str(tmp_path / "here"), "-f", layout)
    far = exported(str(tmp_path / "made" / "far"), "-f", layout, "--url", "http://far")
    assert (here.exception, far.exception) == (None, None), here.output + far.output
    assert files_in(tmp_path / "made" / "far") == files_in(tmp_path / "here") != {}
    assert here.output.split("exported")[1].replace(str(tmp_path / "here"), "DIR") == far.output.split("exported")[
        1
    ].replace(str(tmp_path / "made" / "far"), "DIR")
    assert exported(str(tmp_path / "set.zip"), "-f", layout, "--no-images", "--url", "http://far").exception is None
    assert not [name for name in zipfile.ZipFile(tmp_path / "set.zip").namelist() if name.endswith(".png")]
    for name in ("set.zip", "here"):
        assert isinstance(exported(str(tmp_path / name), "-f", layout, "--url", "http://far").exception, Conflict)


def test_what_is_cut_short_on_the_way_leaves_nothing(service, tmp_path, monkeypatch):
    """An image that is gone ends it in the middle; nor is a refusal written to a file. How far it is is told."""
    send(service, coco("circle"))
    client = client_within(service)
    monkeypatch.setattr("loop.cli.data.client_of", lambda *_: client)
    heard: list[int] = []
    sent = client.save_dataset("shapes", tmp_path / "set.zip", format="coco", on_bytes=heard.append)
    assert heard and heard == sorted(heard) and heard[-1] == sent.stat().st_size
    sent.unlink()
    ((item, _),) = _all(service)
    service.services.blobs.remove(item.digest)
    for project in ("shapes", "nope"):
        broken = CliRunner().invoke(
            app, ["export", str(tmp_path / "out"), "-f", "coco", "-p", project, "--url", "http://far"]
        )
        assert broken.exception is not None
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".askance-*"))


def _all(service):
    with service.services.store.read() as tx:
        return list(tx.truths.all_current("shapes"))
