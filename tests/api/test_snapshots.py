"""Snapshots over HTTP, and as a data set."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from loop.cli import app
from loop.domain.cycle import CycleState
from loop.domain.errors import BadDataset, Conflict, Invalid, NotFound
from loop.exchange.exporter import export_snapshot
from loop.exchange.reading import Layout
from loop.exchange.sending import sent_snapshot
from serving.client import ApiError
from tests.api.conftest import Service, client_within
from tests.api.test_label_errors import RIGHT, World
from training.snapshot import Snapshot, freeze
from training.snapshot_json import document_of

PATH = "/v1/projects/shapes/snapshots"
LABELS = ("circle", "square", "bar")


@pytest.fixture
def world(service: Service) -> World:
    made = World(service)
    for _ in range(4):
        made.item([RIGHT])
    return made


def present(world: World) -> Snapshot:
    with world.store.read() as tx:
        return freeze(tx.truths.all_current("shapes"), labels=LABELS, val_share=0.0)


def cycle_with(world: World, key: str | None) -> str:
    """A cycle that has ended, with this snapshot; gives its id."""
    controller = world.service.services.controller
    cycle = replace(controller.request("shapes", "ada", "try", {}), snapshot_digest=key, state=CycleState.REFUSED)
    with world.store.begin() as tx:
        tx.cycles.save(cycle)
    return cycle.id


def kept(world: World) -> str:
    """The id of the present snapshot, which a cycle has."""
    key = present(world).keep(world.service.services.blobs.put)
    cycle_with(world, key)
    return key


def test_the_snapshots_of_cycles_are_listed(service: Service, world: World) -> None:
    """Newest first; a cycle that failed before it had one is left out, and the page goes on after it."""
    key = present(world).keep(service.services.blobs.put)
    first, _, last = (cycle_with(world, one) for one in (key, None, key))
    page = service.call("GET", PATH).json()
    assert [(row["cycle_id"], row["digest"]) for row in page["snapshots"]] == [(last, key), (first, key)]
    half = service.call("GET", PATH, params={"limit": 2}).json()
    assert [row["cycle_id"] for row in half["snapshots"]] == [last]
    rest = service.call("GET", PATH, params={"limit": 2, "after": half["next"]}).json()
    assert ([row["cycle_id"] for row in rest["snapshots"]], rest["next"]) == ([first], None)


def test_a_list_tells_what_is_in_each_where_asked(service: Service, world: World) -> None:
    """One that cannot be read any more hides no other."""
    blobs = service.services.blobs
    good = present(world).keep(blobs.put)
    for key in (good, blobs.put(b"no snapshot"), "f" * 64):
        cycle_with(world, key)
    plain = service.call("GET", PATH).json()["snapshots"]
    assert {(row["images"], row["boxes"], row["labels"]) for row in plain} == {(None, None, None)}
    *unread, row = service.call("GET", PATH, params={"counts": True}).json()["snapshots"]
    assert (row["digest"], row["boxes"], row["labels"]) == (good, 4, 3)
    assert row["images"] == {"train": 4, "val": 0, "golden": 0}
    assert [one["images"] for one in unread] == [None, None]


@pytest.mark.parametrize("first_format", [False, True])
def test_a_snapshot_tells_what_is_in_it(service: Service, world: World, first_format: bool) -> None:
    """Also one that was kept as one JSON document."""
    snapshot = present(world)
    put = service.services.blobs.put
    key = put(document_of(LABELS, 0.0, list(snapshot.entries))) if first_format else snapshot.keep(put)
    cycle = cycle_with(world, key)
    found = service.call("GET", f"{PATH}/{key}").json()
    assert (found["digest"], found["content"], found["cycles"]) == (key, snapshot.content, [cycle])
    assert found["counts"]["train"] == {"images": 4, "boxes": {"circle": 4, "square": 0, "bar": 0}}
    assert found["labels"] == list(LABELS) and list(found["counts"]) == ["train", "val", "golden"]


def test_a_diff_tells_what_changed(service: Service, world: World) -> None:
    """From the one that is named first to the other; the lists are cut, the counts are not."""
    before = kept(world)
    new = sorted([world.item([RIGHT, RIGHT]), world.item([])])
    with world.store.begin() as tx:
        item, truth = next(tx.truths.all_current("shapes"))
        changed = item.digest if item.digest not in new else None
        if changed is not None:
            tx.truths.add(replace(truth, version=2, shapes=()))
    after = kept(world)
    found = service.call("GET", f"{PATH}/{before}/diff/{after}").json()
    assert (found["equal"], found["added"], found["removed"], found["moved"]) == (False, new, [], [])
    assert found["changed"] == ([] if changed is None else [{"item": changed, "before": 1, "after": 2}])
    assert found["images"]["train"] == {"before": 4, "after": 6}
    assert found["shapes"]["circle"] == {"before": 4, "after": 6 - len(found["changed"])}
    cut = service.call("GET", f"{PATH}/{after}/diff/{before}", params={"limit": 1}).json()
    assert (cut["removed_count"], cut["removed"]) == (2, new[:1])
    assert service.call("GET", f"{PATH}/{after}/diff/{after}").json()["equal"] is True


def test_only_a_projects_own_snapshots_are_shown(service: Service, world: World) -> None:
    """A blob that is no snapshot of a cycle of it, another project's and nonsense are not found."""
    elsewhere = present(world).keep(service.services.blobs.put)
    for digest in (elsewhere, "f" * 64, "x"):
        for path in (f"{PATH}/{digest}", f"{PATH}/{digest}/diff/{digest}"):
            answer = service.call("GET", path)
            assert answer.status_code == 404, answer.text
            assert answer.json()["hint"]


def test_an_old_snapshot_is_exported_without_what_was_dropped(service: Service, world: World, tmp_path) -> None:
    """As it was, though its truth has changed since; images that were dropped are left out, and counted."""
    services = service.services
    for number in range(1, world.made + 1):
        services.blobs.put(str(number).encode())
    key = kept(world)
    gone = world.item([RIGHT])
    with world.store.begin() as tx:
        (item, truth), (dropped, _), *_ = [one for one in tx.truths.all_current("shapes") if one[0].digest != gone]
        tx.truths.add(replace(truth, version=2, shapes=()))
        assert tx.items.drop("shapes", dropped.digest, by="redact", at=services.clock())
    services.blobs.remove(dropped.digest)
    snapshot = services.snapshots.read("shapes", key)
    for link in (False, True):
        folder = tmp_path / f"out-{link}"
        report = export_snapshot(
            services.store, services.blobs, snapshot, project_id="shapes", format="coco", folder=folder, link=link
        )
        assert (report.snapshot, report.images, report.boxes, report.dropped) == (key, 3, 3, 1)
        assert any("1 images that were dropped" in line for line in report.lines())
        body = json.loads((folder / "annotations" / "instances_train.json").read_text())
        assert body["info"]["description"] == f"Askance snapshot {key}"
        names = {image["file_name"] for image in body["images"]}
        assert names == {path.name for path in (folder / "images").iterdir()}
        assert f"{item.digest}.png" in names and f"{dropped.digest}.png" not in names
        links = {path.stat().st_nlink for path in (folder / "images").iterdir()}
        assert links == ({2} if link else {1})


def test_what_cannot_be_exported_of_a_snapshot(service: Service, world: World, tmp_path) -> None:
    """Askance's own form, which needs a recipe; and a snapshot of which no image is left."""
    services = service.services
    snapshot = present(world)
    given = {"project_id": "shapes", "folder": tmp_path / "out"}
    with pytest.raises(Invalid):
        export_snapshot(services.store, services.blobs, snapshot, format="askance", **given)
    with world.store.begin() as tx:
        for entry in snapshot.entries:
            assert tx.items.drop("shapes", entry.digest, by="redact", at=services.clock())
    with pytest.raises(BadDataset):
        export_snapshot(services.store, services.blobs, snapshot, format="yolo", **given)
    assert not (tmp_path / "out").exists()


def archived(service: Service, key: str, role: str = "operator", **asked: object):
    return service.call("GET", f"{PATH}/{key}/archive", role, params=asked)


def waiting(service: Service) -> list[str]:
    return [path.name for path in service.services.settings.data_dir.glob("export-*")]


@pytest.fixture
def stored(service: Service, world: World) -> str:
    """The id of a snapshot whose images are there."""
    for number in range(1, world.made + 1):
        service.services.blobs.put(str(number).encode())
    return kept(world)


@pytest.mark.parametrize("layout", ["coco", "yolo", "yolo-segment", "voc"])
def test_a_snapshot_is_sent_as_an_archive(service: Service, world: World, stored: str, layout: str, tmp_path) -> None:
    """The same files as of `askance snapshot export`, each once, with a report; nothing waits on the disk after it."""
    services = service.services
    answer = archived(service, stored, format=layout)
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="shapes-{stored[:12]}-{layout}.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        sent = {name: archive.read(name) for name in archive.namelist()}
        assert len(sent) == len(archive.namelist())
    report = json.loads(sent.pop("askance-export.txt"))
    assert (report["snapshot"], report["images"], report["format"]) == (stored, 4, layout)
    export_snapshot(
        services.store, services.blobs, services.snapshots.read("shapes", stored), project_id="shapes", format=layout,
        folder=tmp_path / "out",
    )  # fmt: skip
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sent == {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in files}
    assert waiting(service) == []


def test_a_snapshot_is_sent_as_it_was_without_what_was_dropped(service: Service, world: World, stored: str) -> None:
    with world.store.begin() as tx:
        (_, truth), (dropped, _), *_ = list(tx.truths.all_current("shapes"))
        tx.truths.add(replace(truth, version=2, shapes=()))
        assert tx.items.drop("shapes", dropped.digest, by="redact", at=service.services.clock())
    with zipfile.ZipFile(io.BytesIO(archived(service, stored, images=False).content)) as archive:
        assert sorted(archive.namelist()) == ["annotations/instances_train.json", "askance-export.txt"]
        body = json.loads(archive.read("annotations/instances_train.json"))
        report = json.loads(archive.read("askance-export.txt"))
    assert (len(body["images"]), len(body["annotations"]), report["dropped"]) == (3, 3, 1)


def test_who_may_have_an_archive_of_what(service: Service, world: World, stored: str) -> None:
    """Operators, of a project's own snapshots, in formats that need no recipe; refusals leave nothing on the disk."""
    assert archived(service, stored, "reviewer").status_code == 403
    assert archived(service, "f" * 64).status_code == 404
    refused = archived(service, stored, format="cvat")
    assert refused.status_code == 422 and "no recipe" in refused.json()["detail"]
    assert archived(service, stored, format="no").status_code == 422
    assert waiting(service) == []


def test_an_archive_that_is_cut_short_is_none(service: Service, world: World, stored: str) -> None:
    """An image that is gone ends it in the middle: what came is taken by nobody for a data set."""
    services = service.services
    services.blobs.remove(services.snapshots.read("shapes", stored).entries[2].digest)
    came = bytearray()
    sent = sent_snapshot(
        services.store, services.blobs, services.snapshots.read("shapes", stored), project_id="shapes",
        layout=Layout.COCO, within=services.settings.data_dir,
    )  # fmt: skip
    with pytest.raises(NotFound):
        for piece in sent.pieces():
            came += piece
    assert came and not zipfile.is_zipfile(io.BytesIO(came))
    assert waiting(service) == []


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["snapshot", "export", *arguments, "-p", "shapes", "--url", "http://far"])


def test_the_command_fetches_a_snapshot_from_a_service(
    service: Service, stored: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a new folder or a new .zip; what is there is never overwritten, and what is refused leaves nothing."""
    monkeypatch.setattr("loop.cli.snapshots.client_of", lambda *_: client_within(service))
    told = run(stored, str(tmp_path / "made" / "set"), "-f", "yolo")
    assert told.exception is None, told.output
    assert ": 4 images (" in told.output and "4 boxes" in told.output
    assert len(list((tmp_path / "made" / "set" / "images" / "train").iterdir())) == 4
    assert not (tmp_path / "made" / "set" / "askance-export.txt").exists()  # as it is made on the service's machine
    assert run(stored, str(tmp_path / "set.zip"), "-f", "coco").exception is None
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert "annotations/instances_train.json" in archive.namelist()
    for name in ("made/set", "set.zip"):
        assert isinstance(run(stored, str(tmp_path / name), "-f", "coco").exception, Conflict)
    assert isinstance(run("f" * 64, str(tmp_path / "none"), "-f", "coco").exception, ApiError)
    assert run(stored, str(tmp_path / "none"), "-f", "coco", "--link").exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.name in ("made", "none", "set.zip")) == [
        "made", "set.zip",
    ]  # fmt: skip
    assert not list(tmp_path.glob(".askance-*"))
