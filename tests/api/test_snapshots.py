"""Snapshots over HTTP, and as a data set."""

import json
from dataclasses import replace

import pytest

from loop.domain.cycle import CycleState
from loop.domain.errors import BadDataset, Invalid
from loop.exchange.exporter import export_snapshot
from tests.api.conftest import Service
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
