"""Where the real things are put together, once per process."""

import os
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.cycle.canaries import Canaries
from loop.cycle.controller import CanaryPlan, Controller, CycleSettings
from loop.cycle.image_hashes import ImageHashes
from loop.cycle.label_check import LabelChecks
from loop.cycle.label_errors import LabelErrors
from loop.cycle.references import References
from loop.cycle.reports import CycleReports
from loop.cycle.snapshots import Snapshots
from loop.cycle.succession import Succession
from loop.cycle.telling import Telling
from loop.cycle.triggers import Triggers
from loop.domain.item import ImageFacts
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock
from loop.domain.prediction import Timed
from loop.exchange.sources import FsspecSources
from loop.functions.calls import Functions
from loop.functions.queue import FunctionQueue, QueueSettings
from loop.items.annotation import Annotator, RouteTogether
from loop.items.clips import Clips
from loop.items.collecting import Collecting
from loop.items.describing import Describing
from loop.items.dropping import Dropping
from loop.items.lists import ItemData
from loop.items.video import FfmpegVideos
from loop.label_studio.pull import LabelStudioPull
from loop.label_studio.push import LabelStudioPush
from loop.label_studio.server import HttpLabelStudio
from loop.launching.functions import RayFunctions
from loop.launching.rule_functions import RegisteredFunctions
from loop.launching.workshop import RayWorkshop
from loop.models.rollouts import Rollouts
from loop.models.versions import Models
from loop.production.drift import DriftWatch
from loop.production.estimates import Production
from loop.production.guarantee import Guarantee
from loop.production.outcomes import OutcomeDesk
from loop.production.promises import Promises
from loop.projects import Projects
from loop.recipes.guidelines import Guidelines
from loop.recipes.versions import Recipes
from loop.review.agreement import Agreement
from loop.review.asking import Asking
from loop.review.checking import Checking
from loop.review.comments import Discussion
from loop.review.desk import Desk
from loop.review.escalation import Escalation
from loop.review.golden import GoldenItems
from loop.review.listing import Listing
from loop.review.lots import Lots
from loop.review.people import Oversight
from loop.review.qa import Rework
from loop.review.standings import Standings
from loop.review.uploads import Uploads
from loop.review.work import WorkReports
from loop.routing.gate import Gates, ReviewTimes
from loop.routing.rarity import Rarities
from loop.routing.risks import Risks
from loop.routing.router import Router
from loop.selecting.cold_start import ColdStart, Descriptors
from loop.selecting.duplicates import Duplicates
from loop.selecting.maps import Maps
from loop.selecting.picks import Selector
from loop.selecting.search import ReferenceSpaces, ServedIndex, ServedObjects
from loop.settings import Settings
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.tokens import Tokens
from loop.webhooks.dispatching import Dispatcher
from loop.webhooks.outgoing import HttpSender
from loop.webhooks.sending import Deliverer, DeliverySettings, Webhooks
from selection.choosing import parts_of
from selection.colours import described
from selection.duplicates import NEAR_DUPLICATE
from selection.index import IndexRules
from serving.bulk import RayBulk
from serving.image_hash import image_hash
from serving.images import decode_image
from training.gate_clauses import GateMode, GateSettings
from training.head import read_sound_head
from training.provenance import provenance
from training.registry import Registry

_LOOKED_AT = 64  # pixels of the longer side: all that colours and hashes need, and a JPEG has them cheaply


class Inferencer(Protocol):
    """Inference by the model that serves; serving/deployments.py does it through Ray Serve."""

    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        """content: an encoded image. deadline: of the running loop's clock. Raises ModelGone, Overloaded,
        DeadlinePassed, ModelTimedOut, BadImage, PayloadTooLarge, Unavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that a process of the service works with."""

    settings: Settings
    store: SqlStore
    blobs: Blobs
    clock: Clock
    projects: Projects
    tokens: Tokens
    models: Models
    rollouts: Rollouts
    router: Router
    annotator: Annotator
    desk: Desk
    recipes: Recipes
    guidelines: Guidelines
    checking: Checking
    oversight: Oversight
    listing: Listing
    asking: Asking
    discussion: Discussion
    item_data: ItemData
    work: WorkReports
    golden: GoldenItems
    standings: Standings
    agreement: Agreement
    escalation: Escalation
    gates: Gates
    clips: Clips
    lots: Lots
    uploads: Uploads
    rework: Rework
    controller: Controller
    cycle_reports: CycleReports
    snapshots: Snapshots
    triggers: Triggers
    succession: Succession
    telling: Telling
    image_hashes: ImageHashes | None
    canaries: Canaries
    served_index: ServedIndex
    served_objects: ServedObjects
    duplicates: Duplicates
    label_errors: LabelErrors
    collecting: Collecting
    dropping: Dropping
    describing: Describing
    selector: Selector
    risks: Risks
    guarantee: Guarantee
    promises: Promises
    webhooks: Webhooks
    dispatcher: Dispatcher
    label_studio_push: LabelStudioPush
    label_studio_pull: LabelStudioPull
    drift: DriftWatch
    production: Production
    outcomes: OutcomeDesk
    maps: Maps
    functions: Functions
    function_queue: FunctionQueue
    inferencer: Inferencer


def utc_now() -> datetime:
    return datetime.now(UTC)


def open_store(settings: Settings) -> SqlStore:
    """The database, migrated to the newest schema."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = SqlStore.open(settings.database_url)
    store.migrate()
    return store


def open_blobs(settings: Settings) -> FsspecBlobs:
    return FsspecBlobs.open(settings.blobs_url)


def wire(settings: Settings, inferencer: Inferencer) -> Services:
    store = open_store(settings)
    blobs = open_blobs(settings)
    spaces = ReferenceSpaces(blobs, settings.selection.neighbours)
    custom = RayFunctions(settings)
    models, rollouts = models_of(store, blobs), Rollouts(store, utc_now, os.urandom)
    risks = Risks(
        store,
        blobs,
        utc_now,
        learn=settings.selection.learn_risk,
        beside=lambda model: guarantee.with_risk(model),
    )
    guarantee = Guarantee(store, risks, settings.cost.as_rates(), utc_now)
    sender = HttpSender(
        allow_private=settings.webhooks.allow_private, timeout_s=settings.webhooks.timeout_s, clock=utc_now
    )
    workshop = RayWorkshop(settings, blobs)
    references = References(
        store, blobs, workshop, val_share=settings.training.val_share, limit=settings.selection.reference_limit
    )
    index_rules = IndexRules(
        exact_up_to=settings.selection.index_exact_up_to,
        compressed_from=settings.selection.index_compressed_from,
        recall=settings.selection.index_recall,
    )
    served_index = ServedIndex(store, settings.data_dir / "index", index_rules)
    duplicates = Duplicates(served_index.caught_up)
    asking, label_errors = Asking(store, blobs.has, utc_now, os.urandom), LabelErrors(store, blobs)
    checks = LabelChecks(store, blobs, label_errors, asking)
    look, bits = _Look(settings.limits.max_image_pixels), settings.training.leak_bits
    hashes = None if bits is None else ImageHashes(store, blobs, look.hash, bits)
    controller = _controller(settings, models, rollouts, references, duplicates, hashes, checks)
    drift = DriftWatch(store, blobs, settings.drift.as_rules(), controller.request, utc_now, os.urandom)
    rarity = Rarities(store).of
    oversight = Oversight(store, utc_now)
    work = WorkReports(store, settings.cost.as_rates(), partial(oversight.reopen_item, experts=True), utc_now)
    functions = RegisteredFunctions()
    checking = Checking(store, functions, utc_now)
    times = ReviewTimes(store, utc_now)
    desk = Desk(store, utc_now, os.urandom, checking.function_issues)
    there, hold = _label_studio(settings), timedelta(days=settings.label_studio.hold_days)
    claim = timedelta(seconds=4 * settings.label_studio.timeout_s)
    router = Router(
        store, blobs, store.secret(), spaces.anomaly_p, risks.of, utc_now, os.urandom, rarity, times.usual, risks.key_of
    )
    lots = Lots(store, utc_now)
    return Services(
        settings=settings,
        store=store,
        blobs=blobs,
        clock=utc_now,
        projects=projects_of(settings, store, lambda: custom.packages),
        tokens=tokens_of(store),
        models=models,
        rollouts=rollouts,
        router=router,
        annotator=Annotator(
            store,
            blobs,
            FsspecSources(settings.annotation.allowed_sources),
            RayBulk(settings),
            RouteTogether(router),
            utc_now,
        ),
        desk=desk,
        oversight=oversight,
        listing=Listing(store, utc_now),
        asking=asking,
        discussion=Discussion(store, utc_now, os.urandom),
        item_data=ItemData(store, blobs, utc_now),
        work=work,
        golden=GoldenItems(store, utc_now),
        standings=Standings(store, utc_now),
        agreement=Agreement(store),
        escalation=Escalation(store, utc_now),
        gates=Gates(store, times, utc_now),
        clips=clips_of(settings, store, blobs),
        lots=lots,
        uploads=Uploads(store, lots, utc_now, os.urandom),
        rework=Rework(store, utc_now),
        recipes=Recipes(store, lambda: functions.names, utc_now, blobs.has),
        guidelines=Guidelines(store, blobs, look.facts),
        checking=checking,
        controller=controller,
        cycle_reports=CycleReports(store, blobs),
        snapshots=Snapshots(store, blobs),
        succession=Succession(store, blobs, models.read_head, references, utc_now),
        image_hashes=hashes,
        telling=Telling(store, blobs, _registry(settings), utc_now),
        canaries=Canaries(store, models, utc_now),
        served_index=served_index,
        duplicates=duplicates,
        label_errors=label_errors,
        served_objects=ServedObjects(store, settings.data_dir / "index-objects", index_rules),
        risks=risks,
        guarantee=guarantee,
        promises=Promises(store, risks, settings.cost.as_rates(), utc_now),
        drift=drift,
        triggers=Triggers(
            store,
            controller.request,
            drift_alarm=lambda project_id: drift.status(project_id).alarm,
            clock=utc_now,
        ),
        production=Production(store, settings.production.as_rules(), utc_now),
        outcomes=OutcomeDesk(store, blobs.has, utc_now, os.urandom),
        collecting=Collecting(store, blobs, look.facts, utc_now, os.urandom),
        dropping=Dropping(store, utc_now),
        describing=Describing(store, utc_now),
        selector=Selector(
            store,
            blobs,
            spaces.embeddings,
            partial(duplicates.of, threshold=NEAR_DUPLICATE),
            parts_of(settings.selection.mix),
            settings.selection.random_share,
            utc_now,
            os.urandom,
            ColdStart(store, Descriptors(blobs, settings.data_dir / "descriptors", look.descriptor)),
            parts_of(settings.selection.cold_mix),
            work.to_resemble,
        ),
        webhooks=Webhooks(store, sender, settings.webhooks.allow_private, utc_now, os.urandom),
        dispatcher=Dispatcher(_deliverer(settings, store), sender, utc_now),
        label_studio_push=LabelStudioPush(store, blobs, there, hold, claim, utc_now, os.urandom),
        label_studio_pull=LabelStudioPull(store, desk, there, hold, utc_now),
        maps=Maps(store, blobs, workshop, utc_now),
        functions=Functions(store, blobs, custom, settings.functions.button_seconds, utc_now, os.urandom),
        function_queue=FunctionQueue(
            store,
            blobs,
            custom,
            checking.by_functions,
            QueueSettings(
                seconds=settings.functions.seconds,
                start_seconds=settings.functions.start_seconds,
                pauses=settings.functions.retries_s,
                keep=timedelta(days=settings.functions.keep_days),
            ),
            utc_now,
        ),
        inferencer=inferencer,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What is said of an encoded image without a model. Raises BadImage, PayloadTooLarge."""

    max_pixels: int

    def facts(self, content: bytes) -> ImageFacts:
        return decode_image(content, max_pixels=self.max_pixels, enough=_LOOKED_AT)[0]

    def descriptor(self, content: bytes) -> NDArray[np.float32]:
        return described(decode_image(content, max_pixels=self.max_pixels, enough=_LOOKED_AT)[1])

    def hash(self, content: bytes) -> int:
        return image_hash(decode_image(content, max_pixels=self.max_pixels, enough=_LOOKED_AT)[1])


def projects_of(settings: Settings, store: SqlStore, functions: Callable[[], Collection[str]] = frozenset) -> Projects:
    """functions: the custom ones that policies may name."""
    policy = replace(
        settings.policy.as_policy(),
        queue=settings.queue.as_rules(),
        workflow=settings.workflow.as_workflow(),
        quality=settings.quality,
        gate=settings.human_gate.as_rules(),
        guarantee=settings.guarantee.as_rules(),
    )
    return Projects(store, policy, utc_now, functions)


def tokens_of(store: SqlStore) -> Tokens:
    return Tokens(store, utc_now, os.urandom)


def models_of(store: SqlStore, blobs: Blobs) -> Models:
    return Models(store, blobs, read_sound_head, utc_now, os.urandom)


def clips_of(settings: Settings, store: SqlStore, blobs: Blobs) -> Clips:
    video = settings.video
    videos = FfmpegVideos(video.image_format, video.jpeg_quality, settings.limits.max_image_pixels)
    return Clips(store, blobs, videos, video.max_frames, video.as_rules(), utc_now, os.urandom)


def _controller(
    settings: Settings,
    models: Models,
    rollouts: Rollouts,
    references: References,
    duplicates: Duplicates,
    hashes: ImageHashes | None,
    checks: LabelChecks,
) -> Controller:
    training, cosine = settings.training, settings.training.leak_cosine
    recipe = training.model_dump(
        include={
            "epochs", "batch", "image_size", "seed", "optimizer", "learning_rate", "freeze", "flip", "mosaic", "scale"
        }
    )  # fmt: skip
    return Controller(
        store=references.store,
        blobs=references.blobs,
        models=models,
        rollouts=rollouts,
        references=references,
        workshop=references.workshop,
        settings=CycleSettings(
            training=recipe,
            gate=GateSettings(
                **settings.gate.model_dump(exclude={"seed", "mode", "slice_images", "latency_images"}),
                mode=GateMode(settings.gate.mode),
            ),
            gate_seed=settings.gate.seed,
            val_share=training.val_share,
            replay_limit=training.replay_limit,
            drift_reference=settings.drift.reference,
            canary=CanaryPlan(
                wanted=settings.canary.after_gate,
                share=settings.canary.share,
                limits=settings.rollout.as_limits(),
                rules=settings.canary.as_rules(),
            ),
            slice_images=settings.gate.slice_images,
            latency_images=settings.gate.latency_images,
            runtime_images=settings.parity.calibration_images,
            mlflow_required=settings.mlflow.required,
        ),
        clock=utc_now,
        entropy=os.urandom,
        near_duplicates=None if cosine is None else partial(duplicates.of, threshold=cosine),
        image_hashes=None if hashes is None else hashes.of,
        made_with=partial(provenance, training.device),
        check_labels=checks.before_training,
    )


def _registry(settings: Settings) -> Registry:
    return Registry(settings.mlflow_tracking_uri, settings.mlflow_artifact_root, prefix=settings.mlflow.prefix)


def _label_studio(settings: Settings) -> HttpLabelStudio:
    given = settings.label_studio
    return HttpLabelStudio(given.url, given.token.get_secret_value(), given.allow_private, given.timeout_s)


def _deliverer(settings: Settings, store: SqlStore) -> Deliverer:
    webhooks = settings.webhooks
    return Deliverer(
        store,
        DeliverySettings(
            pauses=webhooks.retries_s,
            # Long enough for a post and for the store to be told of it; what is not told by then is sent again.
            lease=timedelta(seconds=4 * webhooks.timeout_s),
            at_once=webhooks.at_once,
            disable_after=timedelta(days=webhooks.disable_after_days),
            keep_delivered=timedelta(days=webhooks.keep_delivered_days),
            keep_dead=timedelta(days=webhooks.keep_dead_days),
        ),
        utc_now,
        random.SystemRandom().random,
    )
