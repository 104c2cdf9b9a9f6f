"""The search index: of how many embeddings it is, when it was kept, how far it is where it is being read."""

from contextlib import suppress

from fastapi import APIRouter

from loop.domain.errors import Unavailable
from loop.domain.model import ModelVersion
from loop.models import loaded
from serving.api.auth import Operator, Wired
from serving.api.schemas.search_index import IndexOut

router = APIRouter(prefix="/v1/projects/{project_id}/index", tags=["items"])


@router.get("")
def get_index(project_id: str, token: Operator, wired: Wired) -> IndexOut:
    """Of the present champion's images, in the gateway process that answers. Asking begins nothing."""
    return _out(wired, _champion(wired, project_id))


@router.post("", status_code=202)
def read_index(project_id: str, token: Operator, wired: Wired) -> IndexOut:
    """Have it read now, as the next search would: poll it until it is ready."""
    model = _champion(wired, project_id)
    with suppress(Unavailable):  # it takes longer than seconds, and goes on
        wired.served_index.caught_up(model)
    return _out(wired, model)


def _champion(wired: Wired, project_id: str) -> ModelVersion:
    with wired.store.read() as tx:
        return loaded.champion(tx, project_id)


def _out(wired: Wired, model: ModelVersion) -> IndexOut:
    return IndexOut.model_validate(wired.served_index.state(model))
