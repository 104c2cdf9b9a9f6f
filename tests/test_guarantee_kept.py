"""Promises in practice: from predictions and answers to thresholds, routing and the alarm, over a real database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from loop.domain.errors import Conflict, Invalid
from loop.domain.guarantee.thresholds import Phase, Why
from loop.domain.policy.gate import Review
from loop.domain.routing import Action, gives_evidence
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.promising import PROJECT, Plant


@pytest.fixture
def store(tmp_path: Path, sqlite_template: Path) -> Iterator[SqlStore]:
    shutil.copyfile(sqlite_template, tmp_path / "a.db")
    store = SqlStore.open(f"sqlite:///{tmp_path}/a.db")
    yield store
    store.close()


@pytest.fixture
def plant(store: SqlStore, tmp_path: Path) -> Plant:
    return Plant(store, FsspecBlobs.open(str(tmp_path / "blobs")))


def running(plant: Plant, count: int = 300, **promise: object) -> None:
    """Enough was answered for predictions to pass."""
    plant.promise({"alpha": 0.1, **promise}, evidence_share=1.0)
    plant.keep()
    plant.predict(count)
    plant.answer()
    record = plant.keep()
    assert record is not None and record.automation > 0.2


def until(plant: Plant, event: str, each: int = 100) -> None:
    """each: predictions between two looks; with few of them thresholds follow before an alarm has to sound."""
    for _ in range(10):
        plant.predict(each)
        plant.answer()
        plant.keep()
        if plant.events(event):
            return
    raise AssertionError(f"no {event}")


def test_without_a_promise_the_policy_s_threshold_routes(plant: Plant) -> None:
    """As ever; no record is made, and none is named."""
    made = plant.predict(40)
    assert {one.decision.threshold for one in made} == {0.5}
    assert {one.decision.threshold_version for one in made} == {None}
    assert plant.keep() is None
    with pytest.raises(Invalid, match="promises nothing"):
        plant.promises.status(plant.operator, PROJECT)


def test_crawl_then_run(plant: Plant) -> None:
    """With a promise people look at everything until their answers allow otherwise; then what passes names the record
    and the bound it rests on."""
    plant.promise({"alpha": 0.1}, evidence_share=1.0)
    first = plant.predict(5)
    assert all(one.decision.action is Action.REVIEW and one.decision.inclusion_probability == 1.0 for one in first)
    assert first[0].decision.reasons[-1].code == "no-threshold-yet"
    assert plant.keep().why is Why.BEGUN
    assert plant.promises.status(plant.operator, PROJECT).phase is Phase.CRAWL
    plant.predict(295)
    plant.answer()
    record = plant.keep()
    assert (record.why, record.answered, record.size) == (Why.ANSWERS, 300, 300)
    assert record.groups[0].bound <= 0.1 < record.automation
    status = plant.promises.status(plant.operator, PROJECT)
    assert (status.phase, status.waits_for, status.unmet) == (Phase.RUN, "", False)
    later = plant.predict(100)
    accepted = [one.decision for one in later if one.decision.action is Action.ACCEPT]
    assert accepted and len(accepted) < 100
    assert {one.threshold_version for one in accepted} == {record.version}
    assert {one.inclusion_probability for one in accepted} == {0.2}
    assert "promise 1 (all): at most" in accepted[0].reasons[-1].detail


def test_a_record_can_be_explained(plant: Plant) -> None:
    """It names the answers that it rests on, and stays as it is when others are made."""
    running(plant)
    newest = plant.promises.history(plant.operator, PROJECT, before=None, limit=10)[0]
    record, evidence = plant.promises.record(plant.operator, PROJECT, newest.version)
    with plant.store.read() as tx:
        seen = tx.sampled.newest(PROJECT, record.model_id, since=plant.began, until=plant.clock(), limit=1000)
    assert record == newest and evidence == [one.prediction_id for one in reversed(seen)]
    plant.predict(300)
    plant.answer()
    assert plant.keep().version == record.version + 1
    assert plant.promises.record(plant.operator, PROJECT, record.version) == (record, evidence)
    assert plant.events("guarantee.changed")[0].body["version"] == record.version + 1


def test_thresholds_are_made_anew_when_enough_was_answered(plant: Plant) -> None:
    """A tenth more, at least ten; or after a day."""
    running(plant)
    plant.predict(100)
    plant.answer(20)
    assert plant.keep() is None
    plant.answer()
    plant.predict(100)
    plant.answer()
    assert plant.keep() is not None
    assert plant.keep() is None
    plant.wait(1.1)
    assert plant.keep().why is Why.ANSWERS


def test_what_nobody_could_say_counts_as_a_failure(plant: Plant) -> None:
    running(plant)
    before = plant.promises.status(plant.operator, PROJECT).record
    plant.predict(300)
    plant.answer(skip=True)
    plant.wait(1.1)
    record = plant.keep()
    assert record.closed > 0 and record.answered > before.answered
    assert record.automation < before.automation


def test_answers_count_up_to_the_oldest_that_waits(plant: Plant) -> None:
    """Until people's patience is over: then it is a failure, and the window goes on."""
    plant.promise({"alpha": 0.1}, evidence_share=1.0)
    plant.keep()
    made = plant.predict(61)
    plant.answer(20)
    record = plant.keep()
    assert (record.answered, record.window_until) == (20, made[20].created_at)
    plant.answer(40, newest=True)
    assert plant.keep().answered == 20
    plant.wait(2.1)
    record = plant.keep()
    assert (record.answered, record.overdue) == (61, 1)


def test_a_policy_of_another_version_begins_with_its_own_thresholds(plant: Plant) -> None:
    """Until they are made people look at everything; the answers that there are count for them at once."""
    running(plant)
    plant.promise({"alpha": 0.05}, evidence_share=1.0)
    assert all(one.decision.action is Action.REVIEW for one in plant.predict(20))
    record = plant.keep()
    assert (record.why, record.answered) == (Why.BEGUN, 300)


def test_a_new_champion_crawls(plant: Plant) -> None:
    """What was answered of another model says nothing of it."""
    running(plant)
    plant.add_champion(1)
    assert all(one.decision.action is Action.REVIEW for one in plant.predict(20))
    record = plant.keep()
    assert (record.why, record.answered, record.automation) == (Why.BEGUN, 0, 0.0)


def test_groups_pass_only_by_their_own_evidence(plant: Plant) -> None:
    """By source: where one of them has too few answers it is reviewed, whatever the other allows; of one that is not
    known nothing passes either."""
    plant.promise({"alpha": 0.1, "by": "source"}, evidence_share=1.0)
    plant.keep()
    plant.predict(200, source="day")
    plant.predict(15, source="night")
    plant.answer()
    record = plant.keep()
    values = {one.group: one.value for one in record.groups}
    assert values["source=night"] == 0.0 < values["source=day"]
    assert plant.promises.status(plant.operator, PROJECT).phase is Phase.WALK
    assert any(one.decision.action is Action.ACCEPT for one in plant.predict(50, source="day"))
    assert all(one.decision.action is Action.REVIEW for one in plant.predict(20, source="night"))
    unknown = plant.predict(5, source="elsewhere")
    assert {one.decision.reasons[-1].code for one in unknown} == {"no-evidence"}


def test_what_comes_from_a_source_that_was_never_seen_is_reviewed(plant: Plant) -> None:
    """Sources that are too many, or too small, share a threshold; one that is in no evidence does not."""
    plant.promise({"alpha": 0.1, "by": "source"}, evidence_share=1.0)
    plant.keep()
    plant.predict(200, source="day")
    for number in range(60):
        plant.predict(5, source=f"small-{number}")
    plant.answer()
    record = plant.keep()
    values = {one.group: one.value for one in record.groups}
    assert values["other"] > 0.0 and "source=small-7" in record.others and "source=day" not in record.others
    assert any(one.decision.action is Action.ACCEPT for one in plant.predict(60, source="small-7"))
    unknown = plant.predict(60, source="small-99")
    assert {one.decision.reasons[-1].code for one in unknown} == {"no-evidence"}


def test_audits_can_be_drawn_more_often_where_it_matters(plant: Plant) -> None:
    """By source, label and risk; the largest rate that applies is kept with the decision."""
    running(plant)
    plant.projects.change_policy(
        PROJECT, "bob", audit_rates={"by_source": {"night": 0.5}, "by_label": {"bar": 0.9}, "by_risk": [(0.0, 0.3)]}
    )
    plant.keep()
    rates = [{one.decision.audit_rate for one in plant.predict(3, **about)} for about in (
        {}, {"source": "night"}, {"source": "night", "label": 2})]  # fmt: skip
    assert rates == [{0.3}, {0.5}, {0.9}]


def test_an_alarm_has_people_look_at_everything_until_new_answers_keep_the_promise(plant: Plant) -> None:
    """Production becomes worse behind the threshold's back: audits find it, webhooks are told once. What is answered
    since then decides when it is over."""
    running(plant)
    plant.worse = 0.7
    until(plant, "guarantee.broken", each=400)
    broken = plant.events("guarantee.broken")
    assert broken[0].body["rate"] > 0.1 and broken[0].body["group"] == "all"
    assert plant.promises.status(plant.operator, PROJECT).unmet
    assert all(one.decision.action is Action.REVIEW for one in plant.predict(30))
    assert plant.predict(1)[0].decision.reasons[-1].code == "promise-broken"
    plant.answer()
    plant.keep()
    assert len(plant.events("guarantee.broken")) == 1
    plant.worse = 0.0
    until(plant, "guarantee.over")
    record = plant.promises.status(plant.operator, PROJECT).record
    assert record.alarm is None and record.not_before is not None
    assert any(one.decision.action is Action.ACCEPT for one in plant.predict(50))


def test_an_alarm_is_accepted_by_hand_or_only_told(plant: Plant) -> None:
    """With on_alarm `tell` routing goes on."""
    plant.promise({"alpha": 0.1}, evidence_share=1.0, on_alarm="tell")
    plant.keep()
    plant.predict(300)
    plant.answer()
    plant.keep()
    with pytest.raises(Conflict, match="no promise is found broken"):
        plant.guarantee.accept(plant.operator, PROJECT, "nothing")
    plant.worse = 0.7
    until(plant, "guarantee.broken", each=400)
    assert any(one.decision.action is Action.ACCEPT for one in plant.predict(50))
    record = plant.guarantee.accept(plant.operator, PROJECT, "a holiday")
    assert (record.alarm, record.why) == (None, Why.ACCEPTED)
    assert plant.events("guarantee.over")[0].actor == "bob"


def test_a_risk_learned_again_comes_with_its_thresholds(store: SqlStore, tmp_path: Path) -> None:
    """It is learned without the predictions that judge it, and no prediction is routed by it without a record."""
    plant = Plant(store, FsspecBlobs.open(str(tmp_path / "blobs")), learn=True)
    plant.promise({"alpha": 0.2}, evidence_share=0.5)
    plant.keep()
    plant.predict(300)
    plant.answer()
    assert plant.risks.refit_due() == [plant.model.id]
    record = plant.promises.history(plant.operator, PROJECT, before=None, limit=1)[0]
    assert (record.why, record.risk_key) == (Why.RISK, plant.model.risk_key) and record.risk_key
    learned = plant.risks.status(plant.model).learned
    assert learned.fitted_on + record.answered == 300
    secret, policy = store.secret(), plant.project.policy
    _, evidence = plant.promises.record(plant.operator, PROJECT, record.version)
    assert all(gives_evidence(secret, one, policy) for one in evidence)
    assert record.automation > 0.1
    assert any(one.decision.threshold_version == record.version for one in plant.predict(20))
    assert plant.risks.refit_due() == []


def test_a_risk_that_was_learned_from_its_judges_judges_nothing(store: SqlStore, tmp_path: Path) -> None:
    """A promise that is made later has it learned anew first; until then people look at everything."""
    plant = Plant(store, FsspecBlobs.open(str(tmp_path / "blobs")), learn=True)
    plant.promise(audit_rate=1.0)
    plant.projects.change_policy(PROJECT, "bob", guarantee_changes={"promises": []})
    plant.predict(300)
    plant.answer()
    assert plant.risks.refit_due()
    plant.promise({"alpha": 0.2})
    assert plant.keep() is None
    assert "learned again" in plant.promises.status(plant.operator, PROJECT).waits_for
    assert all(one.decision.action is Action.REVIEW for one in plant.predict(5))
    assert plant.risks.refit_due()
    assert plant.promises.status(plant.operator, PROJECT).record.why is Why.RISK


def test_what_promises_ask_of_people_is_told_and_never_loosened_in_silence(plant: Plant) -> None:
    """`hold`: thresholds stay. `best_effort`: as many as people can look at, and the promise shows as unmet."""
    running(plant)
    plant.promise({"alpha": 0.1}, evidence_share=1.0, hours_a_day=0.0)
    held = plant.keep()
    status = plant.promises.status(plant.operator, PROJECT)
    assert held.relaxed is None and status.capacity.short
    assert status.capacity.says.endswith("reviewer-hours a day, have 0.0")
    plant.promise({"alpha": 0.1}, evidence_share=1.0, hours_a_day=0.0, when_short="best_effort")
    relaxed = plant.keep()
    assert relaxed.relaxed is not None and relaxed.review_share == pytest.approx(0.2)
    assert plant.promises.status(plant.operator, PROJECT).unmet
    made = [one.decision for one in plant.predict(50) if one.decision.action is Action.ACCEPT]
    assert {one.reasons[-1].code for one in made} >= {"promise-unmet"}


def test_what_waits_leaves_less_time_for_what_comes(plant: Plant) -> None:
    """The same predictions and hours: once they are answered all that is risky is reviewed; while too much of them
    waits people get less of what comes, or are told to be short of time."""
    rules = {"evidence_share": 1.0, "hours_a_day": 2.0, "patience_days": 0.25}
    running(plant)
    plant.predict(400)
    waiting = len(plant.waiting)
    plant.promise({"alpha": 0.1}, when_short="best_effort", **rules)
    behind = plant.keep()
    assert behind.relaxed is not None
    plant.promise({"alpha": 0.1}, when_short="hold", **rules)
    held = plant.keep()
    capacity = plant.promises.status(plant.operator, PROJECT).capacity
    assert held.relaxed is None
    assert capacity.queue == waiting and capacity.hours_for_queue > 0.0 and capacity.short
    plant.answer()
    plant.promise({"alpha": 0.1}, when_short="best_effort", **rules)
    assert plant.keep().relaxed is None
    capacity = plant.promises.status(plant.operator, PROJECT).capacity
    assert (capacity.queue, capacity.hours_for_queue, capacity.short) == (0, 0.0, False)


def test_what_people_have_no_time_for_breaks_no_promise(plant: Plant) -> None:
    """A promise that shows as unmet, since people can do no more, is no alarm: then they would have to look at all."""
    running(plant, 600)
    plant.promise({"alpha": 0.02}, evidence_share=1.0, hours_a_day=0.0, when_short="best_effort")
    for _ in range(6):
        record = plant.keep()
        assert record is None or record.relaxed is not None
        plant.predict(200)
        plant.answer()
    assert plant.events("guarantee.broken") == []
    assert plant.promises.status(plant.operator, PROJECT).record.review_share == pytest.approx(0.2)


def test_while_a_promise_is_broken_people_look_at_as_much_as_they_can(plant: Plant) -> None:
    """With `best_effort`: at the riskiest first, and the rest passes as unmet."""
    running(plant)
    plant.worse = 0.7
    until(plant, "guarantee.broken", each=400)
    plant.promise({"alpha": 0.1}, evidence_share=1.0, hours_a_day=0.0, when_short="best_effort")
    plant.predict(30)
    plant.answer()
    record = plant.keep()
    assert record.alarm is not None and record.relaxed is not None
    assert record.review_share == pytest.approx(0.2) and record.automation == 0.0
    accepted = [one.decision for one in plant.predict(50) if one.decision.action is Action.ACCEPT]
    assert accepted and {one.reasons[-1].code for one in accepted} == {"promise-unmet"}


def test_what_callers_decline_breaks_no_promise(plant: Plant) -> None:
    """Who asks for no review gets what was not promised, and the others' promise goes on."""
    running(plant)
    for _ in range(6):
        plant.predict(200, review=Review.NEVER)
        plant.predict(50)
        plant.answer()
        plant.keep()
    assert plant.events("guarantee.broken") == []
    assert any(one.decision.action is Action.ACCEPT for one in plant.predict(50))


def test_hours_reckon_with_every_audit_rate(plant: Plant) -> None:
    """With what is audited more often, people get more than the policy's one rate says."""
    running(plant)
    plain = plant.promises.preview(plant.operator, PROJECT, {}).review_share
    plant.projects.change_policy(PROJECT, "bob", audit_rates={"by_risk": [[0.0, 0.9]]})
    plant.keep()
    often = plant.promises.preview(plant.operator, PROJECT, {})
    assert often.review_share == pytest.approx(1.0 - 0.1 * often.automation)
    assert often.review_share > plain + 0.2


def test_costs_say_which_threshold_is_cheapest(plant: Plant) -> None:
    """The dearer a missed object, the more is reviewed; what is saved is told against reviewing everything."""
    running(plant)
    cheapest = []
    for missed in (0.1, 1.0, 100.0):
        plant.promise({"alpha": 0.1}, evidence_share=1.0, costs={"review": 0.2, "missed": missed})
        plant.keep()
        bargain = plant.promises.curve(plant.operator, PROJECT, promise=0, group=None).bargain
        cheapest.append(bargain.cheapest)
        assert bargain.worth == pytest.approx(min(0.2 / missed, 1.0))
    assert cheapest[0] > cheapest[1] > cheapest[2]
    economics = plant.promises.status(plant.operator, PROJECT).economics
    assert economics.cost == pytest.approx(economics.reviews + economics.errors)
    assert economics.saved == pytest.approx(200.0 - economics.cost)
    assert economics.hours_saved > 0.0


def test_promises_hold_through_router_and_store(tmp_path: Path, sqlite_template: Path) -> None:
    """Of several installations, whose people are behind with some and cannot say of others, no more let too much pass
    than chance would have it where a tenth may."""
    broken, passed, runs = 0, [], 10
    for seed in range(runs):
        folder = tmp_path / str(seed)
        folder.mkdir()
        shutil.copyfile(sqlite_template, folder / "a.db")
        store = SqlStore.open(f"sqlite:///{folder}/a.db")
        plant = Plant(store, FsspecBlobs.open(str(folder / "blobs")), rng=np.random.default_rng(seed))
        plant.promise({"alpha": 0.1})
        plant.keep()
        for _ in range(3):
            plant.predict(120)
            plant.answer(4, skip=True)
            plant.answer(100)
            plant.keep()
        made = [one for one in plant.predict(300) if one.decision.action is Action.ACCEPT]
        fails = sum((1.0 - one.detections[0].score) ** 2 for one in made) / (300 * (1 - 0.2))
        broken += fails > 0.1
        passed.append(len(made))
        store.close()
    assert broken <= binom.ppf(0.999, runs, 0.1)
    assert np.median(passed) > 30


@pytest.mark.parametrize(
    ("changes", "audit_rate", "says"),
    [
        ({"promises": [{"alpha": 0.0}]}, 0.1, "alpha is 0"),
        ({"promises": [{"alpha": 1.0}]}, 0.1, "alpha is 1"),
        ({"promises": [{"classes": ["cricle"]}]}, 0.1, "no label 'cricle'"),
        ({"promises": [{}, {}]}, 0.1, "one of them twice"),
        ({"promises": [{}]}, 0.0, "without audits"),
        ({"promises": [{"loss": "cost", "missed_weight": 2.0}]}, 0.1, "weights"),
        ({"patience_days": 31.0}, 0.1, "rules of a guarantee"),
        ({"costs": {"review": -1.0}}, 0.1, "costs.review is -1"),
        ({"hours_a_day": float("inf")}, 0.1, "hours_a_day"),
    ],
)
def test_promises_that_cannot_be_kept_are_refused(
    plant: Plant, changes: dict[str, object], audit_rate: float, says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        plant.projects.change_policy(PROJECT, "bob", guarantee_changes=changes, audit_rate=audit_rate)


# --- a clock that was wrong -------------------------------------------------------------------------


def test_predictions_of_a_clock_that_was_ahead_do_not_count(plant: Plant) -> None:
    """Once it is right again they are in the future: no evidence, and no obstacle for what is."""
    running(plant)
    plant.ahead = 400.0
    plant.predict(100)
    plant.answer()
    plant.ahead = 0.0
    plant.promise({"alpha": 0.1}, evidence_share=1.0, window_days=20.0)
    record = plant.keep()
    assert (record.size, record.window_until) == (300, plant.clock())
    plant.predict(100)
    plant.answer()
    record = plant.keep()
    assert record.size == 400 and record.automation > 0.2


def test_an_alarm_is_not_deaf_after_a_clock_that_was_ahead(plant: Plant) -> None:
    """What passes is watched from the moment at which the clock was set right."""
    plant.promise({"alpha": 0.1}, evidence_share=1.0)
    plant.ahead = 400.0
    plant.keep()
    plant.predict(300)
    plant.answer()
    plant.ahead = 0.0
    plant.keep()
    plant.predict(300)
    plant.answer()
    assert plant.keep().automation > 0.2
    assert plant.promises.status(plant.operator, PROJECT).record.watched_since <= plant.clock()
    plant.worse = 0.7
    until(plant, "guarantee.broken", each=400)


def test_thresholds_are_made_again_after_a_clock_that_was_ahead(plant: Plant) -> None:
    """By the next look, not when the clock has come to where it was."""
    running(plant)
    plant.ahead = 400.0
    plant.wait(1.5)
    ahead = plant.keep()
    plant.ahead = 0.0
    record = plant.keep()
    assert record is not None and record.created_at < ahead.created_at


def test_an_alarm_that_ended_ahead_of_time_lets_answers_count(plant: Plant) -> None:
    """After an alarm only answers since then count; where that moment is in the future, those from now on."""
    plant.promise({"alpha": 0.1}, evidence_share=1.0)
    plant.ahead = 400.0
    plant.keep()
    plant.predict(300)
    plant.answer()
    plant.keep()
    plant.worse = 0.7
    until(plant, "guarantee.broken", each=400)
    plant.worse = 0.0
    until(plant, "guarantee.over", each=400)
    plant.ahead = 0.0
    assert plant.keep().not_before <= plant.clock()
    plant.predict(400)
    plant.answer()
    record = plant.keep()
    assert (record.answered, record.automation > 0.2) == (400, True)


@pytest.mark.parametrize("seconds", [-3600.0, -1.0, 1.0, 3600.0])
def test_gateways_whose_clocks_differ_leave_promises_in_force(plant: Plant, seconds: float) -> None:
    """A prediction that is stamped somewhat late or early is evidence like any other, and routed by the same record."""
    plant.promise({"alpha": 0.1}, evidence_share=1.0)
    plant.wait(0.1)
    running(plant)
    plant.ahead = seconds / 86_400.0
    version = plant.promises.status(plant.operator, PROJECT).record.version
    made = plant.predict(40)
    assert {one.decision.threshold_version for one in made} == {version}
    plant.answer()
    plant.ahead = 0.0
    plant.wait(1.0)
    assert plant.keep().size == 340
