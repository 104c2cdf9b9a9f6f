"""Items: the images, their truth, their neighbours."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from loop.domain.access import Permission, may
from loop.domain.errors import NotFound
from loop.models import loaded
from serving.api.auth import Operator, Producer, Reader, Wired
from serving.api.item_names import ItemDigest
from serving.api.pictures import image_response
from serving.api.presenters import is_blind, item_fields, lineage_out, prediction_out, truth_out
from serving.api.schemas.item_data import ItemChangeIn
from serving.api.schemas.items import ItemDetailOut, ItemOut, NeighbourOut, NeighboursOut
from serving.api.schemas.quality import ItemAgreementOut

Reason = Annotated[str, Query(min_length=1, max_length=1000, description="why it is to be gone, for the history")]

router = APIRouter(prefix="/v1/projects/{project_id}/items", tags=["items"])


@router.get("/{digest}")
def get_item(project_id: str, digest: ItemDigest, token: Reader, wired: Wired) -> ItemDetailOut:
    with wired.store.read() as tx:
        item = tx.items.get(project_id, digest)
        truth = tx.truths.current(project_id, digest)
        prediction = tx.predictions.latest_of(project_id, digest)
        model = tx.models.get(project_id, prediction.model_id) if prediction else None
        tasks = tx.tasks.of_prediction(prediction.id) if prediction else []
        ending = tx.gates.endings([prediction.id]).get(prediction.id) if prediction else None
        operates = may(token, Permission.OPERATE)
        submissions = tx.submissions.of_item(project_id, digest) if operates else []
        agreement = tx.agreements.of_item(project_id, digest) if operates else None
        # What has a truth before its task is answered would be known for a golden item; so would, where there are any,
        # what has none after that.
        if is_blind(token) and tx.golden.tally(project_id, token.id).marked:
            truth = None
    fields = item_fields(item, blind=is_blind(token))
    fields["agreement"] = ItemAgreementOut.model_validate(agreement) if agreement else None
    fields["submissions"] = [lineage_out(submission) for submission in submissions]
    fields["truth"] = truth_out(truth) if truth else None
    # A reviewer does not see decisions: they tell audits from routed work.
    shown = prediction if may(token, Permission.PREDICT) else None
    fields["prediction"] = (
        prediction_out(shown, model, item.width, item.height, tasks[0].id if tasks else None, ending)
        if shown and model
        else None
    )
    return ItemDetailOut.model_validate(fields)


@router.patch("/{digest}")
def change_item(project_id: str, digest: ItemDigest, body: ItemChangeIn, token: Operator, wired: Wired) -> ItemOut:
    """Change what is said of it under free keys; all else is as the image came. Its history keeps what was said."""
    wired.describing.describe(token, project_id, [digest], body.meta)
    with wired.store.read() as tx:
        return ItemOut.model_validate(item_fields(tx.items.get(project_id, digest), blind=is_blind(token)))


@router.delete("/{digest}", status_code=204)
def drop_item(project_id: str, digest: ItemDigest, reason: Reason, token: Operator, wired: Wired) -> Response:
    """Keep its image no more: the bytes are removed unless another project keeps them, its truth counts no more, and
    the same image is refused from now on. What was predicted and answered stays in the history."""
    wired.dropping.drop(token, project_id, digest, reason)
    wired.function_queue.remove_dropped()
    return Response(status_code=204)


@router.get("/{digest}/image", response_class=Response)
def get_image(project_id: str, digest: ItemDigest, token: Reader, wired: Wired) -> Response:
    """The image as it was sent."""
    with wired.store.read() as tx:
        item = tx.items.get(project_id, digest)
        dropped = tx.items.is_dropped(project_id, digest)  # another project may keep the bytes
    if dropped or not wired.blobs.has(item.digest):
        raise NotFound(
            "the image of this item was not kept.",
            hint="Add it again to see it: in the page at Items, Add images. Which are kept says the policy (retain).",
            item=digest,
        )
    return image_response(wired.blobs.get(item.digest), item.media_type)


@router.get("/{digest}/neighbours")
def neighbours(
    project_id: str, digest: ItemDigest, token: Producer, wired: Wired, k: Annotated[int, Query(ge=1, le=200)] = 12
) -> NeighboursOut:
    """The most similar images that the present champion has seen. Not for reviewers: what it has seen, and when, tells
    golden items from other work."""
    with wired.store.read() as tx:
        tx.items.get(project_id, digest)
        model = loaded.champion(tx, project_id)
    found = wired.served_index.nearest(model, digest, k)
    return NeighboursOut(
        model_id=model.id,
        neighbours=[NeighbourOut(item_digest=d, prediction_id=p, similarity=s) for d, p, s in found],
    )
