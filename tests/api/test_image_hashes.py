"""Hashes of images as the service wires them: copies that no model has seen are near each other."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loop.cycle.image_hashes import ImageHashes
from loop.demo.scenes import Pool, day_scenes
from loop.domain.identity import digest_of
from loop.domain.truth import GroundTruth
from serving import background
from serving.background import Worker
from tests.api.conftest import Service, picture
from tests.api.test_rehearsals import Stage, stage  # noqa: F401
from tests.test_dispatching import until
from training.snapshot_leaks import near


def added(service: Service, content: bytes) -> str:
    """The digest of an item that nobody has predicted."""
    return str(service.call("POST", "/v1/projects/shapes/items", content=content).json()["digest"])


def with_truth(service: Service, *digests: str) -> None:
    truth = GroundTruth(
        project_id="shapes", item_digest="", version=1, shapes=(), submission_ids=(), origin="import",
        created_at=service.services.clock(),
    )  # fmt: skip
    with service.services.store.begin() as tx:
        tx.truths.add_all([replace(truth, item_digest=digest) for digest in digests])


def test_a_copy_that_no_model_has_seen_is_near_its_image(service: Service) -> None:
    """An image, the same encoded again at half its size, and another; none was predicted. By the settings' bits."""
    first, other = (scene.image for scene in day_scenes(1, 2, Pool.STREAM))
    half = np.asarray(Image.fromarray(first).reduce(2))
    digests = []
    for pixels, kind in ((first, "PNG"), (half, "JPEG"), (other, "PNG")):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, kind)
        digests.append(added(service, content.getvalue()))
    services = service.services
    with_truth(service, *digests)
    assert services.image_hashes is not None and services.controller.image_hashes is not None
    services.image_hashes.make_missing(lambda: False)
    found = services.controller.image_hashes("shapes")
    values = dict(zip((name.decode() for name in found.names), found.values, strict=True))
    one, copy, another = (np.array([values[digest]]) for digest in digests)
    assert near(copy, one, found.bits).all() and not near(another, one, found.bits).any()


@dataclass
class Watched:
    """What the service hashes with: how often a loop began to, and what was decoded for it, by digest."""

    hashes: ImageHashes
    begun: int = 0
    decoded: Counter[str] = field(default_factory=Counter)

    def make_missing(self, stopping: Callable[[], bool]) -> None:
        self.begun += 1
        replace(self.hashes, hash_of=self._hash_of).make_missing(stopping)

    def _hash_of(self, content: bytes) -> int:
        self.decoded[digest_of(content)] += 1
        return self.hashes.hash_of(content)

    def looked_again(self) -> None:
        """A look that began after now has ended."""
        now = self.begun
        until(lambda: self.begun > now + 1)


@contextmanager
def at_work(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """The loops beside the service, in which ten minutes are a moment."""
    services = service.services
    assert services.image_hashes is not None
    watched = Watched(services.image_hashes)
    monkeypatch.setattr(background, "_TIDY_SECONDS", 0.02)
    worker = Worker(services.settings, replace(services, image_hashes=watched))  # type: ignore[arg-type]
    worker.start()
    try:
        yield watched
    finally:
        worker.stop()


def hashed(service: Service) -> set[str]:
    with service.services.store.read() as tx:
        return {digest for digest, _ in tx.image_hashes.all("shapes")}


def test_images_with_a_truth_are_hashed_beside_the_service_each_once(
    service: Service,
    stage: Stage,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that have one already, and those that get one later; never one without."""
    first, later, without = (added(service, picture(seed)) for seed in range(3))
    with_truth(service, first)
    with at_work(service, monkeypatch) as watched:
        until(lambda: hashed(service) == {first})
        with_truth(service, later)
        until(lambda: hashed(service) == {first, later})
        watched.looked_again()
    assert watched.decoded == {first: 1, later: 1} and without not in hashed(service)


def test_damaged_images_keep_no_others_from_being_hashed(
    service: Service,
    stage: Stage,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is no image is decoded once and never again; one whose file was cut off is not decoded, and hashed when
    the file is whole again."""
    cut, *whole = (added(service, picture(seed)) for seed in range(4))
    services = service.services
    content = b"what once was an image"
    services.blobs.put(content)
    with services.store.begin() as tx:
        tx.items.add(replace(tx.items.get("shapes", cut), digest=digest_of(content)))
    with_truth(service, cut, digest_of(content), *whole)
    (file,) = Path(services.settings.blobs_url).rglob(cut)
    bytes_of_it = file.read_bytes()
    file.write_bytes(bytes_of_it[:100])
    with at_work(service, monkeypatch) as watched:
        until(lambda: hashed(service) == set(whole))
        watched.looked_again()
        assert watched.decoded == dict.fromkeys((digest_of(content), *whole), 1)
        file.write_bytes(bytes_of_it)
        until(lambda: hashed(service) == {cut, *whole})
        watched.looked_again()
    assert watched.decoded == dict.fromkeys((cut, digest_of(content), *whole), 1)
