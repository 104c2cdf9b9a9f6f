"""Objects: the detections of an item, and what looks like one of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from loop.models import loaded
from serving.api.auth import Producer, Wired
from serving.api.item_names import ItemDigest
from serving.api.options import LAST_VERSION
from serving.api.schemas.objects import ObjectNeighbourOut, ObjectNeighboursOut

router = APIRouter(prefix="/v1/projects/{project_id}/items/{digest}/objects", tags=["items"])


@router.get("/{number}/neighbours")
def object_neighbours(
    project_id: str,
    digest: ItemDigest,
    number: Annotated[
        int, Path(ge=0, le=LAST_VERSION, description="of a detection in the item's newest prediction, from 0")
    ],
    token: Producer,
    wired: Wired,
    k: Annotated[int, Query(ge=1, le=200)] = 12,
) -> ObjectNeighboursOut:
    """The most similar objects that the present champion has seen in other items. It must give embeddings of objects
    (its option object_embeddings). Not for reviewers, as images alike."""
    with wired.store.read() as tx:
        tx.items.get(project_id, digest)
        model = loaded.champion(tx, project_id)
    found = wired.served_objects.nearest(model, digest, number, k)
    return ObjectNeighboursOut(
        model_id=model.id, neighbours=[ObjectNeighbourOut.model_validate(neighbour) for neighbour in found]
    )
