"""Promotions, rollouts and serving options, from the wish to the flip: over a real database and real blobs, without
Ray. A deployment is a function here, as it is for the succession."""

import json
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop.cycle.controller import Controller, CycleSettings
from loop.cycle.references import References
from loop.cycle.succession import Succession
from loop.cycle.work import TrainedWeights
from loop.domain.cycle import CycleState, Step
from loop.domain.errors import BadWeights, Conflict, Invalid, NotFound, Overloaded, Unavailable
from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.model import BACKENDS, ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.outgoing.webhooks import Endpoint, secret_from
from loop.domain.prediction import Inference
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutLimits, RolloutState
from loop.domain.routing import Policy
from loop.domain.truth import GroundTruth, Shape
from loop.models.rollouts import Rollouts
from loop.models.versions import Models
from loop.projects import Projects
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from selection.duplicates import Clusters
from serving.backends.load import load_detector
from tests.examining import Examines
from training.gate_clauses import GateSettings
from training.head import head_json, read_head
from training.snapshot import Snapshot, freeze
from training.snapshot_leaks import Hashes

LABELS = ("circle", "square", "bar")
POLICY = Policy(version=1, threshold=0.5, audit_rate=0.1, score_threshold=0.25, failure_iou=0.5, lease_seconds=60)
LIMITS = RolloutLimits(min_requests=50, max_error_rate=0.02, max_latency_ratio=2.0, confidence=0.999, window_s=300)
HEAD = ModelHead(backend="ultralytics", architecture={"nc": 3}, labels=LABELS, image_size=64, embedding_dim=4)


def file_of(head: ModelHead, salt: int = 0) -> bytes:
    """A model file as far as it is read without torch: its header."""
    header = json.dumps({"__metadata__": {"askance": head_json(head)}}).encode() + b" " * salt
    return struct.pack("<Q", len(header)) + header


class Bench(Examines):
    """A workshop that embeds without a network, as long as the gate is open."""

    def __init__(self) -> None:
        self.inferred: list[tuple[str, tuple[str, ...]]] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def infer(self, weights_key: str, image_keys: Any, progress: Any) -> list[Inference]:
        self.entered.set()
        assert self.open.wait(30)
        self.inferred.append((weights_key, tuple(image_keys)))
        none = np.zeros((0, 4), np.float32)
        vector = np.array([1, 0, 0, 0], np.float32)
        return [Inference(none, none[:, 0], none[:, 0].astype(np.int64), none[:, :3], vector) for _ in image_keys]

    def train(self, job: Any, progress: Any) -> Any:
        raise AssertionError("nothing is trained here")

    def clean(self, cycle_id: str) -> None:
        pass


@dataclass
class Installation:
    """Everything between the wish and the flip. `deployed`: the models that were brought up, with their options."""

    store: SqlStore
    blobs: FsspecBlobs
    projects: Projects
    models: Models
    rollouts: Rollouts
    controller: Controller
    succession: Succession
    bench: Bench
    folder: Path  # of the blobs
    deployed: list[ModelVersion] = field(default_factory=list)

    def model(self, salt: int, project: str = "shapes", head: ModelHead = HEAD) -> str:
        """A registered version, another for each `salt`."""
        return self.models.register(project, file_of(head, salt), "ada")[0].id

    def champion(self, project: str = "shapes") -> str | None:
        with self.store.read() as tx:
            return tx.projects.get(project).champion_id

    def version(self, model_id: str, project: str = "shapes") -> ModelVersion:
        with self.store.read() as tx:
            return tx.models.get(project, model_id)

    def start(self, model_id: str, kind: RolloutKind = RolloutKind.CANARY, share: float = 0.1) -> Rollout:
        return self.rollouts.start(
            "shapes", model_id, kind=kind, share=share, limits=LIMITS, actor="ada", reason="try it"
        )

    def active(self, model_id: str, kind: RolloutKind = RolloutKind.CANARY) -> Rollout:
        return self.succession.settle_rollout(self.start(model_id, kind), self.deploy)

    def promote(self, model_id: str, deploy: Callable[[ModelVersion], None] | None = None) -> Promotion:
        asked = self.models.override("shapes", model_id, "ada", "better")
        return self.succession.settle(asked, deploy or self.deploy)

    def rollout(self, rollout: Rollout) -> Rollout:
        with self.store.read() as tx:
            return tx.rollouts.get(rollout.project_id, rollout.id)

    def deploy(self, model: ModelVersion) -> None:
        self.deployed.append(model)

    def events(self, project: str = "shapes") -> list[str]:
        with self.store.read() as tx:
            return [event.kind for event in tx.events.after(project, 0, 1000)]

    def furnish(self, project: str = "shapes") -> str:
        """A training image with ground truth; gives its digest."""
        content = project.encode()
        digest = self.blobs.put(content)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        item = Item(
            project_id=project, digest=digest, media_type="image/png", width=64, height=64, created_at=now,
            split=Split.TRAIN,
        )  # fmt: skip
        truth = GroundTruth(
            project_id=project, item_digest=digest, version=1, shapes=(Shape("circle", (0, 0, 9, 9)),),
            submission_ids=(), origin="import", created_at=now,
        )  # fmt: skip
        with self.store.begin() as tx:
            tx.items.add(item)
            tx.truths.add(truth)
        return digest


@pytest.fixture
def installed(store: SqlStore, tmp_path: Path) -> Installation:
    """A project `shapes` with a champion."""
    blobs = FsspecBlobs.open(str(tmp_path / "blobs"))
    ticks = iter(range(10**9))

    def clock() -> datetime:
        return datetime.fromtimestamp(1_767_225_600 + next(ticks) / 1000, UTC)

    def entropy(count: int) -> bytes:
        return next(ticks).to_bytes(count, "big")

    models, rollouts = Models(store, blobs, read_head, clock, entropy), Rollouts(store, clock, entropy)
    bench = Bench()
    settings = CycleSettings(
        training={},
        gate=GateSettings(),
        gate_seed=0,
        val_share=0.2,
        replay_limit=10,
        drift_reference=30,
    )
    references = References(store, blobs, bench, val_share=0.2, limit=10)
    controller = Controller(
        store=store, blobs=blobs, models=models, rollouts=rollouts, references=references, workshop=bench,
        settings=settings, clock=clock, entropy=entropy,
    )  # fmt: skip
    succession = Succession(store, blobs, read_head, references, clock)
    projects = Projects(store, POLICY, clock)
    made = Installation(store, blobs, projects, models, rollouts, controller, succession, bench, tmp_path / "blobs")
    projects.create("shapes", LABELS)
    made.model(0)
    (first,) = succession.due(())
    assert isinstance(first, Promotion)
    assert succession.settle(first, made.deploy).state is PromotionState.ACTIVE
    made.deployed.clear()
    return made


def refuse(model: ModelVersion) -> None:
    raise Unavailable("it answers NaN.", hint="Look at the log.")


# --- rollouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RolloutKind)
def test_a_rollout_is_queued_then_deployed_then_active(installed, kind):
    """The wish moves nothing; once its model is deployed it takes its share, and the champion stays."""
    before, other = installed.champion(), installed.model(1)
    queued = installed.start(other, kind, share=1.0)
    assert (queued.state, queued.champion_id, installed.deployed) == (RolloutState.QUEUED, before, [])
    active = installed.succession.settle_rollout(queued, installed.deploy)
    assert active == installed.rollout(queued)
    assert active == replace(queued, state=RolloutState.ACTIVE, active_at=active.active_at)
    assert active.active_at is not None and active.active_at > queued.created_at
    assert [model.id for model in installed.deployed] == [other]
    assert installed.champion() == before
    assert installed.events()[-2:] == ["rollout.queued", "rollout.active"]


def test_references_are_embedded_before_a_rollout_takes_traffic(installed):
    """An answer without its anomaly test would be routed by other rules than the champion's."""
    installed.furnish()
    other = installed.model(1)

    def deploy(model: ModelVersion) -> None:
        assert model.reference_key is not None

    assert installed.succession.settle_rollout(installed.start(other), deploy).state is RolloutState.ACTIVE
    assert installed.version(other).reference_key is not None


def test_what_cannot_be_rolled_out_is_refused_with_nothing_written(installed):
    """A share outside, an unknown model, the champion itself, a second of the kind, a project without a champion."""
    other, champion = installed.model(1), installed.champion()
    installed.projects.create("empty", LABELS)
    wishes = [
        (Invalid, "shapes", other, 0.0),
        (Invalid, "shapes", other, 1.1),
        (NotFound, "shapes", "model_none", 0.1),
        (NotFound, "nowhere", other, 0.1),
        (Conflict, "shapes", champion, 0.1),
        (Conflict, "empty", installed.model(1, "empty"), 0.1),
    ]
    for error, project, model, share in wishes:
        with pytest.raises(error) as caught:
            installed.rollouts.start(
                project, model, kind=RolloutKind.CANARY, share=share, limits=LIMITS, actor="ada", reason="try"
            )
        assert caught.value.hint
    with installed.store.read() as tx:
        assert tx.rollouts.unfinished() == []
    installed.start(other)
    with pytest.raises(Conflict, match="canary already"):
        installed.start(installed.model(2))
    installed.start(other, RolloutKind.SHADOW)


def test_a_person_ends_a_rollout_once(installed):
    """Active or still queued; with the reason, an event, and 409 the second time."""
    for rollout in (installed.active(installed.model(1)), installed.start(installed.model(1), RolloutKind.SHADOW)):
        ended = installed.rollouts.end("shapes", rollout.id, "bob", "seen enough")
        assert (ended.state, ended.error) == (RolloutState.ENDED, "seen enough")
        assert installed.rollout(rollout) == ended
        assert installed.events()[-1] == "rollout.ended"
        with pytest.raises(Conflict, match="is ended already"):
            installed.rollouts.end("shapes", rollout.id, "bob", "again")


def test_a_breach_takes_a_rollout_back_once(installed):
    """However many gateways say so, the first reason stands, and there is one event."""
    rollout = installed.active(installed.model(1))
    before = installed.champion()
    with ThreadPoolExecutor(4) as pool:
        back = list(
            pool.map(lambda n: installed.rollouts.roll_back("shapes", rollout.id, f"{n} of 9 failed"), range(4))
        )
    assert len(set(back)) == 1
    assert back[0].state is RolloutState.ROLLED_BACK
    assert back[0].error.endswith("of 9 failed")
    assert installed.events().count("rollout.rolled_back") == 1
    assert installed.champion() == before


def test_a_breach_that_comes_late_changes_nothing(installed):
    """A rollout that a person has ended stays ended."""
    rollout = installed.active(installed.model(1))
    ended = installed.rollouts.end("shapes", rollout.id, "bob", "seen enough")
    assert installed.rollouts.roll_back("shapes", rollout.id, "too slow") == ended


def test_a_rollout_that_was_ended_while_it_was_deployed_stays_ended(installed):
    """The deployment comes to nothing; nobody's traffic goes there."""
    rollout = installed.start(installed.model(1))

    def deploy(model: ModelVersion) -> None:
        installed.rollouts.end("shapes", rollout.id, "bob", "changed my mind")

    assert installed.succession.settle_rollout(rollout, deploy).state is RolloutState.ENDED


@pytest.mark.parametrize("settled", [True, False], ids=["active", "queued"])
def test_promoting_the_canarys_model_ends_the_canary(installed, settled):
    """It is the champion now: in the same transaction the canary has ended, with the reason."""
    other = installed.model(1)
    rollout = installed.active(other) if settled else installed.start(other)
    assert installed.promote(other).state is PromotionState.ACTIVE
    ended = installed.rollout(rollout)
    assert (ended.state, ended.error) == (RolloutState.ENDED, "it became the champion")


def test_another_champion_ends_a_canary_but_not_a_shadow(installed):
    """Promoted or rolled back: what the canary was compared with is gone."""
    first, second, third = installed.champion(), installed.model(1), installed.model(2)
    for change in (lambda: installed.promote(second), lambda: installed.succession.settle(
        installed.models.rollback("shapes", "ada", "worse"), installed.deploy
    )):  # fmt: skip
        canary, shadow = installed.active(third), installed.active(third, RolloutKind.SHADOW)
        change()
        assert installed.rollout(canary).state is RolloutState.ENDED
        assert installed.champion() in installed.rollout(canary).error
        assert installed.rollout(shadow).state is RolloutState.ACTIVE
        installed.rollouts.end("shapes", shadow.id, "ada", "enough")
    assert installed.champion() == first


def test_a_promotion_that_fails_leaves_the_canary(installed):
    """Everything is as it was: the champion, and what runs beside it."""
    canary, before = installed.active(installed.model(1)), installed.champion()
    assert installed.promote(installed.model(2), refuse).state is PromotionState.FAILED
    assert installed.rollout(canary).state is RolloutState.ACTIVE
    assert installed.champion() == before


# --- a broken candidate never takes traffic ----------------------------------------------------------


def registered(installed: Installation, head: ModelHead, content: bytes) -> str:
    """A version in the database that did not come through `models add`: a restored backup, an older service."""
    digest = digest_of(content)
    model = ModelVersion(
        id=f"model_{digest[:8]}", project_id="shapes", digest=digest, head=head, origin="cycle", cycle_id=None,
        reference_key=None, created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    with installed.store.begin() as tx:
        tx.models.add(model)
    return model.id


def foreign(installed: Installation) -> str:
    head = replace(HEAD, labels=("circle", "cow"))
    installed.blobs.put(file_of(head))
    return registered(installed, head, file_of(head))


def other_classes(installed: Installation) -> str:
    content = file_of(replace(HEAD, labels=("circle", "square", "star")), 7)
    installed.blobs.put(content)
    return registered(installed, HEAD, content)


def other_order(installed: Installation) -> str:
    content = file_of(replace(HEAD, labels=LABELS[::-1]), 7)
    installed.blobs.put(content)
    return registered(installed, HEAD, content)


def other_network(installed: Installation) -> str:
    content = file_of(replace(HEAD, image_size=96), 7)
    installed.blobs.put(content)
    return registered(installed, HEAD, content)


def unknown_backend(installed: Installation) -> str:
    head = replace(HEAD, backend="caffe")
    installed.blobs.put(file_of(head))
    return registered(installed, head, file_of(head))


def missing_file(installed: Installation) -> str:
    return registered(installed, HEAD, file_of(HEAD, 7))


def damaged_file(installed: Installation) -> str:
    key = installed.blobs.put(file_of(HEAD, 7))
    (path,) = installed.folder.rglob(f"*{key}*")
    path.chmod(0o600)
    path.write_bytes(file_of(HEAD, 8))
    return registered(installed, HEAD, file_of(HEAD, 7))


BROKEN = {
    foreign: "'cow'",
    other_classes: "lacks 'bar' and adds 'star'",
    other_order: "another order",
    other_network: "another network",
    unknown_backend: "'caffe'",
    missing_file: "",
    damaged_file: "",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda make: make.__name__)
def test_a_broken_model_is_refused_before_it_is_deployed(installed, broken):
    """What can be known without running it is checked first, the reason is kept, and all stays as it was."""
    before, model = installed.champion(), broken(installed)
    done = installed.promote(model)
    assert done.state is PromotionState.FAILED
    assert BROKEN[broken] in done.error
    assert done.error
    assert installed.deployed == []
    assert installed.champion() == before
    assert installed.events().count("model.promoted") == 1


@pytest.mark.parametrize("broken", [make for make in BROKEN if make is not foreign], ids=lambda make: make.__name__)
def test_a_broken_rollout_fails_before_it_is_deployed(installed, broken):
    """The same for canary and shadow."""
    before, rollout = installed.champion(), installed.start(broken(installed))
    done = installed.succession.settle_rollout(rollout, installed.deploy)
    assert (done.state, done) == (RolloutState.FAILED, installed.rollout(rollout))
    assert BROKEN[broken] in done.error
    assert done.error
    assert installed.deployed == []
    assert installed.champion() == before
    assert installed.events()[-1] == "rollout.failed"


def test_a_model_with_foreign_labels_cannot_even_be_asked_for(installed):
    """A rollout of a model that predicts what the project does not know is refused at once, naming the label."""
    with pytest.raises(Invalid, match="'cow'"):
        installed.start(foreign(installed))


def test_a_model_of_fewer_labels_may_serve(installed):
    """It finds less, but nothing that a reviewer could not name."""
    fewer = installed.model(1, head=replace(HEAD, labels=("circle",)))
    assert installed.active(fewer).state is RolloutState.ACTIVE


def test_a_rollout_that_cannot_be_deployed_fails_with_the_reason(installed):
    """What its own warm-up found; another may be started at once."""
    other = installed.model(1)
    done = installed.succession.settle_rollout(installed.start(other), refuse)
    assert (done.state, done.error) == (RolloutState.FAILED, "it answers NaN. Look at the log.")
    assert installed.active(other).state is RolloutState.ACTIVE


def test_a_stopping_service_blames_no_rollout(installed):
    """What fails because the process is being ended stays queued for the next start."""
    rollout = installed.start(installed.model(1))
    assert installed.succession.settle_rollout(rollout, refuse, lambda: True) == rollout
    assert installed.succession.due(()) == [rollout]


def test_known_backends_are_those_that_can_be_loaded():
    """The list that is checked before a deployment is the one that a replica knows."""
    with pytest.raises(BadWeights) as caught:
        load_detector(file_of(replace(HEAD, backend="caffe")))
    assert all(name in caught.value.hint for name in BACKENDS)


# --- serving options ---------------------------------------------------------------------------------


def configure(installed: Installation, model_id: str, **options: object) -> tuple[ModelVersion, Promotion | None]:
    return installed.models.configure("shapes", model_id, "ada", lambda present: {**present, **options})


def test_a_model_at_rest_keeps_its_options_until_it_serves(installed):
    """Nothing is deployed for them; when it is, it is with them."""
    other = installed.model(1)
    model, promotion = configure(installed, other, detector_replicas=2)
    assert (model.serving, promotion) == ({"detector_replicas": 2}, None)
    assert installed.version(other).serving == {"detector_replicas": 2}
    installed.promote(other)
    assert [(m.id, m.serving) for m in installed.deployed] == [(other, {"detector_replicas": 2})]


def test_the_champions_options_change_with_its_deployment(installed):
    """Gateways find a model by its options: they are the old ones until the new deployment stands, then the new
    ones, in one step. The pointer stays, and so does a canary."""
    champion = installed.champion()
    canary = installed.active(installed.model(1))
    installed.deployed.clear()
    _, promotion = configure(installed, champion, detector_replicas=2)
    assert promotion.kind is PromotionKind.RECONFIGURE
    assert installed.version(champion).serving == {}

    def deploy(model: ModelVersion) -> None:
        assert installed.version(champion).serving == {}
        installed.deploy(model)

    assert installed.succession.settle(promotion, deploy).state is PromotionState.ACTIVE
    assert [(m.id, m.serving) for m in installed.deployed] == [(champion, {"detector_replicas": 2})]
    assert installed.version(champion).serving == {"detector_replicas": 2}
    assert installed.champion() == champion
    assert installed.rollout(canary).state is RolloutState.ACTIVE
    assert installed.events()[-1] == "model.reconfigured"


def test_options_that_cannot_be_served_leave_the_champion_as_it_was(installed):
    """The promotion fails with its reason; the model keeps the options it serves with."""
    champion = installed.champion()
    _, promotion = configure(installed, champion, num_gpus=64)
    done = installed.succession.settle(promotion, refuse)
    assert (done.state, done.error) == (PromotionState.FAILED, "it answers NaN. Look at the log.")
    assert installed.version(champion).serving == {}


def test_equal_options_change_nothing(installed):
    """No promotion, no event, no new revision."""
    champion, events = installed.champion(), installed.events()
    assert configure(installed, champion)[1] is None
    assert installed.events() == events


def test_options_change_only_at_rest(installed):
    """Not while the model runs as a canary, nor while its promotion is under way."""
    other = installed.model(1)
    rollout = installed.active(other)
    with pytest.raises(Conflict, match="canary"):
        configure(installed, other, detector_replicas=2)
    installed.rollouts.end("shapes", rollout.id, "ada", "enough")
    installed.models.override("shapes", other, "ada", "better")
    with pytest.raises(Conflict, match="under way"):
        configure(installed, other, detector_replicas=2)
    assert installed.version(other).serving == {}


@pytest.mark.parametrize("kind", ["promotion", "rollout"])
def test_a_deployment_with_options_that_have_changed_since_takes_no_traffic(installed, kind):
    """Gateways would look for another deployment than the one that stands: it fails instead, and all stays."""
    other, before = installed.model(1), installed.champion()

    def deploy(model: ModelVersion) -> None:
        with installed.store.begin() as tx:
            tx.models.configure("shapes", other, {"detector_replicas": 3})

    if kind == "promotion":
        done: Promotion | Rollout = installed.promote(other, deploy)
    else:
        done = installed.succession.settle_rollout(installed.start(other), deploy)
    assert (done.state, done.error) == ("failed", "its serving options changed in the meantime. Ask again.")
    assert installed.champion() == before
    assert installed.version(other).serving == {"detector_replicas": 3}


def test_a_reconfigured_champion_can_still_be_rolled_back(installed):
    """Other options are no other champion: a rollback goes to the model before."""
    first, second = installed.champion(), installed.model(1)
    installed.promote(second)
    _, promotion = configure(installed, second, detector_replicas=2)
    installed.succession.settle(promotion, installed.deploy)
    installed.succession.settle(installed.models.rollback("shapes", "ada", "worse"), installed.deploy)
    assert installed.champion() == first


# --- who waits for whom ------------------------------------------------------------------------------


def test_what_takes_a_bad_model_away_comes_first(installed):
    """Rollbacks, then options, then other promotions, then rollouts; what is under way is left out."""
    for project in ("p1", "p2", "p3"):
        installed.projects.create(project, LABELS)
        promotion = installed.models.register(project, file_of(HEAD), "ada")[1]
        installed.succession.settle(promotion, installed.deploy)
        installed.succession.settle(
            installed.models.override(project, installed.model(1, project), "ada", "better"), installed.deploy
        )
    rollout = installed.start(installed.model(1))
    promoted = installed.models.override("p1", installed.model(2, "p1"), "ada", "better")
    champion = installed.champion("p2")
    _, options = installed.models.configure("p2", champion, "ada", lambda _: {"num_cpus": 1})
    back = installed.models.rollback("p3", "ada", "worse")
    assert installed.succession.due(()) == [back, options, promoted, rollout]
    assert installed.succession.due({back.id, promoted.id}) == [options, rollout]


def test_a_rollback_goes_through_while_another_project_embeds(installed):
    """A first model with many imported images takes minutes to embed; another project's rollback is settled
    meanwhile, in a thread of its own."""
    first = installed.champion()
    installed.promote(installed.model(1))
    installed.projects.create("large", LABELS)
    installed.furnish("large")
    installed.bench.open.clear()
    installed.model(0, "large")
    (embedding,) = installed.succession.due(())
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(installed.succession.settle, embedding, installed.deploy)
        assert installed.bench.entered.wait(30)
        installed.models.rollback("shapes", "ada", "worse")
        (back,) = installed.succession.due({embedding.id})
        assert installed.succession.settle(back, installed.deploy).state is PromotionState.ACTIVE
        assert installed.champion() == first
        assert not slow.done()
        installed.bench.open.set()
        assert slow.result(30).state is PromotionState.ACTIVE


def test_references_come_from_the_snapshot_at_hand(installed):
    """A cycle embeds the images that it froze, though people have corrected others since."""
    frozen = installed.furnish()
    with installed.store.read() as tx:
        snapshot = freeze(tx.truths.all_current("shapes"), labels=LABELS, val_share=0.2)
    digest = installed.blobs.put(b"later")
    with installed.store.begin() as tx:
        tx.items.add(replace(tx.items.get("shapes", frozen), digest=digest))
        tx.truths.add(replace(tx.truths.current("shapes", frozen), item_digest=digest))
    model = installed.version(installed.model(1))
    installed.succession.references.embed(model, lambda *_: None, snapshot)
    assert installed.bench.inferred == [(model.digest, (frozen,))]


def dropping(installed: Installation, digest: str) -> None:
    """Its image is not to be kept any more, and is gone."""
    with installed.store.begin() as tx:
        assert tx.items.drop("shapes", digest, by="redact", at=datetime(2026, 1, 2, tzinfo=UTC))
    installed.blobs.remove(digest)


def another(installed: Installation, like: str, name: str, split: Split) -> str:
    digest = installed.blobs.put(name.encode())
    with installed.store.begin() as tx:
        tx.items.add(replace(tx.items.get("shapes", like), digest=digest, split=split))
        tx.truths.add(replace(tx.truths.current("shapes", like), item_digest=digest))
    return digest


def test_a_cycle_that_goes_on_leaves_out_what_was_dropped_since(installed):
    """Neither trained on, nor judged by, nor compared with: its snapshot is older than the wish to delete; and the gate
    means the images that were judged by, though one more is dropped before it."""
    train = installed.furnish()
    gone = another(installed, train, "gone", Split.TRAIN)
    judged = [another(installed, train, name, Split.GOLDEN) for name in ("a", "b", "c")]
    begun = installed.controller.advance(installed.controller.request("shapes", "ada", "try", {}))
    assert (begun.step, begun.error) == (Step.TRAIN, "")
    dropping(installed, gone)
    dropping(installed, judged[0])
    trained: list[list[str]] = []

    def train_on(job: Any, progress: Any) -> Any:
        trained.append([entry.digest for entry in job.train])
        return TrainedWeights(file_of(HEAD, 7), HEAD, {})

    installed.bench.train = train_on
    evaluating = installed.controller.advance(begun)
    assert trained == [[train]]
    gating = installed.controller.advance(evaluating)
    assert (gating.step, gating.error) == (Step.GATE, "")
    asked = {key for _, keys in installed.bench.inferred for key in keys}
    assert asked == {train, *judged[1:]}
    dropping(installed, judged[1])
    ended = installed.controller.advance(gating)
    assert (ended.state, ended.error) == (CycleState.REFUSED, "")
    assert ended.evaluation["images"] == 2


def test_a_cycle_leaves_out_what_is_nearly_the_same_as_what_judges(installed):
    """By the clusters of what the champion has seen; the head of the snapshot says how many. While somebody else looks
    for them the step waits, and without a champion nothing can be compared."""
    train = installed.furnish()
    near = another(installed, train, "near", Split.TRAIN)
    golden = another(installed, train, "golden", Split.GOLDEN)
    champion = installed.champion()
    answers: list[Any] = [Overloaded("busy", hint="later"), {near: 0, golden: 0, train: 1}]

    def clusters(model: ModelVersion) -> Clusters:
        assert model.id == champion
        answer = answers.pop(0)
        if isinstance(answer, Overloaded):
            raise answer
        names = sorted(answer)
        return Clusters.of(np.array(names, dtype="S64"), np.array([answer[name] for name in names]))

    controller = replace(installed.controller, near_duplicates=clusters)
    asked = controller.request("shapes", "ada", "try", {})
    assert controller.advance(asked) == asked
    begun = controller.advance(asked)
    snapshot = Snapshot.read(str(begun.snapshot_digest), installed.blobs.get)
    assert snapshot.of_split(Split.TRAIN).digests == [train]
    assert snapshot.head.left_out == {"near-duplicates of images held out": 1}


def test_a_first_cycle_leaves_out_what_looks_like_what_judges(installed):
    """By the hashes of images that no model has seen; while they are made the step waits."""
    train = installed.furnish()
    near = another(installed, train, "near", Split.TRAIN)
    golden = another(installed, train, "golden", Split.GOLDEN)
    answers: list[Any] = [Overloaded("busy", hint="later"), {near: 0b1, golden: 0b0, train: 0b11}]

    def hashes(project_id: str) -> Hashes:
        assert project_id == "shapes"
        answer = answers.pop(0)
        if isinstance(answer, Overloaded):
            raise answer
        names = sorted(answer)
        values = np.array([answer[name] for name in names], dtype=np.uint64)
        return Hashes(np.array(names, dtype="S64"), values, bits=1)

    controller = replace(installed.controller, near_duplicates=None, image_hashes=hashes)
    asked = controller.request("shapes", "ada", "try", {})
    assert controller.advance(asked) == asked
    begun = controller.advance(asked)
    snapshot = Snapshot.read(str(begun.snapshot_digest), installed.blobs.get)
    assert snapshot.of_split(Split.TRAIN).digests == [train]
    assert snapshot.head.left_out == {"near-duplicates of images held out": 1}


def test_a_cycle_whose_images_were_all_dropped_says_so(installed):
    train = installed.furnish()
    another(installed, train, "a", Split.GOLDEN)
    begun = installed.controller.advance(installed.controller.request("shapes", "ada", "try", {}))
    dropping(installed, train)
    ended = installed.controller.advance(begun)
    assert ended.state is CycleState.FAILED
    assert "dropped" in ended.error


# --- who is told -------------------------------------------------------------------------------------


def test_webhooks_are_told_what_became_of_models_and_cycles(installed):
    """A promotion and a rollback under their own names, a canary that was taken back, a cycle's end; nobody is told of
    a promotion that failed, or of other options."""
    endpoint = Endpoint(
        id="hook_1", project_id="shapes", url="https://example.org/", types=(), description="",
        secrets=(secret_from(bytes(32)),), created_by="ada", created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    with installed.store.begin() as tx:
        tx.endpoints.add(endpoint)
    first, second = installed.champion(), installed.model(1)
    installed.promote(second, refuse)
    installed.promote(second)
    installed.succession.settle(installed.models.rollback("shapes", "bob", "worse"), installed.deploy)
    canary = installed.active(second)
    installed.rollouts.roll_back("shapes", canary.id, "9 of 9 failed")
    cycle = installed.controller.advance(installed.controller.request("shapes", "ada", "more data", {}))
    with installed.store.read() as tx:
        told = [json.loads(one.body) for one in tx.deliveries.page("hook_1", state=None, after=None, limit=99)][::-1]
    assert [(one["type"], one["data"]) for one in told] == [
        ("model.promoted", {"model_id": second, "previous_id": first, "kind": "override", "actor": "ada"}),
        ("model.rolled_back", {"model_id": first, "previous_id": second, "kind": "rollback", "actor": "bob"}),
        (
            "rollout.rolled_back",
            {"rollout_id": canary.id, "kind": "canary", "model_id": second, "share": 0.1, "why": "9 of 9 failed"},
        ),
        ("cycle.finished", {"cycle_id": cycle.id, "state": "failed", "candidate_id": None, "error": cycle.error}),
    ]
    assert cycle.error
