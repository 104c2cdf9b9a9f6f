"""When production is looked at, with what it is compared, and when that is an alarm: over a real database and blobs."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop.cycle.controller import Controller, CycleSettings
from loop.cycle.references import References
from loop.domain.cycle import CycleState, Step
from loop.domain.errors import NoChampion, TooFewImages
from loop.domain.item import Item, Split
from loop.domain.items.annotation import AnnotationJob, AnnotationResult, AnnotationState
from loop.domain.model import ModelVersion
from loop.domain.ports import Event
from loop.domain.prediction import Detection, Inference, Prediction
from loop.domain.production.drift import DriftReport, DriftRules, Origin, Verdict, alarm_after
from loop.domain.routing import Policy, route
from loop.domain.truth import GroundTruth, Shape
from loop.models.rollouts import Rollouts
from loop.models.versions import Models
from loop.production.drift import SCHEDULE, DriftWatch
from loop.projects import Projects
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from selection.seen import Seen
from tests.examining import Examines
from tests.test_settling import HEAD, LABELS, POLICY, file_of
from training.gate_clauses import GateSettings
from training.head import read_head
from training.snapshot import freeze

RULES = DriftRules(
    reference=60, window=40, every_seconds=100.0, level=0.05, confirm=2, block_seconds=0.0, trigger_cycle=False,
    min_corrections=2,
)  # fmt: skip
PROJECT = "shapes"


class Eyes(Examines):
    """A workshop whose detector sees what `Site.shown` says: embeddings around one point or another."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)

    def infer(self, weights_key: str, image_keys: Any, progress: Any) -> list[Inference]:
        return [inference(self.rng, 0.0) for _ in image_keys]

    def train(self, job: Any, progress: Any) -> Any:
        raise AssertionError("nothing is trained here")

    def clean(self, cycle_id: str) -> None:
        pass


def inference(rng: np.random.Generator, lies: float) -> Inference:
    """One object; an embedding of a cloud whose middle `lies` to one side."""
    embedding = rng.normal(size=4) + np.array([lies, 0.0, 0.0, 3.0])
    kind = int(rng.integers(0, 3))
    return Inference(
        boxes=np.array([[1, 1, 9, 9]], np.float32),
        scores=np.array([rng.uniform(0.3, 0.9)], np.float32),
        classes=np.array([kind]),
        class_scores=np.zeros((1, 3), np.float32),
        embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
    )


@dataclass
class Site:
    """A project whose champion answers. now: seconds since the beginning."""

    store: SqlStore
    blobs: FsspecBlobs
    projects: Projects
    models: Models
    controller: Controller
    now: float = 0.0
    made: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))
    rules: DriftRules = RULES

    def clock(self) -> datetime:
        return datetime.fromtimestamp(1_767_225_600 + self.now, UTC)

    def entropy(self, count: int) -> bytes:
        self.made += 1
        return self.made.to_bytes(count, "big")

    @property
    def watch(self) -> DriftWatch:
        return DriftWatch(self.store, self.blobs, self.rules, self.controller.request, self.clock, self.entropy)

    @property
    def model(self) -> ModelVersion:
        with self.store.read() as tx:
            return tx.models.get(PROJECT, str(tx.projects.get(PROJECT).champion_id))

    def champion(self, salt: int) -> ModelVersion:
        """Another version, which serves from now on."""
        model, _ = self.models.register(PROJECT, file_of(HEAD, salt), "ada")
        with self.store.begin() as tx:
            before = tx.projects.get(PROJECT).champion_id
            assert tx.projects.move_champion(PROJECT, expected=before, to=model.id)
        return model

    def predict(
        self, count: int, *, lies: float = 0.0, group: str = "", source: str = "camera 1", bulk: bool = False
    ) -> list[str]:
        """So many predictions by the champion; the digests of their items."""
        rows = [self._predicted(self.model, lies, group, source) for _ in range(count)]
        with self.store.begin() as tx:
            tx.items.add_all([item for item, _ in rows])
            tx.predictions.add_all([prediction for _, prediction in rows])
            if bulk:
                self._bulk(tx, [prediction for _, prediction in rows])
        return [item.digest for item, _ in rows]

    def _predicted(self, model: ModelVersion, lies: float, group: str, source: str) -> tuple[Item, Prediction]:
        self.made += 1
        found = inference(self.rng, lies)
        item = Item(
            project_id=PROJECT, digest=f"{self.made:064x}", media_type="image/png", width=64, height=64,
            created_at=self.clock(), source=source, group=group,
        )  # fmt: skip
        prediction = Prediction(
            id=f"pred_{self.made:08}", project_id=PROJECT, item_digest=item.digest, model_id=model.id,
            detections=(Detection(LABELS[int(found.classes[0])], float(found.scores[0]), (1, 1, 9, 9)),),
            embedding=found.embedding, signals={},
            decision=route(risk=float(self.rng.uniform()), policy=POLICY, audit_drawn=False),
            created_at=self.clock(), created_by="tok",
        )  # fmt: skip
        return item, prediction

    def _bulk(self, tx: Any, predictions: list[Prediction]) -> None:
        job = AnnotationJob(
            id=f"ann_{self.made}", project_id=PROJECT, model_id=self.model.id, source="/data", any_folder=True,
            review=False, state=AnnotationState.QUEUED, actor="ada", created_by="tok", created_at=self.clock(),
            updated_at=self.clock(),
        )  # fmt: skip
        tx.annotations.add(job)
        tx.annotations.record(
            [
                AnnotationResult(job_id=job.id, position=i, url="/a", item_digest=one.item_digest, prediction_id=one.id)
                for i, one in enumerate(predictions)
            ]
        )

    def window(self, *, lies: float = 0.0) -> DriftReport | None:
        """The next window's predictions, and the look at it, as soon as one may be."""
        self.now += self.rules.every_seconds
        self.predict(self.rules.window, lies=lies)
        return next(iter(self.watch.look_due()), None)

    def review(self, count: int) -> None:
        """So many images get their truth by people."""
        for digest in self.predict(count):
            truth = GroundTruth(
                project_id=PROJECT, item_digest=digest, version=1, shapes=(Shape("bar", (1, 1, 9, 9)),),
                submission_ids=("sub",), origin="review", created_at=self.clock(),
            )  # fmt: skip
            with self.store.begin() as tx:
                tx.truths.add(truth)

    def events(self, *kinds: str) -> list[Event]:
        with self.store.read() as tx:
            return [event for event in tx.events.after(PROJECT, 0, 1000) if event.kind in kinds]

    def waiting(self) -> str:
        return self.watch.status(PROJECT).waiting


@pytest.fixture
def site(store: SqlStore, tmp_path: Path) -> Site:
    """The champion has made no prediction yet."""
    blobs = FsspecBlobs.open(str(tmp_path / "blobs"))
    at: list[Site] = []

    def clock() -> datetime:
        return at[0].clock()

    def entropy(count: int) -> bytes:
        return at[0].entropy(count)

    models = Models(store, blobs, read_head, clock, entropy)
    eyes = Eyes()
    controller = Controller(
        store=store, blobs=blobs, models=models, rollouts=Rollouts(store, clock, entropy),
        references=References(store, blobs, eyes, val_share=0.2, limit=10), workshop=eyes,
        settings=CycleSettings(
            training={}, gate=GateSettings(), gate_seed=0, val_share=0.2, replay_limit=10,
            drift_reference=RULES.reference,
        ),
        clock=clock, entropy=entropy,
    )  # fmt: skip
    at.append(Site(store, blobs, Projects(store, POLICY, clock), models, controller))
    at[0].projects.create(PROJECT, LABELS)
    at[0].champion(0)
    return at[0]


@pytest.fixture
def settled(site: Site) -> Site:
    """The reference is taken from production, and one window without drift was looked at."""
    site.predict(site.rules.reference)
    report = site.window()
    assert report is None  # the reference was taken of all there was
    report = site.window()
    assert report is not None and report.verdict is Verdict.SAME
    return site


# --- what it is compared with -----------------------------------------------------------------------


def test_the_first_predictions_stand_in_for_an_evaluation(site: Site) -> None:
    """Until there are enough of them it says so; then they are kept, and what comes later is compared with them."""
    site.predict(RULES.reference - 1)
    assert site.watch.look_due() == []
    assert site.waiting().startswith("59 of the 60 predictions of model_")
    assert site.model.drift_key is None
    site.predict(1)
    assert site.watch.look_due() == []
    reference = Seen.read(site.blobs.get(str(site.model.drift_key)))
    assert (reference.origin, len(reference)) == (Origin.PRODUCTION, 60)
    site.predict(RULES.window - 1)
    assert site.watch.look_due() == []
    assert site.waiting() == "39 of the 40 predictions of the next window have been made."
    site.predict(1)
    (report,) = site.watch.look_due()
    assert (report.verdict, report.scheduled, report.actor) == (Verdict.SAME, True, SCHEDULE)
    assert (report.reference_origin, report.reference_images, report.window_images) == (Origin.PRODUCTION, 60, 40)
    assert "not an evaluation" in report.notes[0]


def test_asking_for_the_status_writes_nothing(site: Site) -> None:
    site.predict(RULES.reference)
    assert site.waiting() == "the next look takes the first predictions as the reference."
    assert site.model.drift_key is None


def test_a_cycle_keeps_what_the_candidate_said_of_held_out_images(site: Site) -> None:
    """Of those that it is judged on, never of those that it was trained on; and serves as reference once it is
    champion."""
    rows = []
    for number in range(200):
        split = Split.GOLDEN if number < 80 else Split.TRAIN
        item = Item(
            project_id=PROJECT, digest=f"{10**6 + number:064x}", media_type="image/png", width=64, height=64,
            created_at=site.clock(), split=split,
        )  # fmt: skip
        truth = GroundTruth(
            project_id=PROJECT, item_digest=item.digest, version=1, shapes=(Shape("bar", (1, 1, 9, 9)),),
            submission_ids=(), origin="import", created_at=site.clock(),
        )  # fmt: skip
        rows.append((item, truth))
    snapshot = freeze(rows, labels=LABELS, val_share=0.2)
    candidate, _ = site.models.register(PROJECT, file_of(HEAD, 1), "ada")
    cycle = site.controller.request(PROJECT, "ada", "try", {})
    frozen = snapshot.keep(site.blobs.put)
    begun = replace(
        cycle, state=CycleState.RUNNING, step=Step.EVALUATE, snapshot_digest=frozen, candidate_id=candidate.id
    )
    judged: list[list[str]] = []
    infer = site.controller.workshop.infer

    def noted(key: str, keys: Any, progress: Any) -> list[Inference]:
        judged.append(list(keys))
        return infer(key, keys, progress)

    site.controller.workshop.infer = noted  # type: ignore[method-assign]
    assert site.controller.advance(begun).step is Step.GATE
    with site.store.read() as tx:
        kept = Seen.read(site.blobs.get(str(tx.models.get(PROJECT, candidate.id).drift_key)))
    assert (kept.origin, len(kept), kept.until) == (Origin.EVALUATION, RULES.reference, 0)
    golden = {item.digest for item, _ in rows if item.split is Split.GOLDEN}
    assert set(kept.blocks) < golden and set(kept.blocks) < set(judged[0])
    assert site.champion(1).id == candidate.id
    report = site.window()
    assert report is not None
    assert (report.verdict, report.reference_origin, report.reference_images) == (Verdict.SAME, Origin.EVALUATION, 60)
    assert report.notes == ()


def test_bulk_annotation_is_not_production(site: Site) -> None:
    """A folder of other images is no drift, and fills no window."""
    site.predict(RULES.reference, lies=9.0, bulk=True)
    assert site.watch.look_due() == [] and site.model.drift_key is None
    site.predict(RULES.reference)
    site.watch.look_due()
    site.predict(RULES.window, lies=9.0, bulk=True)
    assert site.watch.look_due() == []
    report = site.window()
    assert report is not None and report.verdict is Verdict.SAME


def test_another_threshold_is_no_drift(site: Site) -> None:
    """Detections count from the score that all of the predictions know."""
    site.predict(RULES.reference)
    site.watch.look_due()
    site.projects.change_policy(PROJECT, "ada", score_threshold=0.6)

    def under_the_new_policy(policy: Policy) -> None:
        rows = [site._predicted(site.model, 0.0, "", "camera 1") for _ in range(RULES.window)]
        with site.store.begin() as tx:
            tx.items.add_all([item for item, _ in rows])
            for _, one in rows:
                kept = tuple(d for d in one.detections if d.score >= policy.score_threshold)
                decision = replace(one.decision, policy_version=policy.version)
                tx.predictions.add(replace(one, detections=kept, decision=decision))

    with site.store.read() as tx:
        policy = tx.projects.get(PROJECT).policy
    under_the_new_policy(policy)
    (report,) = site.watch.look_due()
    assert report.verdict is Verdict.SAME
    assert report.classes[0].before > 0.0


# --- when -------------------------------------------------------------------------------------------


def test_no_prediction_is_in_two_windows(settled: Site) -> None:
    """Looked at at most every so often, and each time what came since, evenly: repeated looks at the same images would
    find in the end what is not there."""
    settled.now += 1.0
    settled.predict(3 * RULES.window)
    assert settled.watch.look_due() == []
    assert settled.waiting().startswith("the next window is looked at from 2026-01-01 ")
    settled.now += RULES.every_seconds
    (report,) = settled.watch.look_due()
    assert (report.window_images, report.window_of) == (40, 120)
    assert settled.watch.look_due() == []
    with settled.store.read() as tx:
        before = tx.drift_reports.scheduled(PROJECT, limit=2)[1]
    assert before.last_sequence < report.last_sequence - 3 * 39


def test_nothing_is_looked_at_by_itself_where_that_is_off(site: Site) -> None:
    site.rules = replace(RULES, every_seconds=0.0)
    site.predict(RULES.reference + RULES.window)
    assert site.watch.look_due() == []
    assert "drift.every_seconds is 0" in site.waiting()


def test_a_window_waits_for_independent_images(site: Site) -> None:
    """Frames of a few clips say nothing, however many they are; other clips fill the window up."""
    for clip in range(15):
        site.predict(4, group=f"clip {clip}")
    assert site.watch.look_due() == []
    assert site.model.drift_key is not None
    for clip in range(9):
        site.predict(10, group=f"later {clip}")
    assert site.watch.look_due() == []
    assert "40 images of 9 independent clips" in site.waiting()
    for clip in range(9, 20):
        site.predict(10, group=f"later {clip}")
    (report,) = site.watch.look_due()
    assert report.window_units == 20 and report.window_of == 200
    assert report.window_images == 40 and report.reference_images == 30  # two frames of each clip on both sides


def clips(site: Site, count: int, frames: int) -> None:
    """Frames of a clip show the same; each clip takes a minute."""
    for _ in range(count):
        site.now += 60.0
        site.predict(frames, lies=float(site.rng.normal(0.0, 6.0)))


def test_frames_that_come_one_by_one_are_told(site: Site) -> None:
    """Frames without a group look like drift; the report says what to do."""
    clips(site, 6, 10)
    site.watch.look_due()
    clips(site, 4, 10)
    (report,) = site.watch.look_due()
    assert any("as in a clip" in note and "drift.block_seconds" in note for note in report.notes)


def test_images_of_one_source_and_time_can_count_as_one(site: Site) -> None:
    site.rules = replace(RULES, block_seconds=60.0)
    clips(site, 30, 4)
    site.watch.look_due()
    clips(site, 30, 4)
    (report,) = site.watch.look_due()
    assert (report.verdict, report.reference_units, report.window_units) == (Verdict.SAME, 30, 30)
    assert not any("as in a clip" in note for note in report.notes)


# --- alarms -----------------------------------------------------------------------------------------


def test_an_alarm_takes_two_windows_and_is_told_once(settled: Site) -> None:
    """So does its end."""
    found: list[tuple[Verdict, bool]] = []
    for lies in (9.0, 9.0, 9.0, 0.0, 9.0, 0.0, 0.0, 0.0):
        report = settled.window(lies=lies)
        assert report is not None
        found.append((report.verdict, report.alarm))
    drift, same = Verdict.DRIFT, Verdict.SAME
    assert found == [
        (drift, False), (drift, True), (drift, True), (same, True), (drift, True), (same, True), (same, False),
        (same, False),
    ]  # fmt: skip
    events = settled.events("drift.found", "drift.over")
    assert [event.kind for event in events] == ["drift.found", "drift.over"]
    body = events[0].body
    assert body["tests"]["embeddings"]["drift"] and body["tests"]["embeddings"]["adjusted_p"] <= 0.05
    assert len(body["unlike"]) == 12 and body["cycle_id"] is None
    assert body["model_id"] == settled.model.id
    assert "do not differ any more" in events[1].body["why"]


def test_one_window_is_enough_where_the_settings_say_so(settled: Site) -> None:
    settled.rules = replace(RULES, confirm=1)
    report = settled.window(lies=9.0)
    assert report is not None and report.alarm
    assert [event.kind for event in settled.events("drift.found")] == ["drift.found"]


def test_a_look_by_hand_neither_begins_nor_ends_an_alarm(settled: Site) -> None:
    settled.rules = replace(RULES, confirm=1)
    settled.predict(RULES.window, lies=9.0)
    for _ in range(3):
        report = settled.watch.look_now(PROJECT, "ada")
        assert (report.verdict, report.scheduled, report.alarm, report.actor) == (Verdict.DRIFT, False, False, "ada")
    assert settled.events("drift.found") == []
    settled.now += RULES.every_seconds
    (scheduled,) = settled.watch.look_due()
    assert scheduled.alarm
    settled.predict(RULES.window)
    report = settled.watch.look_now(PROJECT, "ada")
    assert (report.verdict, report.alarm) == (Verdict.SAME, True)
    assert settled.watch.status(PROJECT).alarm


def test_what_is_unlike_is_named(settled: Site) -> None:
    """The images, and where they come from."""
    settled.now += RULES.every_seconds
    settled.predict(RULES.window // 2, source="camera 1")
    unlike = settled.predict(RULES.window // 2, lies=9.0, source="camera 2")
    (report,) = settled.watch.look_due()
    assert set(report.unlike) <= set(unlike)
    assert [(one.source, one.images) for one in report.sources] == [("camera 2", 20), ("camera 1", 20)]
    assert report.sources[0].unlike > 0.9 > report.sources[1].unlike


def test_a_new_champion_ends_the_alarm_of_the_one_before(settled: Site) -> None:
    """What it is compared with is another; the same images may be nothing new to it."""
    first = settled.model
    for _ in range(2):
        settled.window(lies=9.0)
    assert settled.watch.status(PROJECT).alarm
    settled.champion(1)
    assert not settled.watch.status(PROJECT).alarm
    settled.predict(RULES.reference, lies=9.0)
    settled.watch.look_due()
    report = settled.window(lies=9.0)
    assert report is not None and (report.verdict, report.alarm) == (Verdict.SAME, False)
    (over,) = settled.events("drift.over")
    assert over.body["began_with"] == first.id and "another reference" in over.body["why"]


def test_drift_that_is_accepted_is_normal(settled: Site) -> None:
    for _ in range(2):
        settled.window(lies=9.0)
    with pytest.raises(TooFewImages):
        replace(settled.watch, rules=replace(RULES, reference=500)).accept(PROJECT, "ada")
    settled.predict(RULES.reference, lies=9.0)
    settled.watch.accept(PROJECT, "ada")
    assert not settled.watch.status(PROJECT).alarm
    report = settled.window(lies=9.0)
    assert report is not None and (report.verdict, report.alarm) == (Verdict.SAME, False)
    assert [event.kind for event in settled.events("drift.accepted", "drift.over")] == ["drift.accepted", "drift.over"]
    assert settled.events("drift.accepted")[0].actor == "ada"


@pytest.mark.parametrize(
    ("verdicts", "before", "confirm", "after"),
    [
        ("d", False, 1, True),
        ("d", False, 2, False),
        ("dd", False, 2, True),
        ("ds", False, 2, False),
        ("dds", False, 3, False),
        ("ddd", False, 3, True),
        ("sd", True, 1, False),
        ("sd", True, 2, True),
        ("ssd", True, 2, False),
        ("dss", True, 3, True),
        ("ss", False, 2, False),
    ],
)
def test_alarms_begin_and_end_with_a_row(verdicts: str, before: bool, confirm: int, after: bool) -> None:
    """Windows newest first: d for drift, s for same."""
    row = [Verdict.DRIFT if one == "d" else Verdict.SAME for one in verdicts]
    assert alarm_after(row, before, confirm=confirm) is after


# --- cycles -----------------------------------------------------------------------------------------


def cycles(site: Site) -> list[tuple[str, str]]:
    with site.store.read() as tx:
        return [(one.actor, one.reason) for one in tx.cycles.page(PROJECT, after=None, limit=10)]


def test_an_alarm_asks_for_no_cycle_unless_it_may(settled: Site) -> None:
    settled.review(5)
    settled.window(lies=9.0)
    settled.window(lies=9.0)
    assert cycles(settled) == []
    assert "drift.trigger_cycle is off" in settled.events("drift.found")[0].body["why_no_cycle"]


def test_an_alarm_asks_for_one_cycle(settled: Site) -> None:
    """By the path of everybody else, once for an episode, whatever comes of it."""
    settled.rules = replace(RULES, trigger_cycle=True)
    settled.review(RULES.min_corrections)
    settled.window(lies=9.0)
    assert cycles(settled) == []
    report = settled.window(lies=9.0)
    ((actor, reason),) = cycles(settled)
    assert actor == SCHEDULE and reason.startswith("production drifted: embeddings")
    (event,) = settled.events("drift.found")
    with settled.store.begin() as tx:
        (cycle,) = tx.cycles.unfinished()
        assert event.body["cycle_id"] == cycle.id == report.cycle_id
        tx.cycles.save(replace(cycle, state=CycleState.REFUSED, step=Step.DONE))
    settled.review(RULES.min_corrections)
    again = settled.window(lies=9.0)
    assert again is not None and again.alarm and again.cycle_id == cycle.id
    assert len(cycles(settled)) == 1


def test_a_cycle_that_would_learn_nothing_is_not_asked_for(settled: Site) -> None:
    """The event says so; once people have reviewed enough, the episode asks for it."""
    settled.rules = replace(RULES, trigger_cycle=True)
    settled.review(RULES.min_corrections)
    learned = settled.controller.request(PROJECT, "ada", "by hand", {})
    with settled.store.begin() as tx:
        tx.cycles.save(replace(learned, state=CycleState.PROMOTED, step=Step.DONE))
    settled.now += 1.0
    settled.review(RULES.min_corrections - 1)
    settled.window(lies=9.0)
    settled.window(lies=9.0)
    assert len(cycles(settled)) == 1
    (event,) = settled.events("drift.found")
    assert "learn from 1 newly reviewed images" in event.body["why_no_cycle"]
    settled.review(1)
    report = settled.window(lies=9.0)
    assert report is not None and report.cycle_id is not None
    assert cycles(settled)[0][0] == SCHEDULE


def test_a_cycle_that_runs_already_is_enough(settled: Site) -> None:
    settled.rules = replace(RULES, trigger_cycle=True)
    settled.review(RULES.min_corrections)
    running = settled.controller.request(PROJECT, "ada", "by hand", {})
    settled.window(lies=9.0)
    settled.window(lies=9.0)
    assert cycles(settled) == [("ada", "by hand")]
    assert running.id in settled.events("drift.found")[0].body["why_no_cycle"]


# --- what cannot be looked at ------------------------------------------------------------------------


def test_who_asks_too_early_is_told_what_is_missing(site: Site) -> None:
    with pytest.raises(TooFewImages, match="0 of the 60 predictions"):
        site.watch.look_now(PROJECT, "ada")
    site.predict(RULES.reference)
    with pytest.raises(TooFewImages, match="0 predictions can be compared"):
        site.watch.look_now(PROJECT, "ada")
    site.predict(30)
    assert site.watch.look_now(PROJECT, "ada").window_images == 30


def test_a_project_without_a_model_has_nothing_to_look_at(site: Site) -> None:
    site.projects.create("bare", LABELS)
    assert site.watch.look_due() == []
    for ask in (site.watch.status, lambda project: site.watch.look_now(project, "ada")):
        with pytest.raises(NoChampion):
            ask("bare")


def test_a_reference_that_is_lost_keeps_nobody_else_from_being_looked_at(settled: Site) -> None:
    """The log says so, and other projects go on."""
    other = replace(settled.watch, store=settled.store)
    with settled.store.begin() as tx:
        tx.models.refer(PROJECT, settled.model.id, "0" * 64)
    settled.now += RULES.every_seconds
    settled.predict(RULES.window)
    assert other.look_due() == []
