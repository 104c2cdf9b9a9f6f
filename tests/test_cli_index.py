"""`askance index`: how the index stands that finds what looks alike."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from loop.cli import app
from serving.api.schemas.search_index import IndexOut

LISTS = {"made_for": 61_000, "count": 979, "searched": 16, "compressed": False, "wanted": 0.98, "recall": 0.9914}


def state(**changes: object) -> IndexOut:
    told = {
        "model_id": "m", "phase": "ready", "progress": None, "embeddings": 61_234, "waiting": 5, "lists": LISTS,
        "kept": 60_000, "kept_at": "2026-05-01T10:20:00Z",
    }  # fmt: skip
    return IndexOut.model_validate(told | changes)


class Service:
    """Stands in for the client: in these states, one after the other, while it is followed."""

    def __init__(self, first: IndexOut, *following: IndexOut) -> None:
        self.first, self.following = first, following
        self.read = False

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def search_index(self, _project: str) -> IndexOut:
        return self.first

    def follow_index(self, _project: str) -> Iterator[IndexOut]:
        self.read = True
        yield from self.following


def shown(monkeypatch: pytest.MonkeyPatch, service: Service, *arguments: str) -> str:
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", lambda _url, _token: service)
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["index", "-p", "p", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


def test_it_is_told_what_it_holds_and_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without having it read."""
    service = Service(state())
    told = shown(monkeypatch, service)
    assert "m: ready 61,234 images are in it, 5 are not yet" in told
    assert "16 of 979 lists, made for 61,000 images; it found 99.1% of the ten nearest" in told
    assert "60,000 are kept in its file, of 2026-05-01 10:20 UTC" in told
    assert "fewer than" not in told and not service.read


def test_one_that_finds_fewer_than_is_wanted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    missed = state(lists=LISTS | {"searched": 979, "recall": 0.912})
    assert "91.2% of the ten nearest then, fewer than the 98.0% that it was to find" in shown(
        monkeypatch, Service(missed)
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lists": None}, "each search looks at all of them"),
        ({"phase": "rebuilding", "progress": 0.375}, "m: rebuilding, 38%"),
    ],
)
def test_what_else_it_may_be_doing(monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], words: str) -> None:
    assert words in shown(monkeypatch, Service(state(**changes)))


def test_nothing_is_said_of_searches_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    unread = state(phase="unread", embeddings=0, lists=None, kept=0, kept_at=None)
    told = shown(monkeypatch, Service(unread))
    assert "m: unread" in told and "search looks" not in told and "file" not in told


def test_it_is_read_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how far each phase is; at the end, how it stands then."""
    unread, reading = state(phase="unread", embeddings=0), state(phase="reading", progress=0.5)
    service = Service(unread, reading, state(phase="rebuilding", progress=0.9), state())
    told = shown(monkeypatch, service, "--read")
    assert "100/100" in told and "m: ready" in told and "unread" not in told


def test_its_state_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else, also where it is waited for."""
    told = shown(monkeypatch, Service(state(phase="unread"), state()), "--read", "--json")
    assert json.loads(told)["lists"] == LISTS
