"""The map of embeddings."""

from datetime import datetime

from pydantic import Field

from loop.domain.embedding_map import MapState
from serving.api.schemas.wire import In, Out


class MapIn(In):
    refit: bool = Field(default=False, description="fit all of it anew, in place of placing what is new on it")


class DrawnOut(Out):
    model_id: str = Field(description="whose embedding space it shows")
    points: int
    fitted: int = Field(description="of them, by UMAP itself; the others were placed beside those")
    late: int = Field(description="of them, those that came after the fit")
    seed: int
    fitted_at: datetime
    made_at: datetime


class MapOut(Out):
    """drawn null: there is none yet. error: of the last try, empty where it went well; what was drawn before stays."""

    project_id: str
    state: MapState
    error: str
    actor: str = Field(description="who asked last")
    updated_at: datetime
    behind: int = Field(description="predictions of the present champion that the map does not show yet")
    drawn: DrawnOut | None
