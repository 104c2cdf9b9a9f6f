"""The search index."""

from datetime import datetime

from pydantic import Field

from loop.selecting.following import IndexPhase
from serving.api.schemas.wire import Out


class IndexOut(Out):
    """Of one gateway process: each holds its own."""

    model_id: str
    phase: IndexPhase = Field(
        description="unread: nobody has searched since this process started; reading: embeddings are read from the "
        "database, and searches are answered with 503 until that is done; rebuilding: its lists are made anew, and "
        "searches go on by those before; ready"
    )
    embeddings: int = Field(description="in it; 0 where it is unread")
    waiting: int = Field(description="predictions that are not in it yet")
    lists_for: int = Field(description="embeddings that its lists were made for; 0: each search looks at all")
    kept: int = Field(description="embeddings in its file, which saves a start from reading them again")
    kept_at: datetime | None = Field(description="when its file was written; null: there is none")
