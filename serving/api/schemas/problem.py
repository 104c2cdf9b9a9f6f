"""Problems (RFC 9457)."""

from typing import Any

from pydantic import Field

from serving.api.schemas.wire import Out


class Problem(Out):
    type: str = Field(description="stable identifier, e.g. /problems/stale-lease")
    title: str
    status: int
    detail: str
    hint: str = Field(description="what to do next")
    ids: dict[str, Any] = Field(default_factory=dict)
