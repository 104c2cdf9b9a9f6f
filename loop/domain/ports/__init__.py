"""What the use cases need of the world. Each is implemented once at the edge and named in `loop/wiring.py`.

This is the door: everything is imported from here, and the parts only by each other.
"""

from loop.domain.ports.answers import Agreements, HeldAnswers, Lots, Reviewed, Reviews, Submissions, Truths
from loop.domain.ports.blobs import Blobs, Staged
from loop.domain.ports.bulk import Annotations, Maps, Selections
from loop.domain.ports.clock import Clock, Entropy
from loop.domain.ports.detectors import Detector
from loop.domain.ports.events import INSTALLATION, Deliveries, Endpoints, Event, Events, Sender
from loop.domain.ports.functions import CustomFunctions, FunctionCalls, RuleFunctions
from loop.domain.ports.items import Groups, ImageHashes, ItemHistories, ItemQueries, Items, Views
from loop.domain.ports.label_studio import LabelStudio, LabelStudioLinks
from loop.domain.ports.models import Cycles, Models, Promotions, Rollouts
from loop.domain.ports.notes import Notes
from loop.domain.ports.people import Comments, Efforts, Golden, People, Standings
from loop.domain.ports.predictions import (
    Candidate,
    Claim,
    Embeddings,
    IdempotencyKeys,
    Objects,
    Predictions,
    Said,
    Served,
    StoredEmbedding,
    StoredObjects,
)
from loop.domain.ports.production import (
    DriftReports,
    Outcomes,
    ProductionFiguresKept,
    SampledPredictions,
    ThresholdRecords,
)
from loop.domain.ports.projects import Configuration, Projects, Tokens
from loop.domain.ports.store import Revisions, Store, Transaction
from loop.domain.ports.tasks import NOTHING_KEPT, Drafts, Gates, Kept, Queue, TaskLists, Tasks

__all__ = [
    "INSTALLATION",
    "NOTHING_KEPT",
    "Agreements",
    "Annotations",
    "Blobs",
    "Candidate",
    "Claim",
    "Clock",
    "Comments",
    "Configuration",
    "CustomFunctions",
    "Cycles",
    "Deliveries",
    "Detector",
    "Drafts",
    "DriftReports",
    "Efforts",
    "Embeddings",
    "Endpoints",
    "Entropy",
    "Event",
    "Events",
    "FunctionCalls",
    "Gates",
    "Golden",
    "Groups",
    "HeldAnswers",
    "IdempotencyKeys",
    "ImageHashes",
    "ItemHistories",
    "ItemQueries",
    "Items",
    "Kept",
    "LabelStudio",
    "LabelStudioLinks",
    "Lots",
    "Maps",
    "Models",
    "Notes",
    "Objects",
    "Outcomes",
    "People",
    "Predictions",
    "ProductionFiguresKept",
    "Projects",
    "Promotions",
    "Queue",
    "Reviewed",
    "Reviews",
    "Revisions",
    "Rollouts",
    "RuleFunctions",
    "Said",
    "SampledPredictions",
    "Selections",
    "Sender",
    "Served",
    "Staged",
    "Standings",
    "Store",
    "StoredEmbedding",
    "StoredObjects",
    "Submissions",
    "TaskLists",
    "Tasks",
    "ThresholdRecords",
    "Tokens",
    "Transaction",
    "Truths",
    "Views",
]
