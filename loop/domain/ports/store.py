"""One transaction with all that is kept, and the store that begins it."""

from contextlib import AbstractContextManager
from typing import Protocol

from loop.domain.ports.answers import Agreements, HeldAnswers, Lots, Reviews, Submissions, Truths
from loop.domain.ports.bulk import Annotations, Maps, Selections
from loop.domain.ports.events import Deliveries, Endpoints, Events
from loop.domain.ports.functions import FunctionCalls
from loop.domain.ports.items import Groups, ImageHashes, ItemHistories, ItemQueries, Items, Views
from loop.domain.ports.label_studio import LabelStudioLinks
from loop.domain.ports.models import Cycles, Models, Promotions, Rollouts
from loop.domain.ports.notes import Notes
from loop.domain.ports.people import Comments, Efforts, Golden, People, Standings
from loop.domain.ports.predictions import Embeddings, IdempotencyKeys, Objects, Predictions
from loop.domain.ports.production import (
    DriftReports,
    Outcomes,
    ProductionFiguresKept,
    SampledPredictions,
    ThresholdRecords,
)
from loop.domain.ports.projects import Configuration, Projects, Tokens
from loop.domain.ports.tasks import Drafts, Gates, TaskLists, Tasks


class Transaction(Protocol):
    """One database transaction: commits when its block ends, rolls back when the block raises."""

    projects: Projects
    items: Items
    item_queries: ItemQueries
    item_histories: ItemHistories
    image_hashes: ImageHashes
    views: Views
    predictions: Predictions
    objects: Objects
    embeddings: Embeddings
    keys: IdempotencyKeys
    tasks: Tasks
    task_lists: TaskLists
    submissions: Submissions
    sampled: SampledPredictions
    outcomes: Outcomes
    production_figures: ProductionFiguresKept
    thresholds: ThresholdRecords
    efforts: Efforts
    comments: Comments
    gates: Gates
    drafts: Drafts
    held_answers: HeldAnswers
    lots: Lots
    people: People
    golden: Golden
    standings: Standings
    agreements: Agreements
    truths: Truths
    models: Models
    promotions: Promotions
    rollouts: Rollouts
    cycles: Cycles
    notes: Notes
    annotations: Annotations
    selections: Selections
    drift_reports: DriftReports
    maps: Maps
    groups: Groups
    tokens: Tokens
    events: Events
    reviews: Reviews
    endpoints: Endpoints
    deliveries: Deliveries
    function_calls: FunctionCalls
    label_studio: LabelStudioLinks
    configuration: Configuration


class Revisions(Protocol):
    """`Store.revision` for one event loop, which must not wait for it as a thread does. Where neither way can be had,
    ask the store in a thread."""

    def at_once(self) -> int | None:
        """Without waiting for anybody; None where that cannot be."""
        ...

    async def awaited(self) -> int | None:
        """By a connection of the event loop, one call at a time; None where that cannot be."""
        ...

    async def close(self) -> None: ...


class Store(Protocol):
    def begin(self) -> AbstractContextManager[Transaction]:
        """A writing transaction (SQLite: BEGIN IMMEDIATE)."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A reading transaction; writes in it are an error."""
        ...

    def revision(self) -> int:
        """As `Configuration.revision` of a transaction that begins now, and cheap enough to ask with every request."""
        ...

    def revisions(self) -> Revisions:
        """The same for one event loop."""
        ...

    def secret(self) -> bytes:
        """32 random bytes of this installation, made at the first start: keys the audit lottery."""
        ...
