"""What tests of the bridge to Label Studio have in common: a stand-in for its server, and deaths at a chosen step."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from loop.domain.errors import Invalid, NotFound
from loop.domain.outgoing.label_studio import KEY, Annotation, RemoteProject, RemoteTask

PAGE = 5


class Died(BaseException):
    """The process ends here: nothing catches it."""


@dataclass
class Steps:
    """Counts what has an effect outside of the process, and dies before or after the one that is chosen."""

    count: int = 0
    dies_before: int | None = None
    dies_after: int | None = None

    def take(self, effect: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count == self.dies_before:
            raise Died
        done = effect()
        if self.count == self.dies_after:
            raise Died
        return done


@dataclass
class DyingStore:
    """A store whose writing transactions are steps."""

    store: Any
    steps: Steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self.steps.count += 1
        number = self.steps.count
        with self.store.begin() as tx:
            yield tx
            if number == self.steps.dies_before:
                raise Died  # before the commit: all of it is undone
        if number == self.steps.dies_after:
            raise Died


@dataclass
class StandIn:
    """Label Studio as far as `loop.domain.ports.LabelStudio` knows it, in memory, in pages of five. It outlives those
    who speak to it."""

    address: str = "https://label-studio.example.org"
    steps: Steps = field(default_factory=Steps)
    titles: dict[str, RemoteProject] = field(default_factory=dict)
    bodies: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    said: dict[int, list[Annotation]] = field(default_factory=dict)
    changes: dict[int, int] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    refuses: bool = False
    hidden: set[int] = field(default_factory=set)  # projects
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def project(self, title: str, interface: str) -> RemoteProject:
        def made() -> RemoteProject:
            return self.titles.setdefault(title, RemoteProject(next(self.numbers), interface))

        return self.titles[title] if title in self.titles else self.steps.take(made)

    def upload(self, place: int, name: str, content: bytes, *, again: bool) -> str:
        where = f"/data/upload/{place}/{name}"
        self.steps.take(lambda: self.files.update({where: content}))
        return where

    def send(self, place: int, body: Mapping[str, Any]) -> int | None:
        if self.refuses:
            raise Invalid("Label Studio does not take it.", hint="Mend it.")

        def made() -> int:
            number = next(self.numbers)
            self.bodies[number], self.places[number], self.changes[number] = body, place, 0
            return number

        return self.steps.take(made)

    def find(self, place: int, key: str) -> list[int]:
        return [n for n, body in self.bodies.items() if body["data"][KEY] == key and self.places[n] == place]

    def tasks(self, place: int, page: int) -> tuple[list[RemoteTask], bool]:
        if place in self.hidden:
            raise NotFound("Label Studio has no such project.", hint="Look there.")
        mine = sorted(number for number, its in self.places.items() if its == place)
        shown = mine[(page - 1) * PAGE : page * PAGE]
        listed = [
            RemoteTask(
                id=n, key=self.bodies[n]["data"][KEY], changed=str(self.changes[n]), answers=len(self.said.get(n, []))
            )
            for n in shown
        ]
        return listed, page * PAGE >= len(mine)

    def annotations(self, remote: int) -> list[Annotation] | None:
        return None if remote not in self.bodies else list(self.said.get(remote, []))

    def delete(self, remote: int) -> None:
        def gone() -> None:
            self.bodies.pop(remote, None)
            self.places.pop(remote, None)

        self.steps.take(gone)

    # --- what people do there

    def annotate(self, remote: int, *result: Mapping[str, Any], author: str = "ada@example.org", **more: Any) -> int:
        number = next(self.numbers)
        one = Annotation(id=number, author=author, result=list(result), seconds=4.5, **more)
        self.said.setdefault(remote, []).append(one)
        self.changes[remote] += 1
        return number

    def change(self, remote: int, *result: Mapping[str, Any]) -> None:
        if remote not in self.said:
            raise NotFound("nobody has answered it.")
        self.said[remote][-1] = replace(self.said[remote][-1], result=list(result))
        self.changes[remote] += 1


def region(label: str, x: float, y: float, width: float, height: float, **more: object) -> dict[str, object]:
    """A box, in percent of the image's sides, as Label Studio's page says it."""
    return {
        "id": "box0", "type": "rectanglelabels", "from_name": "label", "to_name": "image",
        "original_width": 64, "original_height": 48, "image_rotation": 0,
        "value": {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]},
        **more,
    }  # fmt: skip


def lead(service, what: str, **body: object) -> dict:
    """The operator's push, pull or release."""
    response = service.call("POST", f"/v1/projects/shapes/label-studio/{what}", json=body)
    assert response.status_code == 200, response.text
    return response.json()
