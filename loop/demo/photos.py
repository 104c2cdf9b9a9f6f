"""Folders of JPEGs to follow docs/tutorial-cold-start.md with: scenes of handwritten digits, without their truth.

python -m loop.demo.photos photos 120 later 40
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from loop.demo.scenes import Pool, Scene, day_scenes

_SEED = 5
_SIDE = 160  # pixels


def tutorial_scenes(count: int) -> Iterator[Scene]:
    """`count` scenes, always the same."""
    return day_scenes(_SEED, count, Pool.STREAM, size=_SIDE)


def write_photos(folders: dict[Path, int]) -> None:
    """So many scenes into each folder, one after the other."""
    scenes = tutorial_scenes(sum(folders.values()))
    for folder, count in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for number, scene in enumerate(islice(scenes, count)):
            (folder / f"{folder.name}-{number:04}.jpg").write_bytes(scene.jpeg())


if __name__ == "__main__":
    wanted = {Path(folder): int(count) for folder, count in zip(sys.argv[1::2], sys.argv[2::2], strict=True)}
    write_photos(wanted)
    sys.stdout.write("".join(f"{folder}: {count} photos\n" for folder, count in wanted.items()))
