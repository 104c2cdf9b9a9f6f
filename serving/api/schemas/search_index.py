"""The search index."""

from datetime import datetime

from pydantic import Field

from loop.domain.search_index import IndexPhase
from serving.api.schemas.wire import Out, Unit


class ListsOut(Out):
    """How a large index is searched. What was measured, was when its lists were made."""

    made_for: int = Field(description="embeddings that were in it then")
    count: int
    searched: int = Field(description="lists that a search looks at")
    compressed: bool = Field(description="a byte for each number; what is found is ranked anew by what the store holds")
    wanted: Unit = Field(description="the recall that it was to have, `selection.index_recall` of then")
    recall: Unit = Field(
        description="the share of the ten nearest others of 256 embeddings that a search finds, beside a comparison "
        "with all; less than wanted where looking at every list does not find more"
    )


class IndexOut(Out):
    """Of one gateway process: each holds its own."""

    model_id: str
    phase: IndexPhase = Field(
        description="unread: nobody has searched since this process started; reading: embeddings are read from the "
        "database, and searches are answered with 503 until that is done; rebuilding: its lists are made anew, and "
        "searches go on by those before; ready"
    )
    progress: Unit | None = Field(
        description="of what is being read or rebuilt: embeddings read, or added to the new lists and compared with; "
        "null in other phases"
    )
    embeddings: int = Field(description="in it; 0 where it is unread")
    waiting: int = Field(description="predictions that are not in it yet")
    lists: ListsOut | None = Field(description="null: each search looks at all, and finds all; or it is unread")
    kept: int = Field(description="embeddings in its file, which saves a start from reading them again")
    kept_at: datetime | None = Field(description="when its file was written; null: there is none")
