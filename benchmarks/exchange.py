"""Import and export: annotations a second from COCO's JSON into a database, and out again, beside other loaders.

    python -m benchmarks.exchange            some minutes
    QUICK=1 python -m benchmarks.exchange    a short look, 2,000 images

annotations   a COCO file whose images the project has: parsed, checked, and written as ground truth; into SQLite and
              into PostgreSQL
again         the same once more: compared, and nothing written
images        a COCO data set with its image files (PNG of 64 x 48 pixels): read, hashed, inspected, stored
read          the reader alone, beside pycocotools, supervision and datumaro, which check nothing and write nothing
out           the export of the annotations in each format, without image files

Each image has seven boxes, as COCO has; the peak of memory is that of this process, with each loader in a process of
its own. Peers are installed into environments of their own (benchmarks/serving_peers/environments.py).
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_least, publish, reading, seconds_of
from benchmarks.serving_peers.environments import EXCHANGE
from loop.domain.item import ImageFacts, Item
from loop.exchange.exporter import export_dataset
from loop.exchange.formats import FORMATS
from loop.exchange.importer import ImportReport, import_dataset
from loop.settings import load_settings
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.wiring import projects_of
from serving.images import inspect_image
from tests.postgres import postgres_cluster

IMAGES = 2_000 if QUICK else 100_000
WITH_FILES = 500 if QUICK else 10_000
BOXES = 7
WIDTH, HEIGHT = 640, 480
LABELS = tuple(f"label {number}" for number in range(80))
BAR = 20_000.0  # annotations a second, end to end
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def coco_file(path: Path, images: int, *, digests: bool, size: tuple[int, int] = (WIDTH, HEIGHT)) -> int:
    """A COCO file as its authors' are: with segmentations of about twenty corners; how many annotations it has."""
    rng = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    across, down = size
    starts = np.round(rng.uniform(0, 0.5, (images * BOXES, 2)) * size, 2)
    sides = np.round(rng.uniform(0.05, 0.4, (images * BOXES, 2)) * size, 2)
    labels = rng.integers(1, len(LABELS) + 1, images * BOXES)
    turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = 0.5 + 0.5 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    names = [f"{number:064x}.png" if digests else f"{number:012}.png" for number in range(images)]
    with path.open("w", encoding="utf-8") as file:
        listed = [{"id": n, "file_name": name, "width": across, "height": down} for n, name in enumerate(names)]
        file.write('{"info": {}, "images": ' + json.dumps(listed) + ', "annotations": [')
        for number, (start, side, label) in enumerate(zip(starts, sides, labels, strict=True)):
            outline = np.round(start + circle * side, 2).ravel().tolist()
            body = {
                "id": number, "image_id": number // BOXES, "category_id": int(label), "iscrowd": 0,
                "bbox": [*start.tolist(), *side.tolist()], "area": float(side.prod()), "segmentation": [outline],
            }  # fmt: skip
            file.write((",\n" if number else "") + json.dumps(body))
        categories = [{"id": number, "name": name} for number, name in enumerate(LABELS, start=1)]
        file.write('], "categories": ' + json.dumps(categories) + "}")
    return images * BOXES


class Place:
    """A migrated database and blobs in a new folder. url: None is SQLite in the same folder."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        folder.mkdir()
        self.settings = load_settings(environ={"ASKANCE_DATA_DIR": str(folder)})
        self.store = SqlStore.open(url or f"sqlite:///{folder / 'askance.db'}")
        self.store.migrate()
        self.blobs = FsspecBlobs.open(str(folder / "blobs"))
        self.projects = projects_of(self.settings, self.store)

    def load(self, folder: Path, project: str) -> ImportReport:
        return import_dataset(
            self.store, self.blobs, self.projects, project_id=project, format="coco", folder=folder,
            inspect_image=_facts, clock=lambda: NOW,
        )  # fmt: skip


def _facts(content: bytes) -> ImageFacts:
    return inspect_image(content, max_pixels=40_000_000)


def into(database: str, place: Place, folder: Path, images: int) -> list[Figure]:
    """Annotations of so many images that the project has, at first and once more. folder: of the COCO file, which is
    made where it is not there."""
    file = folder / "instances_train.json"
    count = images * BOXES if file.exists() else coco_file(file, images, digests=True)
    place.projects.create("known", LABELS)
    with place.store.begin() as tx:
        for start in range(0, images, 5_000):
            tx.items.add_all([_item(number) for number in range(start, min(start + 5_000, images))])
    found = []
    for name in ("annotations", "again"):
        started, used = time.perf_counter(), time.process_time()
        report = place.load(folder, "known")
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
        done = report.updated if name == "annotations" else report.unchanged
        assert done == images, (name, report.lines(5))
        found.append(at_least(f"{name}: a second into {database}", count / seconds, BAR, "1/s", count))
        found.append(reading(f"{name}: into {database}, for a second of CPU here", count / cpu, "1/s", count))
    return found


def _item(number: int) -> Item:
    return Item(
        project_id="known", digest=f"{number:064x}", media_type="image/png", width=WIDTH, height=HEIGHT, created_at=NOW
    )


def with_files(place: Place, folder: Path) -> list[Figure]:
    size = (64, 48)
    count = coco_file(folder / "annotations" / "instances_train.json", WITH_FILES, digests=False, size=size)
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(WITH_FILES):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:012}.png", compress_level=0)
    seconds = seconds_of(lambda: place.load(folder, "files"))
    return [
        reading("images: annotations a second into SQLite", count / seconds, "1/s", count),
        reading("images: a second, stored durably", WITH_FILES / seconds, "1/s", WITH_FILES),
    ]


def outgoing(place: Place, folder: Path) -> list[Figure]:
    found = []
    for layout in FORMATS:
        seconds = seconds_of(
            lambda layout=layout: export_dataset(
                place.store, place.blobs, project_id="known", format=layout, folder=folder / layout, images=False
            )
        )
        found.append(reading(f"out: {layout}", IMAGES * BOXES / seconds, "1/s", IMAGES * BOXES))
    return found


# --- loaders beside each other, each in a process of its own -----------------------------------------------------

# What is imported before the clock starts, and what is timed.
_ASKANCE = (
    "from pathlib import Path; from loop.exchange.coco import read_coco",
    "read_coco(Path(folder), lambda name: name[:64])",
)
_PEERS = {
    "pycocotools": ("from pycocotools.coco import COCO", "COCO(file)"),
    "datumaro": ("from datumaro import Dataset", "len(list(Dataset.import_from(folder, 'coco_instances')))"),
    "supervision": (
        "import supervision",
        "supervision.DetectionDataset.from_coco(images_directory_path=folder, annotations_path=file)",
    ),
}
# It makes a mask of each outline all the same, 300 kilobytes each: a part of the file must do.
_FEWER = {"supervision": 500}
_TIMED = """
import json, re, sys, time
folder, file = sys.argv[1], sys.argv[2]
{before}
started = time.perf_counter()
{work}
seconds = time.perf_counter() - started
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
print("\\n" + json.dumps([seconds, peak]))
"""


def readers(folder: Path, console: Console, *, peers: bool) -> list[Figure]:
    works = {"askance": (sys.executable, *_ASKANCE)}
    if peers:
        works |= {name: (EXCHANGE.python(console), *work) for name, work in _PEERS.items()}
    found = []
    for name, (python, before, work) in works.items():
        images = min(IMAGES, _FEWER.get(name, IMAGES))
        place = folder / str(images) / "annotations"
        file = place / "instances_train.json"
        count = images * BOXES if file.exists() else coco_file(file, images, digests=True)
        (place.parent / "images" / "train").mkdir(parents=True, exist_ok=True)
        at = place.parent if name == "datumaro" else place
        command = [python, "-c", _TIMED.format(before=before, work=work), str(at), str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            console.print(f"{name} failed: {ended.stderr.strip().splitlines()[-3:]}")
            continue
        seconds, peak = json.loads(ended.stdout.strip().splitlines()[-1])
        found.append(reading(f"read: {name}", count / seconds, "1/s", count))
        found.append(reading(f"read: {name}, peak memory", peak, "MB", count))
    return found


def peak_megabytes() -> float:
    """Of this process; `getrusage` would count what its parent had before it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true", help="without other loaders")
    options = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="askance-exchange-") as made:
        folder = Path(made)
        place = Place(folder / "data")
        found = into("SQLite", place, folder / "known", IMAGES)
        found.append(reading("annotations: peak memory", peak_megabytes(), "MB", IMAGES * BOXES))
        with postgres_cluster(durable=True) as cluster:
            other = Place(folder / "other", cluster.url(cluster.new_database()))
            found += into("PostgreSQL", other, folder / "known", IMAGES)
            other.store.close()
        found += outgoing(place, folder / "out")
        found += with_files(place, folder / "files")
        found += readers(folder / "read", console, peers=not options.no_peers)
    return publish("exchange", found, Console())


if __name__ == "__main__":
    sys.exit(main())
