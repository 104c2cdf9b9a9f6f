"""How good production is, over HTTP, from answers that people gave; and what callers report of it, which is apart."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from loop.domain.guarantee import audit_bands
from loop.domain.production import windows as rules
from loop.wiring import utc_now
from serving.api import production
from serving.api.production_gauges import Gauges
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem
from tests.api.test_review import leased, submit
from tests.tiny_models import tiny_weights

QUALITY = "/v1/projects/shapes/quality"


def policy(service: Service, **changes: object) -> None:
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=changes).is_success


def get(service: Service, path: str = "", **params: object) -> dict:
    response = service.call("GET", QUALITY + path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


def shown(prediction: dict) -> list[dict]:
    """An answer by which the prediction is right."""
    return [{"type": "box", "label": one["label"], "box": one["box"]} for one in prediction["detections"]]


MISSED = {"type": "box", "label": "bar", "box": [0, 0, 3, 3]}


def audited(service: Service, count: int, *, wrong: int, source: str = "cam") -> list[dict]:
    """So many predictions that the lot drew, all answered, the first so many of them with a bar that was missed."""
    policy(service, threshold=1.0, audit_rate=1.0, score_threshold=0.5)
    seeds = range(service.inferencer.calls, service.inferencer.calls + count)
    made = [service.predict(picture(seed), params={"source": source}).json() for seed in seeds]
    by_task = {one["task_id"]: (n, one) for n, one in enumerate(made)}
    for task in leased(service, count):
        number, one = by_task[task["id"]]
        answer = submit(service, task, [*shown(one), *([MISSED] if number < wrong else [])])
        assert answer.status_code == 200, answer.text
        assert bool(answer.json()["corrections"]) == (number < wrong)
    return made


def report(service: Service, prediction: dict, role: str = "producer", **body: object):
    path = f"/v1/projects/shapes/predictions/{prediction['id']}/outcome"
    return service.call("POST", path, role, json={"outcome": "wrong", **body})


# --- figures ----------------------------------------------------------------------------------------------


def test_what_people_found_is_told_with_intervals(service: Service) -> None:
    """From real answers: four of ten audits had something missed. With so few they alone are asked."""
    audited(service, 10, wrong=4)
    told = get(service)
    assert (told["basis"], told["cut"], told["waiting"], told["by"]) == ("audits", False, 0, None)
    total = told["total"]
    assert (total["predictions"], total["answers"], total["audits"], total["unanswered"]) == (10, 10, 10, 0)
    rate, perfect = total["failure_rate"]["plain"], total["perfect_rate"]["plain"]
    assert rate["value"] == pytest.approx(0.4) and rate["n"] == 10 and rate["effective_n"] == pytest.approx(10)
    assert rate["low"] < 0.2 and rate["high"] > 0.6
    assert (perfect["low"], perfect["high"]) == (pytest.approx(1 - rate["high"]), pytest.approx(1 - rate["low"]))
    assert total["failure_rate"]["assisted"] is None and total["failure_rate"]["worst"] is None
    assert total["words"].startswith("10 audits; the interval is wide; about ")
    assert total["words"] in told["notes"]
    assert told["outcomes"]["wrong"] == 0 and "Biased" in told["outcomes"]["note"]


def test_the_basis_is_what_was_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reviewed predictions are beside the audits only where there are enough of these."""
    policy(service, threshold=0.0, audit_rate=0.5)
    for seed in range(20):
        service.predict(picture(seed))
    for task in leased(service, 20):
        submit(service, task, [MISSED])
    few = get(service)
    assert few["basis"] == "audits" and few["total"]["answers"] == few["total"]["audits"] < 20
    monkeypatch.setattr(rules, "_FEWEST_BESIDE", 1)
    enough = get(service)
    assert enough["basis"] == "all" and enough["total"]["answers"] == 20 > enough["total"]["audits"]


def test_rows_are_by_what_is_asked_for(service: Service) -> None:
    """Label, source, day, week, version; the whole beside them."""
    audited(service, 4, wrong=1, source="=north")
    audited(service, 2, wrong=2, source="south")
    by_source = {row["key"]: row["failure_rate"]["plain"]["value"] for row in get(service, by="source")["rows"]}
    assert by_source == {"=north": 0.25, "south": 1.0}
    bar = next(row for row in get(service, by="label")["rows"] if row["key"] == "bar")
    assert bar["recall"]["plain"]["value"] < 1.0
    today = utc_now().date()
    assert [row["key"] for row in get(service, by="day")["rows"]] == [today.isoformat()]
    monday = today - timedelta(days=today.weekday())
    assert [row["key"] for row in get(service, by="week")["rows"]] == [monday.isoformat()]
    told = get(service, by="model")
    assert [(row["key"], row["answers"]) for row in told["rows"]] == [(told["model_id"], 6)]
    assert told["total"]["answers"] == 6
    assert get(service, last=2)["total"]["failure_rate"]["plain"]["value"] == 1.0
    assert get(service, until="2026-01-02T00:00:00Z")["total"]["answers"] == 0


def test_versions_are_told_apart(service: Service) -> None:
    """By default the champion is told of; another by its name."""
    audited(service, 2, wrong=1)
    services, before = service.services, get(service)["model_id"]
    newer, _ = services.models.register("shapes", tiny_weights(seed=1), "test")
    with services.store.begin() as tx:
        assert tx.projects.move_champion("shapes", expected=before, to=newer.id)
    assert get(service)["total"]["words"] == "no audit was answered yet."
    assert get(service, model=before)["total"]["answers"] == 2
    assert [row["key"] for row in get(service, by="model")["rows"]] == [before]
    problem(service.call("GET", f"{QUALITY}?model=model_none"), 404, "not-found")


def test_what_waits_ends_the_window(service: Service) -> None:
    """And is told; what nobody can say is inside, with bounds."""
    audited(service, 3, wrong=1)
    skipped = service.predict(picture(90)).json()
    (task,) = leased(service)
    body = {"epoch": task["epoch"], "reason": "dark"}
    assert service.call("POST", f"/v1/tasks/{task['id']}/skip", "reviewer", json=body).is_success
    waits = service.predict(picture(91)).json()
    service.predict(picture(92))
    told = get(service)
    assert told["cut"] and told["waiting"] == 2
    assert told["until"] == waits["created_at"]
    assert (told["total"]["answers"], told["total"]["unanswered"]) == (3, 1)
    low, high = told["total"]["failure_rate"]["worst"]
    assert low < told["total"]["failure_rate"]["plain"]["low"] and high > told["total"]["failure_rate"]["plain"]["high"]
    assert any(note.startswith("The figures end at ") for note in told["notes"])
    production_ = service.services.production
    much_later = replace(production_, clock=lambda: utc_now() + production_.rules.patience)
    late = much_later.report("shapes", since=utc_now() - timedelta(days=1), until=utc_now())
    assert late.total.unanswered == 3 and not late.window.cut
    assert skipped["task_id"] == task["id"]


def test_accepted_predictions_are_stood_for(service: Service) -> None:
    """Where half are drawn each audit stands for two; those without a chance are told."""
    policy(service, threshold=1.0, audit_rate=0.5)
    for seed in range(20):
        service.predict(picture(seed))
    policy(service, audit_rate=0.0)
    service.predict(picture(50))
    for task in leased(service, 20):
        submit(service, task, [MISSED])
    told = get(service)
    assert told["total"]["predictions"] == 20 and 1 < told["total"]["audits"] < 20
    assert "Predictions that had no chance in the audit lot, of which nothing is said: 1." in told["notes"]


def test_audits_can_be_drawn_where_they_tell_most(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the risks that passed, once there are enough; as a policy has them. Told, and nothing is changed."""
    path = f"{QUALITY}/audit-rates"
    policy(service, threshold=1.0, audit_rate=0.5)
    problem(service.call("GET", path), 422, "invalid")
    monkeypatch.setattr(audit_bands, "FEWEST_RISKS", 3)
    for seed in range(4):
        service.predict(picture(seed))
    found = get(service, "/audit-rates", rate=0.1)
    assert found["seen"] == 4 and found["worth"] >= 0.9 and 0.0 < found["audit_rate"] <= 0.1
    problem(service.call("GET", path, params={"rate": 0}), 422, "invalid")
    problem(service.call("GET", path, "reviewer"), 403, "forbidden")
    assert service.call("GET", "/v1/projects/shapes").json()["policy"]["audit_rate"] == 0.5
    policy(service, audit_rate=found["audit_rate"], audit_rates={"by_risk": found["by_risk"]})


def test_csv_comes_by_accept_or_by_format(service: Service) -> None:
    """A row for each group, every figure a column; a source that a spreadsheet would run is a text."""
    audited(service, 2, wrong=1, source="=cam()")
    by_format = service.call("GET", f"{QUALITY}?by=source&format=csv")
    by_accept = service.call("GET", f"{QUALITY}?by=source", headers={"Accept": "text/csv"})
    assert by_format.headers["content-type"].startswith("text/csv") and by_format.text == by_accept.text
    (row,) = csv.DictReader(io.StringIO(by_format.text))
    assert row["key"] == "'=cam()" and float(row["failure_rate_plain_value"]) == 0.5
    assert row["failure_rate_assisted_value"] == "" and float(row["precision_plain_n"] or 0) in (0.0, 2.0)
    (whole,) = csv.DictReader(io.StringIO(service.call("GET", f"{QUALITY}?format=csv").text))
    assert whole["audits"] == "2"
    json_ = service.call("GET", f"{QUALITY}?format=json", headers={"Accept": "text/csv"})
    assert json_.json()["total"]["audits"] == 2


def test_a_series_is_for_who_looks_every_day(service: Service) -> None:
    """A point for each day, as JSON or CSV; none where there is nothing."""
    assert get(service, "/series")["points"] == []
    audited(service, 6, wrong=3)
    told = get(service, "/series")
    (point,) = told["points"]
    assert told["basis"] == "audits" and point["day"] == utc_now().date().isoformat()
    assert point["audits"] == 6 and point["low"] <= point["value"] == 0.5 <= point["high"]
    (row,) = csv.DictReader(io.StringIO(service.call("GET", f"{QUALITY}/series?format=csv").text))
    assert float(row["value"]) == 0.5
    later = (utc_now() - timedelta(hours=1)).isoformat()
    assert len(get(service, "/series", since=later)["points"]) == 1


@pytest.mark.parametrize("path", ["", "/series"])
def test_quality_is_for_operators(service: Service, path: str) -> None:
    """A reviewer would learn from it what audits find; a producer has no need of it."""
    for role in ("reviewer", "producer"):
        problem(service.call("GET", QUALITY + path, role), 403, "forbidden")
    problem(service.call("GET", f"/v1/projects/none/quality{path}"), 404, "not-found")
    assert service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["a"]}).is_success
    problem(service.call("GET", f"/v1/projects/bare/quality{path}"), 409, "no-champion")


@pytest.mark.parametrize(
    "params",
    [{"by": "moon"}, {"last": 0}, {"last": 10_001}, {"since": "2026-02-01T00:00:00"}, {"format": "xml"},
     {"since": "2026-02-02T00:00:00Z", "until": "2026-02-01T00:00:00Z"}],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(service: Service, params: dict[str, object]) -> None:
    problem(service.call("GET", QUALITY, params=params), 422, "invalid")


def test_one_report_at_a_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a second of a core, which predictions want too: the others wait, and not for ever."""
    monkeypatch.setattr(production, "_PATIENCE_SECONDS", 0.01)
    with production._one_at_a_time:
        problem(service.call("GET", QUALITY), 503, "overloaded")
    assert service.call("GET", QUALITY).status_code == 200


def test_figures_for_monitoring_are_made_in_the_background(service: Service) -> None:
    """A scrape reads what is there; old figures are made anew, fresh ones are left."""
    audited(service, 4, wrong=1)
    store = service.services.store
    now = 0.0
    gauges = Gauges(lambda: now)
    gauges.follow(store)
    assert b"askance_failure_rate{" not in generate_latest()
    (figures,) = service.services.production.refresh()
    assert (figures.audits, figures.failure_rate) == (4, 0.25)
    assert service.services.production.refresh() == []
    gauges.follow(store)
    assert b"askance_failure_rate{" not in generate_latest()
    now = 15.0
    gauges.follow(store)
    scraped = service.call("GET", "/metrics", None).text
    of = f'{{model="{figures.model_id}",project="shapes"}}'
    assert f"askance_failure_rate{of} 0.25" in scraped
    assert f"askance_audits_answered{of} 4.0" in scraped
    assert f"askance_failure_rate_low{of}" in scraped and f"askance_failure_rate_high{of}" in scraped
    old = replace(service.services.production, clock=lambda: utc_now() + timedelta(days=1))
    assert len(old.refresh()) == 1


# --- outcomes ---------------------------------------------------------------------------------------------


def test_an_outcome_is_kept_and_shown(service: Service) -> None:
    """Beside the prediction; the same again is the same, another word takes its place."""
    prediction = service.predict(picture()).json()
    made = report(service, prediction, reason=" missed a crack ", labels=["bar", "bar"])
    assert made.status_code == 201, made.text
    assert (made.json()["reason"], made.json()["labels"], made.json()["task_id"]) == ("missed a crack", ["bar"], None)
    again = report(service, prediction, reason="missed a crack", labels=["bar"])
    assert again.status_code == 200 and again.json() == made.json()
    assert report(service, prediction, "operator", outcome="right").status_code == 201
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert [one["outcome"] for one in stored["outcomes"]] == ["wrong", "right"]
    assert report(service, prediction, outcome="right").status_code == 201
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert [(one["outcome"], one["reason"]) for one in stored["outcomes"]] == [("right", ""), ("right", "")]


def test_outcomes_are_in_none_of_the_figures(service: Service) -> None:
    """Nor are the answers to the tasks that were made for them; they are counted beside."""
    audited(service, 6, wrong=1)
    policy(service, audit_rate=0.25)
    with service.services.store.read() as tx:
        assert tx.projects.get("shapes").policy.threshold == 1.0
    accepted = []
    while len(accepted) < 5:
        made = service.predict(picture(200 + service.inferencer.calls)).json()
        accepted += [made] if made["decision"]["action"] == "accept" else []
    for task in leased(service, 20):
        submit(service, task, [MISSED])
    before, series = get(service), get(service, "/series")["points"]
    for prediction in accepted:
        kept = report(service, prediction, send_to_review=True).json()
        assert kept["task_id"] and kept["note"] == ""
    tasks = leased(service, 20)
    assert len(tasks) == 5 and {task["reason"] for task in tasks} == {"Reported as wrong"}
    after_reports = get(service)
    for task in tasks:
        assert submit(service, task, [MISSED]).status_code == 200
    after = get(service)
    for told in (after_reports, after):
        assert told["total"] == before["total"] and told["waiting"] == 0
        assert (told["outcomes"]["wrong"], told["outcomes"]["right"]) == (5, 0)
    assert get(service, "/series")["points"] == series
    with service.services.store.read() as tx:
        reviewed = tx.submissions.reviewed("shapes", before["model_id"])
    assert len(reviewed) == before["total"]["answers"]


def test_a_reported_failure_is_first_in_the_queue(service: Service) -> None:
    """As a task like a selection's; an item that had its task gets no second one, and its caller is told."""
    routed = service.predict(picture(0)).json()
    policy(service, threshold=1.0, audit_rate=0.0)
    accepted = service.predict(picture(1)).json()
    assert "already" in report(service, routed, send_to_review=True).json()["note"]
    made = report(service, accepted).json()
    assert made["task_id"] is None
    queued = report(service, accepted, send_to_review=True)
    assert queued.status_code == 201 and queued.json()["task_id"]
    again = report(service, accepted, send_to_review=True)
    assert again.status_code == 200 and again.json()["task_id"] == queued.json()["task_id"]
    assert report(service, accepted, "operator", send_to_review=True).json()["task_id"] is None
    assert [task["id"] for task in leased(service, 9)] == [queued.json()["task_id"], routed["task_id"]]


def test_an_image_that_was_not_kept_cannot_be_looked_at(service: Service) -> None:
    policy(service, threshold=1.0, audit_rate=0.0)
    prediction = service.predict(picture()).json()
    next(Path(service.services.settings.blobs_url).rglob(prediction["item_digest"])).unlink()
    problem(report(service, prediction, send_to_review=True), 409, "conflict")
    assert report(service, prediction).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "perhaps"},
        {"reason": "x" * 1001},
        {"labels": [""]},
        {"labels": ["x"] * 101},
        {"at": "2026-02-01T00:00:00"},
        {"at": "2001-01-01T00:00:00Z"},
        {"at": "2199-01-01T00:00:00Z"},
        {"outcome": "right", "send_to_review": True},
        {"outcome": "wrong", "score": 1},
        {"reason": "a\u0000b"},
    ],
)
def test_an_outcome_that_cannot_be_is_refused(service: Service, body: dict[str, object]) -> None:
    prediction = service.predict(picture()).json()
    problem(report(service, prediction, **body), 422, "invalid")
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert stored["outcomes"] == []


def test_outcomes_are_for_callers(service: Service) -> None:
    """Of the project; a reviewer does not judge twice."""
    prediction = service.predict(picture()).json()
    problem(report(service, prediction, "reviewer"), 403, "forbidden")
    problem(report(service, {"id": "pred_none"}), 404, "not-found")
    body = {"outcomes": [{"prediction_id": prediction["id"], "outcome": "wrong"}]}
    problem(service.call("POST", "/v1/projects/shapes/outcomes", "reviewer", json=body), 403, "forbidden")
    problem(service.call("POST", "/v1/projects/none/outcomes", "operator", json=body), 404, "not-found")


def test_many_outcomes_are_kept_at_once(service: Service) -> None:
    """What cannot be kept is named by its place, and does not hinder the others; again, nothing changes."""
    made = [service.predict(picture(seed)).json() for seed in range(3)]
    entries = [{"prediction_id": one["id"], "outcome": "wrong"} for one in made]
    entries[1:1] = [{"prediction_id": "pred_none", "outcome": "right"}]
    entries[3:3] = [{"prediction_id": made[0]["id"], "outcome": "right", "send_to_review": True}]
    answer = service.call("POST", "/v1/projects/shapes/outcomes", "producer", json={"outcomes": entries})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["kept"], told["unchanged"], told["tasks"]) == (3, 0, 0)
    assert [one["place"] for one in told["refused"]] == [1, 3]
    again = service.call("POST", "/v1/projects/shapes/outcomes", "producer", json={"outcomes": entries}).json()
    assert (again["kept"], again["unchanged"]) == (0, 3)
    assert get(service)["outcomes"]["wrong"] == 3
    for wrong in ([], [entries[0]] * 501):
        sent = service.call("POST", "/v1/projects/shapes/outcomes", "producer", json={"outcomes": wrong})
        problem(sent, 422, "invalid")
