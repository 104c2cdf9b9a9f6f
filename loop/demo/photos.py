"""A folder of JPEGs to follow docs/tutorial-cold-start.md with: scenes of handwritten digits, without their truth.

python -m loop.demo.photos photos 160
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from loop.demo.scenes import KNOWN, Pool, Scene, day_scenes

_SEED = 5
_SIDE = 160  # pixels


def tutorial_scenes(count: int) -> Iterator[Scene]:
    """`count` scenes, always the same."""
    return day_scenes(_SEED, count, Pool.STREAM, size=_SIDE)


def write_photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(tutorial_scenes(count)):
        (folder / f"photo-{number:04}.jpg").write_bytes(scene.jpeg())


if __name__ == "__main__":
    _, into, wanted = sys.argv
    write_photos(Path(into), int(wanted))
    sys.stdout.write(f"{wanted} photos of the digits {', '.join(KNOWN)} are in {into}\n")
