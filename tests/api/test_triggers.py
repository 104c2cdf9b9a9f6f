"""Cycles that nobody has to ask for, over HTTP and through the loop that looks."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from loop.domain.access import Role, Token
from loop.domain.cycle import CycleState
from loop.wiring import utc_now
from tests.api.conftest import Service, picture
from tests.api.test_drift import Fill
from tests.api.test_production import audited
from tests.api.test_review import BOX, leased, submit

PATH = "/v1/projects/shapes/triggers"


def reviewed(service: Service, count: int, first: int = 0) -> None:
    for seed in range(first, first + count):
        service.predict(picture(seed))
        (task,) = leased(service)
        assert submit(service, task, [BOX]).status_code == 200


def cycles(service: Service) -> list[dict]:
    return service.call("GET", "/v1/projects/shapes/cycles").json()["cycles"]


def test_nothing_asks_where_nothing_is_set(service: Service) -> None:
    reviewed(service, 3)
    found = service.call("GET", PATH).json()
    assert found["reasons"] == [] and "no trigger is set" in found["waiting"]
    assert found["situation"]["reviewed"] == found["situation"]["corrected"] == 3
    assert service.services.triggers.look() == []


def test_a_trigger_asks_once_with_its_reason(service: Service) -> None:
    """The cycle names the reason; while it is under way nothing asks for another, and after it only what is new."""
    body = {"reviewed": 3, "least_new": 2, "quiet_hours": 0}
    assert service.call("PATCH", PATH, json=body).json()["rules"]["reviewed"] == 3
    reviewed(service, 2)
    assert service.services.triggers.look() == []
    reviewed(service, 1, first=2)
    (begun,) = service.services.triggers.look()
    assert service.services.triggers.look() == []
    (cycle,) = cycles(service)
    assert (cycle["id"], cycle["actor"]) == (begun.id, "trigger")
    assert cycle["reason"] == "3 items were reviewed since the last cycle"
    assert begun.id in service.call("GET", PATH).json()["waiting"]
    now = service.services.clock()
    with service.services.store.begin() as tx:
        tx.cycles.save(replace(begun, state=CycleState.REFUSED, finished_at=now, updated_at=now))
    assert service.services.triggers.look() == []
    assert service.call("GET", PATH).json()["situation"]["reviewed"] == 0
    reviewed(service, 3, first=3)
    assert len(service.services.triggers.look()) == 1


def test_what_a_failed_cycle_was_to_learn_from_asks_again(service: Service) -> None:
    """After `failed_hours`: whatever made it fail, nothing of it was learned."""
    service.call("PATCH", PATH, json={"reviewed": 3, "least_new": 2, "quiet_hours": 0, "failed_hours": 0})
    reviewed(service, 3)
    (begun,) = service.services.triggers.look()
    now = service.services.clock()
    with service.services.store.begin() as tx:
        tx.cycles.save(replace(begun, state=CycleState.FAILED, error="disk full", finished_at=now, updated_at=now))
    assert service.call("GET", PATH).json()["situation"]["reviewed"] == 3
    (again,) = service.services.triggers.look()
    assert again.id != begun.id


def test_changes_name_what_changes_and_null_takes_away(service: Service) -> None:
    service.call("PATCH", PATH, json={"reviewed": 7, "drift": True})
    rules = service.call("PATCH", PATH, json={"reviewed": None, "every_hours": 24}).json()["rules"]
    assert (rules["reviewed"], rules["drift"], rules["every_hours"]) == (None, True, 24)
    kinds = [event["kind"] for event in service.call("GET", "/v1/projects/shapes/events").json()["events"]]
    assert kinds.count("triggers.changed") == 2


def test_who_says_what_was_looked_at_is_told_of_what_others_have_changed(service: Service) -> None:
    """Nothing of the second one's change is kept; who says no version changes what is there, whoever was before."""
    seen = service.call("GET", PATH).json()["version"]
    won = service.call("PATCH", PATH, json={"reviewed": 7, "version": seen}).json()
    assert won["version"] not in (seen, None)
    lost = service.call("PATCH", PATH, json={"reviewed": 8, "quiet_hours": 2, "version": seen})
    assert lost.status_code == 409 and "Look at them as they are now" in lost.json()["hint"]
    assert lost.json()["ids"]["version"] == won["version"]
    assert service.call("GET", PATH).json()["rules"] == won["rules"]
    assert service.call("PATCH", PATH, json={"quiet_hours": 2}).json()["rules"] == won["rules"] | {"quiet_hours": 2}


def test_the_next_times_of_a_schedule_are_told(service: Service) -> None:
    """By the clock on the wall; none where none is set."""
    assert service.call("GET", PATH).json()["next_times"] == []
    now = utc_now()
    times = service.call("PATCH", PATH, json={"schedule": NIGHTLY}).json()["next_times"]
    there = [datetime.fromisoformat(time).astimezone(ZoneInfo(NIGHTLY["zone"])) for time in times]
    assert [f"{time:%H:%M}" for time in there] == ["02:30"] * 3
    assert there == [there[0] + timedelta(days=days) for days in range(3)] and there[0] > now


def test_what_makes_no_sense_is_refused(service: Service) -> None:
    zone, since = NIGHTLY | {"zone": "Europe/Bern"}, NIGHTLY | {"since": "2020-01-01T00:00:00+00:00"}
    for body in (
        {"reviewed": 0}, {"failure_rate": 1}, {"every_hours": -1}, {"weekly": True}, {"schedule": {"at": "25:00"}},
        {"schedule": zone}, {"schedule": since},
    ):  # fmt: skip
        answer = service.call("PATCH", PATH, json=body)
        assert answer.status_code == 422, body
    assert service.call("GET", "/v1/projects/none/triggers").status_code == 404


def test_only_operators_may(service: Service) -> None:
    for role in ("reviewer", "producer"):
        assert service.call("GET", PATH, role).status_code == 403
        assert service.call("PATCH", PATH, role, json={"reviewed": 3}).status_code == 403


def test_conditions_are_combined(service: Service) -> None:
    """Both have to hold; the cycle names what held and what did not."""
    when = {"any": [{"all": ["reviewed", "corrected"]}, "every_hours"]}
    rules = {"reviewed": 2, "corrected": 2, "every_hours": 1, "least_new": 1, "quiet_hours": 0}
    assert service.call("PATCH", PATH, json=rules | {"when": when}).json()["rules"]["when"] == when
    first = service.services.triggers.look()  # no cycle has ended: the clock asks, but nothing is new
    assert first == []
    service.call("PATCH", PATH, json={"every_hours": None, "when": {"all": ["reviewed", "corrected"]}})
    reviewed(service, 1)
    found = service.call("GET", PATH).json()
    assert found["reasons"] == [] and [(one["name"], one["holds"]) for one in found["conditions"]] == [
        ("reviewed", False), ("corrected", False),
    ]  # fmt: skip
    reviewed(service, 1, first=1)
    assert len(service.services.triggers.look()) == 1
    assert cycles(service)[0]["reason"] == (
        "2 items were reviewed since the last cycle; 2 items were corrected since the last cycle"
    )


NIGHTLY = {"at": "02:30", "zone": "Asia/Kolkata"}  # without summer time, so that a day has one, whenever this runs


def looks_after(service: Service, days: float) -> list[str]:
    """The ids of the cycles that a look asks for, so much later."""
    later = replace(service.services.triggers, clock=lambda: utc_now() + timedelta(days=days))
    return [cycle.id for cycle in later.look()]


def end(service: Service, cycle_id: str) -> None:
    now = service.services.clock()
    with service.services.store.begin() as tx:
        cycle = tx.cycles.get("shapes", cycle_id)
        tx.cycles.save(replace(cycle, state=CycleState.REFUSED, finished_at=now, updated_at=now))


def test_a_schedule_asks_once_at_its_time_and_once_for_all_that_were_missed(service: Service) -> None:
    """From when it was set on: a time that was over by then asks for nothing."""
    body = {"schedule": NIGHTLY, "least_new": 1, "quiet_hours": 0}
    assert service.call("PATCH", PATH, json=body).json()["rules"]["schedule"] == NIGHTLY | {"days": []}
    reviewed(service, 2)
    assert looks_after(service, 0) == []
    (begun,) = looks_after(service, 1)
    (cycle,) = cycles(service)
    assert cycle["reason"].startswith("it is time: every day at 02:30 Asia/Kolkata")
    end(service, begun)
    reviewed(service, 2, first=2)
    assert looks_after(service, 1) == []
    (begun,) = looks_after(service, 9)  # the service was down
    end(service, begun)
    reviewed(service, 2, first=4)
    assert looks_after(service, 9) == []
    assert len(looks_after(service, 10)) == 1


def test_what_does_not_hold_at_the_time_of_a_schedule_waits_for_the_next(service: Service) -> None:
    """Who has set the night for it does not find a training in the morning."""
    body = {"schedule": NIGHTLY, "reviewed": 2, "when": {"all": ["schedule", "reviewed"]}, "least_new": 1}
    assert service.call("PATCH", PATH, json=body).status_code == 200
    reviewed(service, 1)
    assert looks_after(service, 1) == []
    reviewed(service, 1, first=1)
    assert looks_after(service, 1) == []
    assert len(looks_after(service, 2)) == 1


def test_a_schedule_goes_on_where_other_rules_change_and_begins_anew_where_it_does(service: Service) -> None:
    service.call("PATCH", PATH, json={"schedule": NIGHTLY, "least_new": 1, "quiet_hours": 0})
    reviewed(service, 1)
    tomorrow = replace(service.services.triggers, clock=lambda: utc_now() + timedelta(days=1))
    with service.services.store.read() as tx:
        kept = tx.cycles.triggers("shapes").schedule
    assert kept is not None and kept.since is not None
    tomorrow.change(operator_of(service), "shapes", {"quiet_hours": 1})
    assert tomorrow.status("shapes").rules.schedule == kept
    assert tomorrow.status("shapes").verdict.reasons
    tomorrow.change(operator_of(service), "shapes", {"schedule": NIGHTLY | {"days": ["sun"]}})
    assert tomorrow.status("shapes").verdict.reasons == ()
    assert tomorrow.change(operator_of(service), "shapes", {"schedule": None}).schedule is None


def operator_of(service: Service) -> Token:
    with service.services.store.read() as tx:
        return next(token for token in tx.tokens.all() if token.role is Role.OPERATOR)


def test_a_combination_names_just_what_is_set(service: Service) -> None:
    when = {"all": ["reviewed", "drift"]}
    refused = service.call("PATCH", PATH, json={"reviewed": 2, "when": when})
    assert refused.status_code == 422 and "when names drift, which is not set" in refused.text
    assert service.call("PATCH", PATH, json={"reviewed": 2, "drift": True, "when": when}).status_code == 200
    gone = service.call("PATCH", PATH, json={"reviewed": None})
    assert gone.status_code == 422 and "when names reviewed" in gone.text
    assert service.call("PATCH", PATH, json={"reviewed": None, "when": None}).json()["rules"]["drift"] is True


def test_failures_of_production_ask_by_the_figures_that_monitoring_has(service: Service) -> None:
    """The lower end of the interval of audits, of the champion that serves, once it has been computed; not the rate
    itself, of which few audits say little."""
    body = {"failure_rate": 0.3, "least_new": 1, "quiet_hours": 0}
    assert service.call("PATCH", PATH, json=body).status_code == 200
    audited(service, 12, wrong=6)
    triggers, production = service.services.triggers, service.services.production
    assert triggers.look() == [] and service.call("GET", PATH).json()["situation"]["failure_rate"] is None
    (figures,) = production.refresh()
    assert figures.low is not None and figures.low < 0.3 < 0.5 == figures.failure_rate
    assert triggers.look() == []
    assert service.call("GET", PATH).json()["situation"]["failure_rate"] == figures.low
    audited(service, 20, wrong=20)
    (figures,) = replace(production, clock=lambda: utc_now() + timedelta(days=1)).refresh()
    (begun,) = triggers.look()
    assert figures.low > 0.3 and begun.actor == "trigger"
    assert begun.reason.startswith(f"at least {figures.low:.3f} of the predictions fail, more than 0.3")


def test_an_alarm_of_drift_asks_while_it_is_on(service: Service) -> None:
    """As the watch over drift says, by its schedule; not before the champion has anything to be compared with."""
    assert service.call("PATCH", PATH, json={"drift": True, "least_new": 1, "quiet_hours": 0}).status_code == 200
    reviewed(service, 1)
    watch, triggers = service.services.drift, service.services.triggers
    assert triggers.look() == [] and service.call("GET", PATH).json()["situation"]["drift"] is False
    fill = Fill(service)
    fill(300)
    watch.look_due()
    assert triggers.look() == []
    for days in (1, 2):  # it takes two windows, and time between them
        assert service.call("GET", PATH).json()["situation"]["drift"] is False and triggers.look() == []
        fill(200, lies=12.0)
        (_,) = replace(watch, clock=lambda ahead=days: utc_now() + timedelta(days=ahead)).look_due()
    assert service.call("GET", PATH).json()["situation"]["drift"] is True
    (begun,) = triggers.look()
    assert begun.actor == "trigger" and begun.reason == "production drifts"
    service.services.controller.cancel("shapes", begun.id, "ada", "test")
    service.call("PATCH", PATH, json={"failed_hours": 0})
    watch.accept("shapes", "ada")
    assert triggers.look() == []
