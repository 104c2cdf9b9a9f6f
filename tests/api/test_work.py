"""What the work of people takes, over HTTP: paces, ambiguous items, bias, cost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loop.domain.access import Role, Token
from loop.domain.review.tasks import Submission
from loop.domain.truth import Shape
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_queue import ELSEWHERE, item, lease, one, person, policy, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

pytestmark = pytest.mark.usefixtures("staff")


def get(service, what: str, role: str = "operator", **params) -> dict:
    response = service.call("GET", f"/v1/projects/shapes/{what}", role, params=params)
    assert response.status_code == 200, response.text
    return response.json()


def reviewer_of(service, name: str) -> Token:
    return service.services.tokens.authenticate(service.tokens[name])


def answered_after(service, name: str, seconds: float, shapes: tuple[Shape, ...], **more: object) -> Submission:
    """The person's next task, answered so long after it was leased."""
    desk = service.services.desk
    (taken,) = desk.lease(reviewer_of(service, name), "shapes", 1).assignments
    late = replace(desk, clock=lambda: utc_now() + timedelta(seconds=seconds))
    return late.submit(reviewer_of(service, name), taken.task.id, taken.task.epoch, shapes, "", **more)


CIRCLE = Shape("circle", (5.0, 5.0, 20.0, 20.0))
SQUARE = Shape("square", (30.0, 20.0, 45.0, 40.0))


# --- time --------------------------------------------------------------------------------------------


def test_what_the_page_measured_is_kept_beside_the_holding(service):
    """`active_seconds` of an answer and of a skip, cut to the time of the lease."""
    service.predict(picture(0))
    service.predict(picture(1))
    kept = answered_after(service, "ada", 60.0, (CIRCLE,), active_seconds=12.5)
    assert kept.active_seconds == 12.5
    assert kept.seconds == pytest.approx(60.0, abs=5)
    told = item(service, kept.item_digest)["submissions"][0]
    assert told["active_seconds"] == 12.5
    task = one(service, "ada")
    body = {"epoch": task["epoch"], "reason": "dark", "active_seconds": 3600}
    skipped = service.call("POST", f"/v1/tasks/{task['id']}/skip", "ada", json=body).json()
    told = item(service, task["item_digest"])["submissions"][0]
    assert told["active_seconds"] == skipped["seconds"]


def test_a_time_that_cannot_be_is_refused(service):
    """Below zero, or no number."""
    service.predict(picture())
    task = one(service, "ada")
    for active in (-1, "much"):
        body = {"epoch": task["epoch"], "shapes": [BOX], "active_seconds": active}
        assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "ada", json=body).status_code == 422


def test_the_same_answer_again_is_the_same_whatever_its_time(service):
    """A retry that measured a little more gives the first submission back."""
    service.predict(picture())
    task = one(service, "ada")
    body = {"epoch": task["epoch"], "shapes": [BOX]}
    first, second = (
        service.call("POST", f"/v1/tasks/{task['id']}/submit", "ada", json=body | {"active_seconds": seconds}).json()
        for seconds in (0.0, 1.0)
    )
    assert first == second
    assert get(service, "work")["rows"][0]["tasks"] == 1


def test_work_is_told_by_person(service, staff):  # noqa: F811
    """Tasks, shapes, the median of their times, skips and corrections of each; for operators."""
    for seed in range(4):
        service.predict(picture(seed))
    for seconds in (10.0, 20.0, 40.0):
        answered_after(service, "ada", 100.0, (CIRCLE, SQUARE), active_seconds=seconds)
    task = one(service, "bob")
    body = {"epoch": task["epoch"], "reason": "dark"}
    service.call("POST", f"/v1/tasks/{task['id']}/skip", "bob", json=body)
    found = get(service, "work", until=(utc_now() + timedelta(days=1)).isoformat())
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["ada"]["key"] == staff["ada"]
    assert (rows["ada"]["tasks"], rows["ada"]["shapes"], rows["ada"]["skip_share"]) == (3, 6, 0.0)
    assert rows["ada"]["median_seconds"] == pytest.approx(20.0)
    assert rows["ada"]["low_seconds"] < 20.0 < rows["ada"]["high_seconds"]
    assert rows["ada"]["tasks_per_hour"] == pytest.approx(3 * 3600 / 70)
    assert rows["ada"]["corrected_share"] == 1.0
    assert (rows["bob"]["tasks"], rows["bob"]["skip_share"], rows["bob"]["median_seconds"]) == (0, 1.0, None)
    problem(service.call("GET", "/v1/projects/shapes/work", "ada"), 403, "forbidden")


def test_work_is_told_by_label_source_hour_and_day(service):
    """A task with two labels counts for both; hours and days are those of the zone that was asked for."""
    service.predict(picture(0), params={"source": "north"})
    answered_after(service, "ada", 0.0, (CIRCLE, CIRCLE, SQUARE))
    rows = get(service, "work", by="label")["rows"]
    assert [(row["key"], row["shapes"]) for row in rows] == [("circle", 2), ("square", 1)]
    assert [row["key"] for row in get(service, "work", by="source")["rows"]] == ["north"]
    (row,) = get(service, "work", by="day")["rows"]
    assert row["key"] in {utc_now().date().isoformat(), (utc_now() - timedelta(minutes=1)).date().isoformat()}
    (here,), (there,) = (get(service, "work", by="hour", tz=tz)["rows"] for tz in ("UTC", "Asia/Tokyo"))
    assert (int(here["key"]) + 9) % 24 == int(there["key"])


@pytest.mark.parametrize(
    "params",
    [
        {"tz": "Mars/Olympus"},
        {"tz": "../../etc/passwd"},
        {"by": "mood"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"since": "2026-01-02T00:00:00"},
        {"since": "yesterday"},
        {"until": "0001-01-02T00:00:00Z"},
        {"since": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_what_cannot_be_asked_is_refused(service, params):
    """422 that says what to give."""
    assert service.call("GET", "/v1/projects/shapes/work", params=params).status_code == 422


def test_only_the_time_that_was_asked_for_counts(service):
    """From `since` on, before `until`."""
    service.predict(picture())
    answered_after(service, "ada", 0.0, (CIRCLE,))
    assert get(service, "work", until=(utc_now() - timedelta(hours=1)).isoformat())["rows"] == []
    assert get(service, "work", since=(utc_now() - timedelta(hours=1)).isoformat())["rows"] != []


# --- hidden predictions -------------------------------------------------------------------------------


def shows_all(service) -> None:
    """The detector is untrained: without this it proposes nothing."""
    response = service.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": 0.0001})
    assert response.status_code == 200, response.text


def test_a_hidden_prediction_looks_like_one_of_nothing(service):
    """No boxes in the task, and what the answer is told to have corrected is what it would be for nothing; operators
    see the real corrections, and that it was hidden."""
    shows_all(service)
    policy(service, blind_share=1.0)
    prediction = service.predict(picture()).json()
    assert prediction["detections"]
    task = one(service, "ada")
    assert task["detections"] == []
    boxes = [{"type": "box", "label": d["label"], "box": d["box"]} for d in prediction["detections"][:1]]
    told = submit(service, task, boxes, "ada").json()
    assert told["corrections"] == {"missed": 1}
    (kept,) = item(service, task["item_digest"])["submissions"]
    assert kept["proposal_shown"] is False
    assert kept["corrections"] != told["corrections"]


def test_a_task_that_was_hidden_stays_so(service):
    """For whoever gets it next, and when the share changes meanwhile; and one that was shown stays shown."""
    shows_all(service)
    policy(service, blind_share=1.0)
    service.predict(picture(0))
    task = one(service, "ada")
    policy(service, blind_share=0.0)
    assert one(service, "ada")["detections"] == []
    service.call("POST", f"/v1/tasks/{task['id']}/release", "ada", json={"epoch": task["epoch"]})
    assert one(service, "bob")["detections"] == []
    service.predict(picture(1))
    shown = one(service, "cyd")
    policy(service, blind_share=1.0)
    service.call("POST", f"/v1/tasks/{shown['id']}/release", "cyd", json={"epoch": shown["epoch"]})
    assert one(service, "dan")["detections"] == shown["detections"] != []


def test_who_decides_between_answers_sees_the_prediction(service):
    """Adjudications are not part of the comparison."""
    shows_all(service)
    policy(service, blind_share=1.0, people={"annotate": 2, "audit": 2})
    service.predict(picture())
    submit(service, one(service, "ada"), [BOX], "ada")
    submit(service, one(service, "bob"), [ELSEWHERE], "bob")
    assert one(service, "cyd")["detections"] != []


def test_bias_compares_what_the_lot_hid_with_what_it_showed(service):
    """Few tasks are refused; answers from before there was a lot do not count."""
    shows_all(service)
    service.predict(picture(99))
    answered_after(service, "ada", 0.0, (CIRCLE,))
    problem(service.call("GET", "/v1/projects/shapes/bias"), 409, "too-few-images")
    for share, first in ((1.0, 0), (1e-12, 10)):
        policy(service, blind_share=share)
        for seed in range(first, first + 10):
            service.predict(picture(seed))
            answered_after(service, "ada", 0.0, (CIRCLE,) if share == 1.0 else ())
    found = get(service, "bias")
    assert (found["hidden_tasks"], found["shown_tasks"]) == (10, 10)
    assert found["difference"] == pytest.approx(found["hidden"] - found["shown"])
    assert found["low"] <= found["difference"] <= found["high"]
    problem(service.call("GET", "/v1/projects/shapes/bias", "ada"), 403, "forbidden")


# --- ambiguous items ----------------------------------------------------------------------------------


@pytest.fixture
def disputed(service) -> str:
    """The digest of an item that ada and bob answered differently; they agree on another."""
    policy(service, people={"annotate": 2, "audit": 2})
    for seed in range(2):
        service.predict(picture(seed))
    first = answered_after(service, "ada", 0.0, (CIRCLE,))
    answered_after(service, "bob", 0.0, (SQUARE,))
    answered_after(service, "ada", 0.0, (CIRCLE,))
    answered_after(service, "bob", 0.0, (CIRCLE,))
    return first.item_digest


def test_the_most_ambiguous_items_are_those_that_people_answer_differently(service, disputed):
    """First and above the bound; who agree are not."""
    found = get(service, "items/ambiguous")
    assert [one["item_digest"] for one in found["items"]] == [disputed]
    assert found["items"][0]["agreement"] == 0.0
    assert found["items"][0]["ambiguity"] == 1.0
    everything = get(service, "items/ambiguous", above=0)
    assert [one["agreement"] for one in everything["items"]] == [0.0, 1.0]
    problem(service.call("GET", "/v1/projects/shapes/items/ambiguous", "ada"), 403, "forbidden")


def test_ambiguous_items_go_to_the_experts_with_one_call(service, staff, disputed):  # noqa: F811
    """Whoever is none gets nothing; what somebody is to do already, an adjudication too, stays as it is."""
    body = {"above": 0.9}
    path = "/v1/projects/shapes/items/ambiguous/requeue"
    problem(service.call("POST", path, json=body), 422, "invalid")
    person(service, staff["dan"], groups=["experts"])
    policy(service, expert_group="experts")
    (left,) = service.call("POST", path, json=body).json()["left"]
    assert left["item_digest"] == disputed
    submit(service, one(service, "cyd"), [BOX], "cyd")
    assert service.call("POST", path, json=body).json() == {"items": [disputed], "left": []}
    assert lease(service, "cyd")["tasks"] == []
    assert one(service, "dan")["item_digest"] == disputed
    again = service.call("POST", path, json=body).json()
    assert again["items"] == []
    assert [left["item_digest"] for left in again["left"]] == [disputed]
    problem(service.call("POST", path, "ada", json=body), 403, "forbidden")


def test_a_selection_can_look_for_what_is_like_ambiguous_items(service, disputed):
    """Their nearest neighbours among what nobody has looked at, by name of the ambiguous item."""
    service.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 0.0})
    for seed in range(10, 14):
        service.predict(picture(seed))
    body = {"budget": 2, "ambiguous": 5, "random_share": 0.0, "dry_run": True}
    chosen = service.call("POST", "/v1/projects/shapes/selections", json=body)
    assert chosen.status_code == 201, chosen.text
    assert len(chosen.json()["picks"]) == 2
    assert all(disputed[:12] in pick["reason"] for pick in chosen.json()["picks"])


# --- cost ---------------------------------------------------------------------------------------------


def rates(service, **body):
    return service.call("PUT", "/v1/projects/shapes/cost/rates", json={"currency": "CHF"} | body)


def test_cost_is_minutes_times_what_an_hour_costs(service, staff):  # noqa: F811
    """Of the project, or of the person where theirs differs; without a rate there are minutes and no money."""
    for seed in range(2):
        service.predict(picture(seed))
    for name in ("ada", "bob"):
        answered_after(service, name, 100.0, (CIRCLE, SQUARE), active_seconds=60.0)
    until = (utc_now() + timedelta(hours=2)).isoformat()
    assert get(service, "cost", until=until)["total"]["money"] is None
    assert rates(service, per_hour=30, people={staff["bob"]: 60}).status_code == 200
    found = get(service, "cost", by="label", until=until)
    assert found["currency"] == "CHF"
    assert found["total"]["minutes"] == pytest.approx(2.0)
    assert found["total"]["money"] == pytest.approx(1.5)
    assert [(row["key"], row["money"]) for row in found["rows"]] == [("circle", 0.75), ("square", 0.75)]
    rows = get(service, "cost", by="reviewer", until=until)["rows"]
    assert {row["name"]: row["money"] for row in rows} == {"ada": 0.5, "bob": 1.0}
    assert [row["key"] for row in get(service, "cost", by="cycle", until=until)["rows"]] == ["next"]
    assert found["everything"] is None


def test_what_everything_would_have_taken_has_an_interval(service):
    """All items that were served, by the mean time of an answer; what was spent is not saved."""
    rates(service, per_hour=60)
    for seed in range(15):
        service.predict(picture(seed))
    for seconds in range(20, 30):
        answered_after(service, "ada", 60.0, (CIRCLE,), active_seconds=float(seconds))
    found = get(service, "cost", until=(utc_now() + timedelta(hours=2)).isoformat())
    whole = found["everything"]
    assert (whole["items"], whole["sample"], whole["audits"]) == (15, 10, False)
    assert whole["minutes"]["value"] == pytest.approx(15 * 24.5 / 60)
    assert whole["minutes"]["low"] < whole["minutes"]["value"] < whole["minutes"]["high"]
    assert whole["saved"]["value"] == pytest.approx(5 * 24.5 / 60)
    assert whole["money"]["value"] == pytest.approx(15 * 24.5 / 60)


def test_rates_that_cannot_be_are_refused(service):
    """Unknown people and currencies, negative rates; they are the operators' business."""
    problem(rates(service, people={"nobody": 3}), 404, "not-found")
    problem(service.call("PUT", "/v1/projects/shapes/cost/rates", json={"currency": "euro"}), 422, "invalid")
    assert rates(service, per_hour=-1).status_code == 422
    problem(service.call("GET", "/v1/projects/shapes/cost/rates", "reviewer"), 403, "forbidden")
    problem(service.call("GET", "/v1/projects/shapes/cost", "reviewer"), 403, "forbidden")
    assert get(service, "cost/rates") == {"currency": "EUR", "per_hour": None, "people": {}}


def test_a_local_operator_reports_on_its_project_only(service):
    """403 elsewhere, 404 for no project."""
    service.services.projects.create("other", ("a",))
    _, service.tokens["local"] = service.services.tokens.create("local", Role.OPERATOR, "other")
    for what in ("work", "bias", "cost", "items/ambiguous"):
        assert service.call("GET", f"/v1/projects/shapes/{what}", "local").status_code == 403
        assert service.call("GET", f"/v1/projects/none/{what}").status_code == 404
