"""Items as data over HTTP: lists by a query, tags, saved views, history, and who may ask for what."""

from dataclasses import replace

import pytest

from loop.domain.items.queries import FIELDS, Permission, field_of
from loop.domain.truth import GroundTruth
from tests.api.conftest import picture
from tests.api.test_access import problem
from tests.contract.records import a_cycle, an_item, later
from training.snapshot import freeze

ITEMS = "/v1/projects/shapes/items"
VIEWS = "/v1/projects/shapes/views"


@pytest.fixture
def digests(service) -> list[str]:
    """Of five predicted images, oldest first."""
    sources = ["cam-1", "cam-2", "cam-1", "", "cam-3"]
    return [
        service.predict(picture(seed), params={"source": source}).json()["item_digest"]
        for seed, source in enumerate(sources)
    ]


def listed(service, q: str = "", role: str = "operator", **params) -> list[str]:
    answer = service.call("GET", ITEMS, role, params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return [item["digest"] for item in answer.json()["items"]]


def test_items_are_listed_by_a_query(service, digests):
    assert listed(service) == digests[::-1]
    assert listed(service, "source ^= cam and source != cam-2") == [digests[4], digests[2], digests[0]]
    assert listed(service, "decision = review and created_at > 1h ago", sort="created_at") == digests
    assert listed(service, "has truth") == []
    assert listed(service, "work = open") == digests[::-1]


def test_pages_are_followed_by_next(service, digests):
    """With the sort that the first page had; the count is of all."""
    found, after = [], None
    while True:
        params = {"sort": "-risk", "limit": 2, "count": True} | ({"after": after} if after else {})
        page = service.call("GET", ITEMS, params=params).json()
        assert (page["count"], page["more"]) == (5, False)
        found += [item["digest"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(found) == sorted(digests)
    risks = {item["digest"]: item["risk"] for item in service.call("GET", ITEMS).json()["items"]}
    assert [risks[one] for one in found] == sorted(risks.values(), reverse=True)


def test_what_cannot_be_read_is_answered_with_where_and_what_instead(service):
    answer = problem(service.call("GET", ITEMS, params={"q": "sorce = a"}), 422, "bad-query")
    assert answer["ids"]["position"] == 0
    assert answer["ids"]["near"] == ["source"]
    problem(service.call("GET", ITEMS, params={"sort": "name"}), 422, "invalid")
    problem(service.call("GET", ITEMS, params={"after": "x"}), 422, "invalid")
    problem(service.call("GET", ITEMS, params={"q": "source = '\x00'"}), 422, "invalid")
    assert listed(service, 'source = "\'; DROP TABLE items; --"') == []


_OLD = "2026-01-01"
_VALUES = {"risk": "0.5", "corrections": "1", "created_at": _OLD, "captured_at": _OLD, "meta.captured_at": _OLD}
_ASKED = [*FIELDS.values(), *filter(None, [field_of("meta.captured_at")])]


@pytest.mark.parametrize("field", [field for field in _ASKED if field.needs is not Permission.READ])
def test_nobody_asks_for_what_their_role_may_not_know(service, digests, field):
    """In no place of a query: the list would tell it."""
    value = field.options[0] if field.options else _VALUES.get(field.name, "yes")
    text = f"source = cam-1 or not ({field.name} = {value})"
    allowed = {"reviewer"} if field.needs is Permission.PREDICT else {"reviewer", "producer"}
    for role in ("reviewer", "producer", "operator"):
        answer = service.call("GET", ITEMS, role, params={"q": text})
        if role in allowed:
            assert problem(answer, 403, "forbidden")["ids"]["field"] == field.name
        else:
            assert answer.status_code == 200, (role, answer.text)


def test_a_reviewer_is_told_nothing_of_predictions_work_or_tags(service, digests):
    """All items look alike; nor can they be sorted by risk."""
    service.call("POST", f"{ITEMS}/tags", json={"items": digests[:1], "add": ["gold"]})
    items = service.call("GET", ITEMS, "reviewer").json()["items"]
    hidden = ("model_id", "risk", "decision", "truth_version", "work", "corrections", "split")
    assert {item[name] for item in items for name in hidden} == {None}
    assert {tag for item in items for tag in item["tags"]} == set()
    for sort in ("risk", "created_at", "-captured_at"):
        problem(service.call("GET", ITEMS, "reviewer", params={"sort": sort}), 403, "forbidden")
    producers = service.call("GET", ITEMS, "producer").json()["items"]
    assert {item["decision"] for item in producers} == {"review"}
    assert {item["work"] for item in producers} == {None}


def test_a_reviewer_cannot_tell_an_old_item_from_one_of_now(service):
    """Neither by a time, nor by an order, nor by where a page goes on, nor by what resembles what; those who call the
    service, and operators, see all of it."""
    with service.services.store.begin() as tx:
        for number, taken in enumerate(("2019-05-01T12:00:00Z", "2026-05-01T12:00:00Z")):
            meta = {"captured_at": taken, "camera": "a"}
            tx.items.add(replace(an_item(number, project_id="shapes", at=later(number)), meta=meta))
    first = service.call("GET", ITEMS, "reviewer", params={"limit": 1}).json()
    rest = service.call("GET", ITEMS, "reviewer", params={"limit": 1, "after": first["next"]}).json()
    seen = [*first["items"], *rest["items"]]
    assert [item["digest"] for item in seen] == sorted((item["digest"] for item in seen), reverse=True)
    assert all(item["meta"] == {"camera": "a"} for item in seen)
    assert {item[name] for item in seen for name in ("created_at", "captured_at")} == {None}
    detail = service.call("GET", f"{ITEMS}/{seen[0]['digest']}", "reviewer").json()
    assert (detail["created_at"], detail["meta"]) == (None, {"camera": "a"})
    told = str([first, rest, detail])
    assert "2019" not in told and "2026" not in told
    for role in ("producer", "operator"):
        times = [item["captured_at"] for item in service.call("GET", ITEMS, role).json()["items"]]
        assert times == ["2026-05-01T12:00:00Z", "2019-05-01T12:00:00Z"]
        assert all("captured_at" in item["meta"] for item in service.call("GET", ITEMS, role).json()["items"])
    predicted = service.predict(picture()).json()["item_digest"]
    for role, status in (("reviewer", 403), ("producer", 200), ("operator", 200)):
        assert service.call("GET", f"{ITEMS}/{predicted}/neighbours", role).status_code == status
    assert service.call("GET", f"{ITEMS}/{predicted}/objects/0/neighbours", "reviewer").status_code == 403


def test_tags_are_added_and_removed(service, digests):
    """By digests or by a query; items may be asked for by them at once."""
    done = service.call("POST", f"{ITEMS}/tags", json={"items": digests[:2], "add": ["a", "b c"]}).json()
    assert done == {"items": 2, "next": None}
    assert listed(service, "tag = a") == digests[1::-1]
    done = service.call("POST", f"{ITEMS}/tags", json={"query": "tag = a", "add": ["d"], "remove": ["a"]}).json()
    assert done["items"] == 2
    assert listed(service, "tag = a") == []
    assert listed(service, "tag = d and tag = 'b c'") == digests[1::-1]
    events = service.call("GET", "/v1/projects/shapes/events").json()["events"]
    assert [event["body"].get("query") for event in events if event["kind"] == "items.tagged"] == [None, "tag = a"]


def changed(service, digest: str, meta: dict, role: str = "operator"):
    return service.call("PATCH", f"{ITEMS}/{digest}", role, json={"meta": meta})


def test_what_is_said_of_an_item_is_changed_by_a_merge_patch(service, digests):
    """RFC 7396: null removes a key, and keys that are not named stay. Lists follow at once, its history keeps who said
    what before, and where nothing changes there is no line of it."""
    answer = changed(service, digests[0], {"weather": "rain", "speed": "80", "captured_at": "2026-01-02T03:04:05Z"})
    assert answer.status_code == 200 and answer.json()["meta"]["weather"] == "rain"
    assert listed(service, "meta.weather = rain and meta.speed > 79 and captured_at < 2026-01-03") == [digests[0]]
    service.call("POST", f"{ITEMS}/tags", json={"items": digests[:1], "add": ["a"]})
    said = changed(service, digests[0][:12], {"weather": "snow", "speed": None, "unknown": None}).json()["meta"]
    assert said == {"weather": "snow", "captured_at": "2026-01-02T03:04:05Z"}
    assert listed(service, "meta.weather = rain") == [] == listed(service, "has meta.speed")
    assert listed(service, "tag = a and meta.weather = snow") == [digests[0]]
    changed(service, digests[0], {"weather": "snow"})
    entries = service.call("GET", f"{ITEMS}/{digests[0]}/history").json()["entries"]
    told = [one for one in entries if one["body"].get("event") == "item.described"]
    assert [one["body"]["meta"] for one in told][1:] == [{"speed": None, "weather": "snow"}]
    assert told[1]["body"]["before"] == {"speed": "80", "weather": "rain"} and told[1]["actor"]


def test_what_is_said_of_many_items_is_changed_by_digests_or_by_a_query(service, digests):
    """Each that changes has it in its history; a query may ask for what it changes."""
    done = service.call("POST", f"{ITEMS}/meta", json={"items": digests[:2], "meta": {"site": "north"}}).json()
    assert done == {"items": 2, "changed": 2, "next": None}
    done = service.call("POST", f"{ITEMS}/meta", json={"query": "", "meta": {"site": "north"}}).json()
    assert done == {"items": 5, "changed": 3, "next": None}
    done = service.call("POST", f"{ITEMS}/meta", json={"query": "meta.site = north", "meta": {"site": "south"}}).json()
    assert done["changed"] == 5 and listed(service, "meta.site = south") == digests[::-1]
    for digest in digests:
        entries = service.call("GET", f"{ITEMS}/{digest}/history").json()["entries"]
        assert [one["body"].get("meta") for one in entries if one["body"].get("event") == "item.described"] == [
            {"site": "north"}, {"site": "south"}
        ]  # fmt: skip


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"": "x"},
        {"k" * 101: "x"},
        {"k": "x" * 1001},
        {"k": "\x00"},
        {"k\n": "x"},
        {"k": 5},
        {"derived_from": None},
        {f"k{number}": "x" for number in range(101)},
    ],
)
def test_what_cannot_be_said_of_an_item_is_refused(service, digests, meta):
    """And nothing of it is kept, nor where it was made from."""
    assert changed(service, digests[0], meta).status_code == 422
    assert service.call("POST", f"{ITEMS}/meta", json={"query": "", "meta": meta}).status_code == 422
    assert service.call("GET", f"{ITEMS}/{digests[0]}").json()["meta"] == {}


def test_an_item_has_at_most_a_hundred_keys(service, digests):
    assert changed(service, digests[0], {f"k{number}": "x" for number in range(99)}).status_code == 200
    assert changed(service, digests[0], {"a": "x", "b": "x"}).status_code == 422
    assert changed(service, digests[0], {"a": "x", "b": "x", "k0": None}).status_code == 200


def test_only_operators_change_what_is_said_of_items(service, digests):
    for role in ("reviewer", "producer"):
        problem(changed(service, digests[0], {"k": "x"}, role), 403, "forbidden")
        call = service.call("POST", f"{ITEMS}/meta", role, json={"query": "", "meta": {"k": "x"}})
        problem(call, 403, "forbidden")
    problem(changed(service, "0" * 64, {"k": "x"}), 404, "not-found")
    body = {"items": [digests[0], "0" * 64], "meta": {"k": "x"}}
    problem(service.call("POST", f"{ITEMS}/meta", json=body), 404, "not-found")
    assert listed(service, "has meta.k") == []


@pytest.mark.parametrize(
    "body",
    [
        {"add": ["a"]},
        {"items": [], "query": "", "add": ["a"]},
        {"query": ""},
        {"query": "", "add": ["a,b"]},
        {"query": "nonsense", "add": ["a"]},
        {"items": ["x"] * 10_001, "add": ["a"]},
    ],
)
def test_tags_that_cannot_be_are_refused(service, body):
    assert service.call("POST", f"{ITEMS}/tags", json=body).status_code == 422


def test_tagging_an_item_that_is_not_there_changes_nothing(service, digests):
    problem(service.call("POST", f"{ITEMS}/tags", json={"items": [digests[0], "x"], "add": ["a"]}), 404, "not-found")
    assert listed(service, "has tag") == []


def test_an_item_has_a_limited_number_of_tags(service, digests):
    for start in range(0, 100, 20):
        add = [f"t{number}" for number in range(start, start + 20)]
        assert service.call("POST", f"{ITEMS}/tags", json={"items": digests[:1], "add": add}).status_code == 200
    assert service.call("POST", f"{ITEMS}/tags", json={"items": digests[:1], "add": ["one more"]}).status_code == 422
    assert listed(service, "tag = 'one more'") == []


def test_views_are_saved_listed_and_removed(service):
    """The query is kept as it is understood; one that cannot be read is refused."""
    saved = service.call("PUT", f"{VIEWS}/To do", json={"query": "missing truth AND risk>.5", "sort": "-risk"})
    assert saved.json()["query"] == "missing truth and risk > 0.5"
    assert service.call("GET", f"{VIEWS}/To do").json() == saved.json()
    problem(service.call("PUT", f"{VIEWS}/x", json={"query": "sorce = 1"}), 422, "bad-query")
    problem(service.call("PUT", f"{VIEWS}/x,y", json={"query": ""}), 422, "invalid")
    problem(service.call("GET", VIEWS, "reviewer"), 403, "forbidden")
    assert [view["name"] for view in service.call("GET", VIEWS).json()["views"]] == ["To do"]
    assert service.call("DELETE", f"{VIEWS}/To do").status_code == 204
    problem(service.call("DELETE", f"{VIEWS}/To do"), 404, "not-found")
    problem(service.call("GET", f"{VIEWS}/To do"), 404, "not-found")


def test_an_items_history_says_what_happened(service, digests):
    """From the image to the truth; for operators alone."""
    task = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 1}).json()["tasks"][0]
    answer = {"epoch": task["epoch"], "shapes": []}
    assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "reviewer", json=answer).status_code == 200
    path = f"{ITEMS}/{task['item_digest']}/history"
    entries = service.call("GET", path).json()["entries"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    kinds = [entry["kind"] for entry in entries if entry["kind"] != "event"]
    assert kinds == ["item", "prediction", "task", "submission", "truth"]
    assert "task.submitted" in [entry["body"].get("event") for entry in entries]
    for role in ("reviewer", "producer"):
        problem(service.call("GET", path, role), 403, "forbidden")
    problem(service.call("GET", f"{ITEMS}/{'0' * 64}/history"), 404, "not-found")
    assert listed(service, "truth = yes and work = done and has corrections") == [task["item_digest"]]


def test_a_history_names_the_snapshots_that_hold_the_item(service, digests):
    """Of the cycles that there were; one that is gone is left out."""
    store, blobs = service.services.store, service.services.blobs
    now = service.services.clock()
    with store.read() as tx:
        item = tx.items.get("shapes", digests[0])
    truth = GroundTruth(
        project_id="shapes", item_digest=item.digest, version=1, shapes=(), submission_ids=(), origin="import",
        created_at=now,
    )  # fmt: skip
    kept = freeze([(item, truth)], labels=("circle",), val_share=0.0).keep(blobs.put)
    with store.begin() as tx:
        cycle = a_cycle(project_id="shapes", at=now)
        tx.cycles.add(cycle)
        tx.cycles.save(replace(cycle, snapshot_digest=kept))
    held = [
        [entry["id"] for entry in service.call("GET", f"{ITEMS}/{one}/history").json()["entries"]
         if entry["kind"] == "snapshot"]
        for one in digests[:2]
    ]  # fmt: skip
    assert held == [[kept], []]
    blobs.remove(kept)
    kinds = [entry["kind"] for entry in service.call("GET", f"{ITEMS}/{digests[0]}/history").json()["entries"]]
    assert "snapshot" not in kinds
