"""Images that a project has already, by the names that data sets without images give them."""

from loop.domain.item import ImageFacts, Item
from loop.domain.ports import Store

_PAGE = 5_000


class KnownImages:
    """Implements `loop.exchange.reading.Known`: by the digest that an export's file names have, by the path of the
    import that brought the image, or by the last part of either where only one image has it.

    The project's items are read when the first name is asked for.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        self._store, self._project_id = store, project_id
        self._items: dict[str, ImageFacts] | None = None
        self._named: dict[str, str | None] = {}

    def __call__(self, name: str) -> str | None:
        items = self._read()
        path = name.replace("\\", "/").removeprefix("./")
        last = path.rsplit("/", 1)[-1]
        stem = last.rsplit(".", 1)[0]
        return stem if stem in items else self._named.get(path) or self._named.get(last)

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

    def _page(self, after: str | None) -> list[Item]:
        with self._store.read() as tx:
            return tx.items.page(self._project_id, after=after, limit=_PAGE)

    def _take(self, item: Item, items: dict[str, ImageFacts]) -> None:
        items[item.digest] = ImageFacts(item.width, item.height, item.media_type)
        path = item.meta.get("path", "")
        for name in {path, path.rsplit("/", 1)[-1]} - {""}:
            self._named[name] = item.digest if self._named.setdefault(name, item.digest) == item.digest else None
