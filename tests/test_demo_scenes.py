"""What the demonstration's scenes, its scoring and its scripted reviewer promise."""

import io
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from loop.demo.dataset import write_dataset
from loop.demo.reviewer import ScriptedReviewer
from loop.demo.scenes import (
    DAY,
    KNOWN,
    LABELS,
    SIZE,
    Conditions,
    Pool,
    Scene,
    compose,
    day_scenes,
    drifted,
    drifting_scenes,
    ground,
    strokes,
)
from loop.demo.score import score_routing
from loop.domain.geometry import iou_matrix
from loop.domain.truth import Shape, checked_shapes
from serving.api.schemas.review import LeaseOut, TaskOut
from serving.api.schemas.shapes import ShapeIO

# --- scenes ------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes() -> None:
    """A scene is a function of its seed alone, down to the bytes of its JPEG."""
    first = [scene.jpeg() for scene in drifting_scenes(5, 6, Pool.STREAM)]
    again = [scene.jpeg() for scene in drifting_scenes(5, 6, Pool.STREAM)]
    other = [scene.jpeg() for scene in drifting_scenes(6, 6, Pool.STREAM)]
    assert first == again
    assert not set(first) & set(other)


def test_pools_share_no_stroke_and_lose_none() -> None:
    """Each of the 1,797 pen strokes lies in exactly one pool, so nothing is evaluated on what was trained on."""
    parts = [{(label, stroke.tobytes()) for label in LABELS for stroke in strokes(pool)[label]} for pool in Pool]
    assert sum(len(strokes(pool)[label]) for pool in Pool for label in LABELS) == 1797
    for index, part in enumerate(parts):
        for other in parts[index + 1 :]:
            assert not part & other


@pytest.mark.parametrize("pool", list(Pool))
def test_every_pool_has_every_digit(pool: Pool) -> None:
    """No pool is so small that scenes of one digit repeat a handful of strokes."""
    assert all(len(strokes(pool)[label]) >= 15 for label in LABELS)


def test_truth_can_be_submitted_as_it_is() -> None:
    """Every box lies inside its scene, has a known label, and touches no other box."""
    for scene in drifting_scenes(1, 40, Pool.STREAM):
        height, width = scene.image.shape[:2]
        assert checked_shapes(scene.shapes, labels=LABELS, width=width, height=height) == scene.shapes
        boxes = np.array([shape.box for shape in scene.shapes])
        assert not np.triu(iou_matrix(boxes, boxes), k=1).any()
        assert 1 <= len(scene.shapes) <= 4


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_tight_around_the_ink(seed: int) -> None:
    """A scene differs from its bare ground only inside the boxes, and there up to each edge."""
    bare = ground(np.random.default_rng(seed), SIZE) * 255.0
    scene = compose(np.random.default_rng(seed), conditions=Conditions(grain=0.0), pool=Pool.SEED)
    change = np.abs(scene.image - bare).max(axis=2)
    for shape in scene.shapes:
        x1, y1, x2, y2 = (int(value) for value in shape.box)
        patch = change[y1:y2, x1:x2]
        assert min(edge.max() for edge in (patch[0], patch[-1], patch[:, 0], patch[:, -1])) > 3.0
        patch[...] = 0.0
    assert change.max() <= 1.0


def test_by_day_only_known_digits_appear() -> None:
    """The seed detector's world: daylight, digits that it was taught."""
    labels = {shape.label for scene in day_scenes(2, 60, Pool.SEED) for shape in scene.shapes}
    assert labels == set(KNOWN)


def test_no_drift_means_day() -> None:
    """A stream that has not drifted yet has the conditions of day."""
    rng = np.random.default_rng(0)
    assert all(drifted(rng, 0.0) == DAY for _ in range(50))


def test_drift_comes_gradually() -> None:
    """From quarter to quarter of a drifting stream there are more night scenes, rough scenes and new digits."""
    rng = np.random.default_rng(0)
    quarters = [[drifted(rng, progress) for _ in range(2000)] for progress in (0.125, 0.375, 0.625, 0.875)]
    for trait in (lambda c: c.night > 0.0, lambda c: c.blur > 0.0, lambda c: c.fresh > 0):
        shares = [np.mean([trait(conditions) for conditions in quarter]) for quarter in quarters]
        assert shares == sorted(shares)
        assert shares[0] < 0.15 < shares[-1] < 0.75


def test_new_digits_come_only_with_drift() -> None:
    """A scene that is to show new digits shows at least one; others show none."""
    rng = np.random.default_rng(4)
    fresh = [compose(rng, conditions=Conditions(digits=LABELS, fresh=1), pool=Pool.STREAM) for _ in range(20)]
    assert all(any(shape.label not in KNOWN for shape in scene.shapes) for scene in fresh)


def test_night_is_darker_than_day() -> None:
    """The same scene at night has less than half the light."""
    day = compose(np.random.default_rng(9), conditions=DAY, pool=Pool.STREAM)
    night = compose(np.random.default_rng(9), conditions=Conditions(night=1.0), pool=Pool.STREAM)
    assert night.image.mean() < 0.5 * day.image.mean()
    assert night.shapes == day.shapes


def test_a_written_data_set_holds_the_same_truth(tmp_path: Path) -> None:
    """images/, labels/ and data.yaml together give back every image and every box."""
    scenes = list(drifting_scenes(1, 5, Pool.HELD_OUT))
    assert write_dataset(tmp_path, scenes, "golden") == 5
    write_dataset(tmp_path, day_scenes(1, 2, Pool.SEED), "train")
    described = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert described["names"] == dict(enumerate(LABELS))
    assert {described["golden"], described["train"]} == {"images/golden", "images/train"}
    for index, scene in enumerate(scenes):
        content = (tmp_path / "images" / "golden" / f"golden-{index:05d}.jpg").read_bytes()
        assert content == scene.jpeg()
        assert _read_labels(tmp_path / "labels" / "golden" / f"golden-{index:05d}.txt", scene) == [
            (shape.label, pytest.approx(shape.box, abs=0.01)) for shape in scene.shapes
        ]


def _read_labels(path: Path, scene: Scene) -> list[tuple[str, tuple[float, ...]]]:
    height, width = scene.image.shape[:2]
    rows = [line.split() for line in path.read_text().splitlines()]
    found = []
    for label, *numbers in rows:
        cx, cy, w, h = (float(number) for number in numbers)
        box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
        found.append((LABELS[int(label)], box))
    return found


def test_a_scene_travels_as_jpeg() -> None:
    """The bytes decode to the scene's size and nearly its pixels."""
    scene = next(day_scenes(1, 1, Pool.SEED))
    decoded = np.asarray(Image.open(io.BytesIO(scene.jpeg())))
    assert decoded.shape == scene.image.shape
    assert np.abs(decoded.astype(int) - scene.image).mean() < 4.0


# --- scoring -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "failing", "routed", "caught", "by_random", "by_perfect"),
    [
        ("all caught, no one bothered in vain", "xx..", "rr..", 1.0, 0.5, 1.0),
        ("half caught", "xx..", "r.r.", 0.5, 0.5, 1.0),
        ("too few people even for a perfect ranking", "xxxx", "r...", 0.25, 0.25, 0.25),
        ("more people than failures", "x...", "rr..", 1.0, 0.5, 1.0),
        ("nobody looks", "x...", "....", 0.0, 0.0, 0.0),
        ("nothing to catch", "....", "r...", 1.0, 1.0, 1.0),
    ],
)
def test_routing_is_scored_against_chance_and_perfection(
    name: str, failing: str, routed: str, caught: float, by_random: float, by_perfect: float
) -> None:
    """Caught is a share of the truly failing; chance catches the share routed; perfection min(1, routed / failing)."""
    score = score_routing([c == "x" for c in failing], [c == "r" for c in routed])
    assert (score.caught, score.by_random, score.by_perfect) == (caught, by_random, by_perfect), name


def test_gain_is_the_place_between_chance_and_perfection() -> None:
    """0 is a random draw, 1 a perfect ranking of the same size, None where those are the same."""
    failing = [True] * 4 + [False] * 6
    routed = [True] * 3 + [False] * 6 + [True]
    score = score_routing(failing, routed)
    assert score.gain == pytest.approx((0.75 - 0.4) / (1.0 - 0.4))
    assert score_routing([True, True], [True, True]).gain is None


def test_scoring_wants_a_route_for_each_prediction() -> None:
    """Sequences of different length, or none at all, are a mistake of the caller."""
    with pytest.raises(ValueError, match="got 2 and 1"):
        score_routing([True, False], [True])
    with pytest.raises(ValueError, match="got 0 and 0"):
        score_routing([], [])


# --- the scripted reviewer ---------------------------------------------------------------------------


class MemoryDesk:
    """A queue of tasks in memory with the calls of the review API."""

    def __init__(self, digests: Sequence[str]) -> None:
        self.queue = [_task(index, digest) for index, digest in enumerate(digests)]
        self.answers: dict[str, list[ShapeIO]] = {}
        self.released: list[str] = []

    def lease(self, project: str, count: int = 1) -> LeaseOut:
        taken, self.queue = self.queue[:count], self.queue[count:]
        return LeaseOut(tasks=taken, open=len(self.queue), why="")

    def submit(self, task_id: str, epoch: int, shapes: Sequence[ShapeIO], note: str = "") -> None:
        self.answers[task_id] = list(shapes)

    def release(self, task_id: str, epoch: int) -> None:
        self.released.append(task_id)


def _task(index: int, digest: str) -> TaskOut:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return TaskOut(
        id=f"task-{index}",
        project_id="demo",
        item_digest=digest,
        width=SIZE,
        height=SIZE,
        image_url="",
        file="",
        epoch=1,
        expires_at=now,
        lease_seconds=60,
        reason="",
        detections=[],
        recipe_version=1,
        stage="review",
        answers=[],
        returned=None,
        merged=None,
        frames=None,
        tracks=None,
        draft=None,
        created_at=now,
    )


def test_the_reviewer_answers_with_the_truth_until_the_queue_is_empty() -> None:
    """Asked to finish, it still answers what is there, more than one lease of it."""
    truths = {f"digest-{i}": (Shape("3", (1.0, 2.0, 3.0, float(4 + i))),) for i in range(12)}
    desk = MemoryDesk(list(truths))
    reviewer = ScriptedReviewer(desk, "demo", truths)
    finish = threading.Event()
    finish.set()
    reviewer.work(finish)
    assert reviewer.answered == 12
    assert desk.answers["task-7"] == [ShapeIO(label="3", box=[1.0, 2.0, 3.0, 11.0])]


def test_the_reviewer_leaves_to_people_what_it_knows_nothing_of() -> None:
    """An item that is not of the stream goes back to the queue, unanswered."""
    desk = MemoryDesk(["somebody's own image", "scene"])
    reviewer = ScriptedReviewer(desk, "demo", {"scene": ()})
    assert reviewer.answer_batch() == 1
    assert desk.released == ["task-0"]
    assert desk.answers == {"task-1": []}
