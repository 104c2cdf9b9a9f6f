"""The rules for calls that wait for a person."""

from pydantic import Field

from loop.domain.policy.gate import Fallback
from serving.api.schemas.queue import Seconds
from serving.api.schemas.wire import In, Out


class GateOut(Out):
    """See docs/gate.md."""

    fallback: Fallback = Field(description="what a waiting call gets where nobody answers in time")
    max_wait_seconds: Seconds = Field(description="the longest that a call may wait")
    min_review_seconds: Seconds = Field(description="with less time left, a task is not handed out for its caller")


class GateIn(In):
    """What is left out keeps its present value."""

    fallback: Fallback = Fallback.FLAG
    max_wait_seconds: Seconds = 0.0
    min_review_seconds: Seconds = 0.0
