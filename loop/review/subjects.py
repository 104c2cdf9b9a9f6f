"""What a task is about: one image, or the frames of a clip. What an answer says of each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from loop.domain.errors import BadShape, Conflict, UnknownLabel
from loop.domain.item import Item
from loop.domain.items.clips import ClipWork, FrameView, positions_of
from loop.domain.items.tracks import Placed, expanded, key_shapes
from loop.domain.ports import Transaction
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import MOST_FINDINGS, Issue, Scene
from loop.domain.review.tasks import Task
from loop.domain.truth import GroundTruth, Shape


@dataclass(frozen=True, slots=True)
class View:
    """One image with what an answer has in it. frame: its index, in a clip. sources: of each shape of the scene its
    number in the answer as it was sent; () where these are the same."""

    scene: Scene
    frame: int | None = None
    sources: tuple[int, ...] = ()

    def told(self, issues: Sequence[Issue]) -> Iterator[Issue]:
        """Issues of this image in terms of the whole answer."""
        if self.frame is None:
            yield from issues
            return
        for issue in issues:
            yield replace(issue, frame=self.frame, shapes=tuple(map(self._named, issue.shapes)))

    def _named(self, shape: str) -> str:
        number = shape[1:]
        known = shape.startswith("#") and number.isdecimal() and int(number) < len(self.sources)
        return f"#{self.sources[int(number)]}" if known else shape


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer that can be kept. kept: its shapes, clipped to their images. views: every image of the subject."""

    kept: tuple[Shape, ...]
    views: tuple[View, ...]

    def issues(self, recipe: Recipe) -> tuple[Issue, ...]:
        """What is wrong by the recipe's rules; of a clip at most MOST_FINDINGS of each rule."""
        found: dict[str, list[Issue]] = {}
        for view in self.views:
            scene = view.scene
            for issue in view.told(recipe.issues(scene.shapes, scene.width, scene.height)):
                of_rule = found.setdefault(issue.rule, [])
                if len(of_rule) < MOST_FINDINGS:
                    of_rule.append(issue)
        return tuple(issue for issues in found.values() for issue in issues)


@dataclass(frozen=True, slots=True)
class OneImage:
    item: Item

    def judged(self, recipe: Recipe, shapes: Sequence[Shape]) -> Judged:
        """Raises UnknownLabel or BadShape for what cannot be kept."""
        for index, shape in enumerate(shapes):
            if shape.frame is not None or shape.outside or not shape.keyframe:
                raise BadShape(
                    f"shape {index} speaks of frames, and this task is of one image.",
                    hint="Leave frame, keyframe and outside out.",
                    shape=index,
                )
        kept = recipe.checked(shapes, self.item.width, self.item.height)
        return Judged(kept, (View(Scene(kept, self.item.width, self.item.height)),))


@dataclass(frozen=True, slots=True)
class Clip:
    """frames: of the task, by index."""

    frames: tuple[FrameView, ...]

    @property
    def positions(self) -> Mapping[int, float]:
        return positions_of([one.frame for one in self.frames])

    def judged(self, recipe: Recipe, shapes: Sequence[Shape]) -> Judged:
        """As that of an image, for every frame."""
        placed = expanded(shapes, self.positions)
        views: list[View] = []
        kept: dict[int, Shape] = {}
        for view in self.frames:
            item, index = view.item, view.frame.index
            of_frame = placed[index]
            present = _checked(recipe, of_frame, item, index)
            scene = Scene(tuple(replace(shape, frame=None) for shape in present), item.width, item.height)
            views.append(View(scene, index, tuple(one.source for one in of_frame)))
            kept |= {one.source: shape for one, shape in zip(of_frame, present, strict=True) if shape.keyframe}
        kept |= self._outside(recipe, shapes)
        return Judged(tuple(kept[index] for index in sorted(kept)), tuple(views))

    def _outside(self, recipe: Recipe, shapes: Sequence[Shape]) -> Mapping[int, Shape]:
        """Key frames in which the object is not to be seen: their places still bend the way there."""
        items = {view.frame.index: view.item for view in self.frames}
        return {
            index: _checked(recipe, [Placed(replace(shape, links=()), index)], items[shape.frame], shape.frame)[0]
            for index, shape in enumerate(shapes)
            if shape.outside and shape.keyframe and shape.frame is not None
        }

    def truths(self, tx: Transaction, truth: GroundTruth) -> list[GroundTruth]:
        """Of each frame, always in one order, so that of two answers one waits for the other and neither for both.
        truth: of the whole answer, whose shapes are key frames in the words of the newest recipe."""
        placed = expanded(key_shapes(truth.shapes), self.positions)
        versions = tx.truths.versions(truth.project_id, [view.item.digest for view in self.frames])
        return [
            replace(
                truth,
                item_digest=view.item.digest,
                version=versions.get(view.item.digest, 0) + 1,
                shapes=_of_image(placed[view.frame.index]),
            )
            for view in sorted(self.frames, key=lambda view: view.item.digest)
        ]


def _of_image(placed: Sequence[Placed]) -> tuple[Shape, ...]:
    """As the truth of an image, without links to what a change of the recipe took away."""
    ids = {one.shape.id for one in placed if one.shape.id}
    return tuple(
        replace(one.shape, frame=None, links=tuple(link for link in one.shape.links if link.to in ids))
        for one in placed
    )


def _checked(recipe: Recipe, placed: Sequence[Placed], item: Item, frame: int) -> tuple[Shape, ...]:
    """Raises UnknownLabel or BadShape, naming the frame, and the shape by its number in the answer."""
    try:
        return recipe.checked([one.shape for one in placed], item.width, item.height)
    except (UnknownLabel, BadShape) as error:
        ids, detail = {**error.ids, "frame": frame}, error.detail
        if isinstance(number := error.ids.get("shape"), int):
            ids["shape"] = placed[number].source
            detail = detail.replace(f"shape {number} ", f"shape {placed[number].source} ", 1)
        raise type(error)(f"in frame {frame}, {detail}", hint=error.hint, **ids) from error


def item_of(tx: Transaction, task: Task) -> Item:
    """Read along with the prediction, where the task is of one: whoever needs the one needs the other."""
    if task.prediction_id is None:
        return tx.items.get(task.project_id, task.item_digest)
    return tx.predictions.item(task.project_id, task.prediction_id)


def subject_of(tx: Transaction, task: Task) -> OneImage | Clip:
    work = work_of(tx, task)
    if work is None:
        return OneImage(item_of(tx, task))
    return Clip(frames_of(tx, work))


def work_of(tx: Transaction, task: Task) -> ClipWork | None:
    """The frames that a task is of; None where it is of one image. What has a prediction is not asked for."""
    return tx.groups.work(task.work_id) if task.prediction_id is None else None


def frames_of(tx: Transaction, work: ClipWork) -> tuple[FrameView, ...]:
    rows = tx.groups.frames(work.project_id, work.group_id, first=work.first, limit=work.count)
    return tuple(FrameView(frame, item) for frame, item in rows)


def proposed_frames(tx: Transaction, task: Task, recipe: Recipe, *, hidden: bool) -> tuple[FrameView, ...] | None:
    """The frames of a task with what the newest prediction of each says, in the words of a recipe, unless that is
    hidden; None where the task is of one image."""
    work = work_of(tx, task)
    if work is None:
        return None
    views = frames_of(tx, work)
    if hidden:
        return tuple(views)
    found = tx.predictions.latest_detections(work.project_id, [view.item.digest for view in views])
    return tuple(replace(view, detections=recipe.proposed(found.get(view.item.digest, ()))) for view in views)


def add_truth(tx: Transaction, task: Task, truth: GroundTruth) -> None:
    """The truth of the image that a task is of, or of every frame. Raises Conflict."""
    work = work_of(tx, task)
    if work is None:
        tx.truths.add(truth)
        return
    try:
        tx.truths.add_all(Clip(frames_of(tx, work)).truths(tx, truth))
    except Conflict as error:
        raise Conflict(
            "a frame of this clip got another truth at this moment.",
            hint="Send the answer again.",
            task=task.id,
        ) from error
