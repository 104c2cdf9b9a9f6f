"""What a bulk annotation found, as files that other tools read: COCO, YOLO, Label Studio.

Boxes are those of the predictions (at or above the policy's score_threshold), in no way truth. Each image stands
once, by its content, even where several of the job's paths hold it; its first path is kept beside it where the
format has room. YOLO's label files have no room for scores.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

import yaml

from loop.domain.errors import BadDataset, Conflict, Invalid
from loop.domain.item import Item
from loop.domain.items.annotation import AnnotationJob, AnnotationResult
from loop.domain.ports import Blobs, Store, Transaction
from loop.domain.prediction import Prediction
from loop.domain.project import Recipe
from loop.exchange.coco import as_json, coco_box
from loop.exchange.exporter import new_folder, require_free
from loop.exchange.label_studio import label_config, task
from loop.exchange.writing import SUFFIXES
from loop.exchange.yolo import yolo_row

if TYPE_CHECKING:
    from rich.text import Text

_PAGE = 500
_LOOKERS = 16


class PredictionFormat(StrEnum):
    COCO = "coco"
    YOLO = "yolo"
    LABEL_STUDIO = "label-studio"


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """url: where the job found it."""

    item: Item
    prediction: Prediction
    url: str

    @property
    def file_name(self) -> str:
        return self.item.digest + SUFFIXES[self.item.media_type]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionReport:
    """missing: images without a file, since the policy did not retain their bytes."""

    job_id: str
    folder: Path
    images: int
    boxes: int
    missing: int

    def lines(self) -> list[str]:
        """For a person."""
        lines = [f"exported {self.job_id} to {self.folder}: {self.images} images, {self.boxes} predicted boxes"]
        if self.missing:
            lines.append(f"{self.missing} image files are not there: the project's policy does not keep them")
        return lines

    def __rich__(self) -> "Text":
        from rich.text import Text

        return Text("\n".join(self.lines()))


def export_predictions(
    store: Store,
    blobs: Blobs,
    *,
    project_id: str,
    job_id: str,
    format: PredictionFormat | str,  # noqa: A002 - the word that people use
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PredictionReport:
    """Write the predictions of a finished job with their images to `folder`, which appears complete or not at all.

    Raises NotFound, Invalid for an unknown format, Conflict for an unfinished job or a folder that is not empty,
    BadDataset where there is nothing to export, Unavailable where it cannot be written.
    """
    require_free(folder)
    with new_folder(folder) as partial:

        def keep(place: str, digest: str) -> None:
            (partial / place).parent.mkdir(parents=True, exist_ok=True)
            (partial / place).write_bytes(blobs.get(digest))

        report = write_predictions(
            store, project_id=project_id, job_id=job_id, format=format, folder=partial, there=blobs.has, keep=keep,
            on_progress=on_progress,
        )  # fmt: skip
    return replace(report, folder=folder)


def write_predictions(
    store: Store,
    *,
    project_id: str,
    job_id: str,
    format: PredictionFormat | str,  # noqa: A002
    folder: Path,
    there: Callable[[str], bool],
    keep: Callable[[str, str], None],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PredictionReport:
    """All files but the images, into an empty folder, without images that the project has dropped. there: whether the
    bytes of a digest are there, asked of several at a time; keep: is told where each that is there belongs, and its
    digest. Raises as `export_predictions`, but for the folder."""
    kind = _known_format(format)
    with store.read() as tx:
        recipe = tx.projects.get(project_id).recipe
        job = tx.annotations.get(project_id, job_id)
    _require_results(job)
    images = boxes = missing = 0
    with _WRITERS[kind](folder, recipe) as writer:
        on_progress(0, job.done)
        for image, is_there in _looked_for(_predicted(store, job), there):
            if is_there:
                keep(f"{writer.images}/{image.file_name}", image.item.digest)
            # In the recipe's names; what it has no label for any more is left out.
            shown = replace(image.prediction, detections=recipe.proposed(image.prediction.detections))
            writer.add(replace(image, prediction=shown))
            images, boxes, missing = images + 1, boxes + len(shown.detections), missing + (not is_there)
            on_progress(images, job.done)
        on_progress(job.done, job.done)
    return PredictionReport(job_id=job_id, folder=folder, images=images, boxes=boxes, missing=missing)


def _known_format(name: str) -> PredictionFormat:
    try:
        return PredictionFormat(name)
    except ValueError:
        known = ", ".join(PredictionFormat)
        raise Invalid(f"{name!r} is no format for predictions.", hint=f"Use one of: {known}.") from None


def _require_results(job: AnnotationJob) -> None:
    if not job.state.finished:
        raise Conflict(
            f"annotation {job.id} is {job.state}.", hint="Wait until it has ended.", annotation=job.id, state=job.state
        )
    if not job.done:
        raise BadDataset(f"annotation {job.id} predicted no image.", hint="Start another.", annotation=job.id)


def _predicted(store: Store, job: AnnotationJob) -> Iterator[list[PredictedImage]]:
    """Each image once, in the order of the listing, a page at a time; none that was dropped."""
    with store.read() as tx:
        seen = set(tx.items.dropped(job.project_id))
    after = -1
    while True:
        with store.read() as tx:
            page = tx.annotations.results(job.id, after=after, limit=_PAGE)
            new: dict[str, AnnotationResult] = {}
            for one in page:
                if one.prediction_id and one.item_digest not in seen:
                    new.setdefault(str(one.item_digest), one)
            items = tx.items.of(job.project_id, list(new))
            found = [_image(tx, job, items[digest], one) for digest, one in new.items()]
        yield found
        seen.update(new)
        if len(page) < _PAGE:
            return
        after = page[-1].position


def _looked_for(
    pages: Iterator[list[PredictedImage]], there: Callable[[str], bool]
) -> Iterator[tuple[PredictedImage, bool]]:
    """Each with whether its bytes are there; a store far away is asked for several at a time."""
    with ThreadPoolExecutor(_LOOKERS) as lookers:
        for page in pages:
            yield from zip(page, lookers.map(there, [image.item.digest for image in page]), strict=True)


def _image(tx: Transaction, job: AnnotationJob, item: Item, result: AnnotationResult) -> PredictedImage:
    return PredictedImage(item, tx.predictions.get(job.project_id, str(result.prediction_id)), result.url)


# --- formats ---------------------------------------------------------------------------------------


class _Writer(Protocol):
    """Ends its files when its block ends without an error."""

    images: str  # the images' folder

    def __enter__(self) -> "_Writer": ...
    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...
    def add(self, image: PredictedImage) -> None: ...


class _Coco:
    """images/ and annotations/predictions.json, in which annotations carry a score and images their `source`."""

    images = "images"

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._categories = {label: number for number, label in enumerate(recipe.label_names, start=1)}
        self._path = folder / "annotations" / "predictions.json"
        # Annotations come after all images in the file, and with them in time.
        self._waiting = folder / "annotations" / "predictions.waiting"
        self._images = self._annotations = 0

    def __enter__(self) -> "_Coco":
        self._path.parent.mkdir()
        self._file = self._path.open("w", encoding="utf-8", newline="\n")
        self._found = self._waiting.open("w", encoding="utf-8", newline="\n")
        categories = [{"id": number, "name": label} for label, number in self._categories.items()]
        info = as_json({"description": "Predictions of Askance"})
        self._file.write(f'{{"info": {info}, "categories": {as_json(categories)}, "images": [')
        return self

    def add(self, image: PredictedImage) -> None:
        self._images += 1
        number = self._images
        facts = {"id": number, "file_name": image.file_name, "width": image.item.width, "height": image.item.height}
        self._file.write((", " if number > 1 else "") + as_json(facts | {"source": image.url}))
        for detection in image.prediction.detections:
            self._annotations += 1
            record = {
                "id": self._annotations,
                "image_id": number,
                "category_id": self._categories[detection.label],
                "iscrowd": 0,
                "score": detection.score,
                **coco_box(detection.box),
            }
            self._found.write((", " if self._annotations > 1 else "") + as_json(record))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            self._found.close()
            if kind is None:
                self._file.write('], "annotations": [')
                with self._waiting.open(encoding="utf-8", newline="") as found:
                    shutil.copyfileobj(found, self._file)
                self._file.write("]}")
        self._waiting.unlink()


class _Yolo:
    """data.yaml, images/train and labels/train; images/val is there and empty, since ultralytics asks for it."""

    images = "images/train"

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._labels = recipe.label_names
        self._rows = folder / "labels" / "train"
        for place in ("images/train", "images/val", "labels/train", "labels/val"):
            (folder / place).mkdir(parents=True)
        described = {"train": "images/train", "val": "images/val", "names": dict(enumerate(self._labels))}
        text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
        (folder / "data.yaml").write_text(f"# Predictions of Askance\n{text}", encoding="utf-8")

    def __enter__(self) -> "_Yolo":
        return self

    def add(self, image: PredictedImage) -> None:
        rows = [
            yolo_row(self._labels.index(one.label), one.box, image.item.width, image.item.height)
            for one in image.prediction.detections
        ]
        (self._rows / f"{image.item.digest}.txt").write_text("".join(rows), encoding="utf-8")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        return


class _LabelStudio:
    """tasks.json, label_config.xml and images/."""

    images = "images"

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        config = label_config([(label.name, label.color) for label in recipe.labels])
        (folder / "label_config.xml").write_text(config, encoding="utf-8")
        self._path = folder / "tasks.json"
        self._file: TextIO | None = None

    def __enter__(self) -> "_LabelStudio":
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def add(self, image: PredictedImage) -> None:
        body = task(
            image.prediction.detections,
            file=f"{self.images}/{image.file_name}",
            width=image.item.width,
            height=image.item.height,
            model=image.prediction.model_id,
            score=1.0 - image.prediction.decision.risk,
            data={"source": image.url, "prediction_id": image.prediction.id},
        )
        assert self._file is not None  # noqa: S101 - opened on entry
        self._file.write("[\n" if self._file.tell() == 0 else ",\n")
        self._file.write(json.dumps(body, ensure_ascii=False, allow_nan=False))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._file is not None  # noqa: S101 - opened on entry
        with self._file:
            self._file.write("\n]\n")


_WRITERS: dict[PredictionFormat, Callable[[Path, Recipe], _Writer]] = {
    PredictionFormat.COCO: _Coco,
    PredictionFormat.YOLO: _Yolo,
    PredictionFormat.LABEL_STUDIO: _LabelStudio,
}
