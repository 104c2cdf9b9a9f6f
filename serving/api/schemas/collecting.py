"""Images that are added without a prediction."""

from pydantic import Field

from serving.api.schemas.wire import Out


class CollectedOut(Out):
    digest: str
    media_type: str
    width: int
    height: int
    source: str
    group: str
    new: bool = Field(description="false where the project had the image already, which then stays as it was")
    task_id: str | None = Field(
        description="by which people are asked for it, in an upload; null where they have been before"
    )
