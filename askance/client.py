"""The client of a running service (docs/client.md).

    with Client("http://127.0.0.1:8000", token) as client:
        prediction = client.predict("street", "street.jpg")

`Client` blocks, `AsyncClient` has the same methods for asyncio. What they return are pydantic models, of which those
are named here that programs hold most. `Retries` says how patient a client is. They raise `ApiError` and
`ServiceUnreachable`, which are `AskanceError`, as is what says that an argument cannot be used.
"""

from loop.domain.errors import AskanceError
from serving.api.schemas.items import ItemDetailOut, ItemOut
from serving.api.schemas.models import CycleIn, CycleOut, ModelOut, ModelsOut
from serving.api.schemas.predictions import DetectionOut, PredictionOut, ReviewedPredictionOut
from serving.api.schemas.problem import Problem
from serving.api.schemas.projects import ProjectOut
from serving.api.schemas.review import LeaseOut, SubmissionOut, TaskOut
from serving.api.schemas.reviews import ReviewOut
from serving.api.schemas.selections import SelectionIn, SelectionOut
from serving.api.schemas.shapes import ShapeIO
from serving.client import ApiError, AsyncClient, Client, Retries, ServiceUnreachable

__all__ = [
    "ApiError",
    "AskanceError",
    "AsyncClient",
    "Client",
    "CycleIn",
    "CycleOut",
    "DetectionOut",
    "ItemDetailOut",
    "ItemOut",
    "LeaseOut",
    "ModelOut",
    "ModelsOut",
    "PredictionOut",
    "Problem",
    "ProjectOut",
    "Retries",
    "ReviewOut",
    "ReviewedPredictionOut",
    "SelectionIn",
    "SelectionOut",
    "ServiceUnreachable",
    "ShapeIO",
    "SubmissionOut",
    "TaskOut",
]
