"""Items, what is asked of them and happened to them, and groups of them: the frames of a clip."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from loop.domain.item import Item, Split
from loop.domain.items.clips import ClipWork, Frame, Group
from loop.domain.items.queries import HistoryEntry, ListedItem, Place, Query, Sort, View


class Items(Protocol):
    def add(self, item: Item) -> bool:
        """False where the project has an item with this digest already (which then stays as it is)."""
        ...

    def add_all(self, given: Sequence[Item]) -> None:
        """The same for many."""
        ...

    def get(self, project_id: str, digest: str) -> Item: ...
    def of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, Item]:
        """Those of these that the project has."""
        ...

    def for_update(self, project_id: str, digests: Sequence[str]) -> Mapping[str, Item]:
        """The same, locked until the transaction ends."""
        ...

    def describe(self, project_id: str, metas: Mapping[str, Mapping[str, str]]) -> None:
        """What is said of items under free keys from now on, all of it, by digest. Those that are not there stay so."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Item]:
        """In the order of (created_at, digest), newest first; `after` is a digest."""
        ...

    def set_split(self, project_id: str, digest: str, split: Split, group: str) -> None: ...
    def set_splits(self, given: Sequence[Item]) -> None:
        """The split and the group of many items that are there, as these have them."""
        ...

    def drop(self, project_id: str, digest: str, *, by: str, at: datetime) -> bool:
        """From now on its image is not to be kept, and its ground truth counts no more. False, and nothing is written,
        where somebody is to work on it still."""
        ...

    def dropped(self, project_id: str) -> frozenset[str]:
        """Items of the project whose image was dropped, ever."""
        ...

    def any_dropped(self, project_id: str) -> bool:
        """Whether `dropped` has any. A change of it is a change of the configuration."""
        ...

    def is_dropped(self, project_id: str, digest: str) -> bool: ...

    def left(self, limit: int) -> Mapping[str, bool]:
        """At most `limit` dropped images whose bytes may be there still, and whether an item of another project keeps
        them."""
        ...

    def removed(self, digest: str) -> None:
        """Nothing is left to do for this dropped image."""
        ...

    def sources(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """Where each item comes from; "" where nobody said."""
        ...

    def settled(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items that have a task, in whatever state, or their truth."""
        ...


class ItemQueries(Protocol):
    """Items by what is known of them (loop/domain/items/queries.py): what was committed before they last caught up."""

    def are_behind(self) -> bool:
        """Whether something was committed since."""
        ...

    def catch_up(self, limit: int) -> int:
        """With at most `limit` items that have changed, those that wait the longest; how many there were. Writes."""
        ...

    def page(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[ListedItem]:
        """At most `limit` that meet the query, in the order of the sort, behind `after`. now: what spans are counted
        back from. Items that come meanwhile neither shift nor repeat a page."""
        ...

    def places(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[Place]:
        """The same page, of digests."""
        ...

    def count(self, project_id: str, query: Query, *, now: datetime, at_most: int) -> int:
        """Counts no further than `at_most`."""
        ...

    def tag(self, project_id: str, digests: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> int:
        """How many of the items there are; each then has the tags `add`, and none of `remove`. What is in both is
        there."""
        ...

    def tags(self, project_id: str, digests: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """By digest, sorted; items without any are left out."""
        ...


class ItemHistories(Protocol):
    def of(self, project_id: str, digest: str, *, most: int) -> list[HistoryEntry]:
        """What happened to an item, oldest first, but for snapshots; of each kind the newest `most`. Raises
        NotFound."""
        ...

    def snapshots(self, project_id: str, *, most: int) -> list[HistoryEntry]:
        """Those that cycles made, the newest first, whatever is in them."""
        ...


class ImageHashes(Protocol):
    """What images look like: 64 bits each, as a signed number."""

    def add(self, project_id: str, hashes: Mapping[str, int | None]) -> None:
        """By digest of its items; None: the image cannot be decoded. One that is there stays."""
        ...

    def missing(self, project_id: str, *, after: str, limit: int) -> Sequence[str]:
        """At most `limit` items behind that digest, ascending, that have a truth and an image, and no hash yet."""
        ...

    def all(self, project_id: str) -> Iterator[tuple[str, int]]:
        """Digest and hash, by ascending digest; without those that cannot be decoded."""
        ...


class Views(Protocol):
    """Queries with a name."""

    def save(self, view: View) -> None:
        """Over one of this name."""
        ...

    def get(self, project_id: str, name: str) -> View: ...
    def all(self, project_id: str) -> list[View]:
        """By name."""
        ...

    def remove(self, project_id: str, name: str) -> None:
        """Raises NotFound."""
        ...


class Groups(Protocol):
    """Items in an order, and the works on them."""

    def add(self, group: Group) -> bool:
        """False where there is one with this id already (which then stays as it is)."""
        ...

    def get(self, project_id: str, group_id: str) -> Group: ...
    def find(self, project_id: str, group_id: str) -> Group | None: ...
    def for_update(self, project_id: str, group_id: str) -> Group:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Group]:
        """Newest first; `after` is a group's id."""
        ...

    def save(self, group: Group) -> None: ...
    def append(self, frames: Sequence[Frame]) -> None: ...
    def among(self, group_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items that are frames of the group."""
        ...

    def frames(self, project_id: str, group_id: str, *, first: int, limit: int) -> list[tuple[Frame, Item]]:
        """By index, from `first` on."""
        ...

    def places(self, project_id: str) -> list[Frame]:
        """Every frame of every group, by group and index."""
        ...

    def split_groups(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """What items may not be torn apart from ("" for nothing), by digest; those that there are not are left out."""
        ...

    def keep_together(self, project_id: str, digests: Sequence[str], name: str) -> None:
        """These items, and all that share a split group with one of them, have the split group `name` from now on."""
        ...

    def add_works(self, works: Sequence[ClipWork]) -> None: ...
    def work(self, work_id: str) -> ClipWork | None:
        """None for a work on one item."""
        ...

    def works(self, group_id: str) -> list[ClipWork]:
        """By their first frame."""
        ...
