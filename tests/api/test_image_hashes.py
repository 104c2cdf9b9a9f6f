"""Hashes of images as the service wires them: copies that no model has seen are near each other."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from loop.demo.scenes import Pool, day_scenes
from loop.domain.truth import GroundTruth
from tests.api.conftest import Service
from training.snapshot_leaks import near


def test_a_copy_that_no_model_has_seen_is_near_its_image(service: Service) -> None:
    """An image, the same encoded again at half its size, and another; none was predicted. By the settings' bits."""
    first, other = (scene.image for scene in day_scenes(1, 2, Pool.STREAM))
    half = np.asarray(Image.fromarray(first).reduce(2))
    digests = []
    for pixels, kind in ((first, "PNG"), (half, "JPEG"), (other, "PNG")):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, kind)
        answer = service.call("POST", "/v1/projects/shapes/items", content=content.getvalue())
        digests.append(answer.json()["digest"])
    services = service.services
    truth = GroundTruth(
        project_id="shapes", item_digest="", version=1, shapes=(), submission_ids=(), origin="import",
        created_at=services.clock(),
    )  # fmt: skip
    with services.store.begin() as tx:
        tx.truths.add_all([replace(truth, item_digest=digest) for digest in digests])
    assert services.image_hashes is not None and services.controller.image_hashes is not None
    services.image_hashes.make_missing(lambda: False)
    found = services.controller.image_hashes("shapes")
    values = dict(zip((name.decode() for name in found.names), found.values, strict=True))
    one, copy, another = (np.array([values[digest]]) for digest in digests)
    assert near(copy, one, found.bits).all() and not near(another, one, found.bits).any()
