"""Images that a project has already, by the names that data sets without images give them."""

import re
from collections.abc import Mapping

from loop.domain.item import ImageFacts, Item
from loop.domain.ports import Store

_PAGE = 5_000
_FRAME = re.compile(r"(.+)/frame_([0-9]{6,9})")


class KnownImages:
    """Implements `loop.exchange.reading.Known`: by the digest that an export's file names have, by the path of the
    import that brought the image, or by the last part of either where only one image has it; a frame of a clip by
    CLIP/frame_000012, with the clip's name, also without its suffix, and its number in the video, from 0.

    The project's items are read when the first name is asked for, its clips with the first name of a frame.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        self._store, self._project_id = store, project_id
        self._items: dict[str, ImageFacts] | None = None
        self._named: dict[str, str | None] = {}
        self._clips: Mapping[str, Mapping[int, str]] | None = None

    def __call__(self, name: str) -> str | None:
        items = self._read()
        path = name.replace("\\", "/").removeprefix("./")
        last = path.rsplit("/", 1)[-1]
        stem = last.rsplit(".", 1)[0]
        return stem if stem in items else self._named.get(path) or self._named.get(last) or self._frame(path)

    def facts(self, digest: str) -> ImageFacts:
        return self._read()[digest]

    def _read(self) -> dict[str, ImageFacts]:
        if self._items is None:
            self._items = {}
            after: str | None = None
            while page := self._page(after):
                for item in page:
                    self._take(item, self._items)
                after = page[-1].digest
        return self._items

    def _frame(self, path: str) -> str | None:
        named = _FRAME.fullmatch(path)
        if named is None:
            return None
        if self._clips is None:
            self._clips = self._read_clips()
        return self._clips.get(named[1], {}).get(int(named[2]))

    def _read_clips(self) -> Mapping[str, Mapping[int, str]]:
        """Their images by number, of each clip that alone has the name; of those that only share it without the suffix,
        none has it so."""
        frames: dict[str, dict[int, str]] = {}
        with self._store.read() as tx:
            for place in tx.groups.places(self._project_id):
                number = place.index if place.number is None else place.number
                frames.setdefault(place.group_id, {})[number] = place.item_digest
            names = {group_id: tx.groups.get(self._project_id, group_id).name for group_id in frames}
        whole, stems = list(names.values()), [name.rsplit(".", 1)[0] for name in names.values()]
        found: dict[str, Mapping[int, str]] = {}
        for group_id, name in names.items():
            stem = name.rsplit(".", 1)[0]
            if name and whole.count(name) == 1:
                found[name] = frames[group_id]
            if stem and stem not in whole and stems.count(stem) == 1:
                found[stem] = frames[group_id]
        return found

    def _page(self, after: str | None) -> list[Item]:
        with self._store.read() as tx:
            return tx.items.page(self._project_id, after=after, limit=_PAGE)

    def _take(self, item: Item, items: dict[str, ImageFacts]) -> None:
        items[item.digest] = ImageFacts(item.width, item.height, item.media_type)
        path = item.meta.get("path", "")
        for name in {path, path.rsplit("/", 1)[-1]} - {""}:
            self._named[name] = item.digest if self._named.setdefault(name, item.digest) == item.digest else None
