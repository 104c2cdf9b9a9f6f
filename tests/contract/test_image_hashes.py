"""Perceptual hashes of images: kept by the store, made once for each item with a truth."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from loop.cycle import image_hashes
from loop.cycle.image_hashes import ImageHashes
from loop.domain.errors import BadImage, NotFound, Overloaded, Unavailable
from loop.store.database import SqlStore
from tests.contract.conftest import Databases
from tests.contract.records import PROJECT, a_project, a_truth, an_item, digest, later

LABELLED, UNLABELLED = range(6), 6
SMALLEST, LARGEST = -(2**63), 2**63 - 1


@pytest.fixture
def store(databases: Databases) -> Iterator[SqlStore]:
    with databases() as url:
        store = SqlStore.open(url)
        with store.begin() as tx:
            tx.projects.add(a_project())
            for number in (*LABELLED, UNLABELLED):
                tx.items.add(an_item(number))
            for number in LABELLED:
                tx.truths.add(a_truth(item=number))
        yield store
        store.close()


def digests(numbers: Iterable[int]) -> list[str]:
    return sorted(digest(number) for number in numbers)


def missing(store: SqlStore, *, after: str = "", limit: int = 100) -> list[str]:
    with store.read() as tx:
        return list(tx.image_hashes.missing(PROJECT, after=after, limit=limit))


def hashed(store: SqlStore) -> list[tuple[str, int]]:
    with store.read() as tx:
        return list(tx.image_hashes.all(PROJECT))


def test_a_hash_is_missing_where_there_is_a_truth_and_none_was_kept(store: SqlStore) -> None:
    """Each item once, however many versions its truth has, by ascending digest; nothing of another project."""
    with store.begin() as tx:
        tx.projects.add(a_project("other"))
        tx.items.add(an_item(9, project_id="other"))
        tx.truths.add(a_truth(item=9, project_id="other"))
        tx.truths.add(a_truth(2, item=0))
        tx.image_hashes.add(PROJECT, {digest(1): 5, digest(2): None})
    left = digests((0, 3, 4, 5))
    assert missing(store) == left
    assert missing(store, limit=2) == left[:2] and missing(store, after=left[1]) == left[2:]


def test_hashes_are_kept_as_they_are_and_the_first_stays(store: SqlStore) -> None:
    """Of all 64 bits; an image that cannot be decoded is not told."""
    with store.begin() as tx:
        tx.image_hashes.add(PROJECT, {digest(0): SMALLEST, digest(1): LARGEST, digest(2): None, digest(3): 0})
        tx.image_hashes.add(PROJECT, {digest(0): 1, digest(4): -1})
        tx.image_hashes.add(PROJECT, {})
    assert hashed(store) == sorted({digest(0): SMALLEST, digest(1): LARGEST, digest(3): 0, digest(4): -1}.items())


def test_of_a_dropped_image_nothing_is_left(store: SqlStore) -> None:
    """What it looks like goes with it, and is not asked for again."""
    with store.begin() as tx:
        tx.image_hashes.add(PROJECT, {digest(0): 7})
        for number in (0, 1):
            assert tx.items.drop(PROJECT, digest(number), by="ada", at=later(1))
    assert hashed(store) == [] and missing(store) == digests((2, 3, 4, 5))


@dataclass
class Images:
    """Stand in for the blobs: those of `gone` cannot be read, `lost` ones are not there, `damaged` ones cannot be
    decoded."""

    gone: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    decoded: list[str] = field(default_factory=list)

    def get(self, key: str) -> bytes:
        if key in self.gone:
            raise Unavailable("the disk is away.", hint="wait")
        if key in self.lost:
            raise NotFound("there is no such blob.", hint="Send it again.")
        return key.encode()

    def hash_of(self, content: bytes) -> int:
        self.decoded.append(content.decode())
        if content.decode() in self.damaged:
            raise BadImage("it cannot be decoded.", hint="Send another.")
        return -int(content[:8], 16)


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
def hashes(store: SqlStore, images: Images) -> ImageHashes:
    return ImageHashes(store, images, images.hash_of, bits=3)  # type: ignore[arg-type]


def test_each_image_is_decoded_once(hashes: ImageHashes, images: Images) -> None:
    """Those without a truth never; what the background has made is there at the snapshot."""
    hashes.make_missing(lambda: False)
    found = hashes.of(PROJECT)
    assert sorted(images.decoded) == digests(LABELLED)
    assert [name.decode() for name in found.names] == digests(LABELLED) and found.bits == 3
    assert found.values.tolist() == [-int(name[:8], 16) % 2**64 for name in digests(LABELLED)]
    assert found.values.dtype == np.uint64


def test_an_image_that_cannot_be_read_is_tried_again_and_one_that_cannot_be_decoded_is_not(
    hashes: ImageHashes, images: Images
) -> None:
    """Neither keeps the others from being compared."""
    images.gone, images.damaged = {digest(0)}, {digest(1)}
    assert len(hashes.of(PROJECT).names) == 4
    images.gone, images.decoded = set(), []
    assert len(hashes.of(PROJECT).names) == 5
    assert images.decoded == [digest(0)]


def test_a_snapshot_waits_for_many_and_what_is_done_stays_done(
    hashes: ImageHashes, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches of two at a time; between them a cycle can be cancelled."""
    monkeypatch.setattr(image_hashes, "_AT_ONCE", 2)
    monkeypatch.setattr(image_hashes, "_BATCHES", 2)
    with pytest.raises(Overloaded):
        hashes.of(PROJECT)
    assert len(images.decoded) == 4
    assert len(hashes.of(PROJECT).names) == 6 and len(images.decoded) == 6


def test_where_no_image_can_be_read_nobody_waits_for_all(
    hashes: ImageHashes, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_hashes, "_AT_ONCE", 3)
    images.gone = set(digests(LABELLED))
    with pytest.raises(Unavailable, match="no image"):
        hashes.of(PROJECT)


def test_images_that_are_lost_keep_no_others_from_being_compared(
    hashes: ImageHashes, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are."""
    monkeypatch.setattr(image_hashes, "_AT_ONCE", 2)
    images.lost = set(digests(LABELLED)[:4])
    assert [name.decode() for name in hashes.of(PROJECT).names] == digests(LABELLED)[4:]


def test_a_project_whose_images_cannot_be_read_keeps_no_other_waiting(
    store: SqlStore, hashes: ImageHashes, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_hashes, "_AT_ONCE", 2)
    with store.begin() as tx:
        tx.projects.add(a_project("a-first"))
        tx.items.add_all([an_item(number, project_id="a-first") for number in (90, 91)])
        for number in (90, 91):
            tx.truths.add(a_truth(item=number, project_id="a-first"))
    images.gone = {digest(90), digest(91)}
    hashes.make_missing(lambda: False)
    assert sorted(images.decoded) == digests(LABELLED)


def test_who_ends_the_service_does_not_wait_for_all(
    hashes: ImageHashes, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_hashes, "_AT_ONCE", 2)
    hashes.make_missing(lambda: len(images.decoded) >= 2)
    assert len(images.decoded) == 2


def test_an_image_that_is_dropped_while_it_is_hashed_leaves_nothing(images: Images, store: SqlStore) -> None:
    def dropped_meanwhile(content: bytes) -> int:
        if content.decode() == digest(2):
            with store.begin() as tx:
                tx.items.drop(PROJECT, digest(2), by="ada", at=later(1))
        return 1

    ImageHashes(store, images, dropped_meanwhile, bits=3).make_missing(lambda: False)  # type: ignore[arg-type]
    assert [of for of, _ in hashed(store)] == digests((0, 1, 3, 4, 5))
