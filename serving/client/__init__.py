"""The client of the HTTP API, blocking and for asyncio; users import it as `askance.client` (docs/client.md).

Calls are described once, a module for each resource (`serving/client/calls.py` says how), and sent by two thin senders.
It imports neither the service nor what serves, trains or stores.
"""

from collections.abc import Awaitable, Callable

from serving.api.schemas.reviews import ReviewOut
from serving.client.annotations import AnnotationCalls
from serving.client.errors import ApiError, ServiceUnreachable
from serving.client.functions import FunctionCalls
from serving.client.groups import GroupCalls
from serving.client.guarantee import GuaranteeCalls
from serving.client.items import ItemCalls
from serving.client.label_studio import LabelStudioCalls
from serving.client.lots import LotCalls
from serving.client.models import ModelCalls
from serving.client.people import PeopleCalls
from serving.client.predictions import PredictionCalls
from serving.client.projects import ProjectCalls
from serving.client.retries import Retries
from serving.client.reviewing import ReviewingCalls
from serving.client.selections import SelectionCalls
from serving.client.sending import AsyncSender, Sender
from serving.client.webhooks import WebhookCalls
from serving.client.work import WorkCalls

__all__ = ["ApiError", "AsyncClient", "Client", "Retries", "ServiceUnreachable"]


class _Calls(
    PredictionCalls,
    ReviewingCalls,
    ProjectCalls,
    ItemCalls,
    ModelCalls,
    GuaranteeCalls,
    SelectionCalls,
    AnnotationCalls,
    GroupCalls,
    LotCalls,
    LabelStudioCalls,
    PeopleCalls,
    WorkCalls,
    FunctionCalls,
    WebhookCalls,
):
    """Every method of the API."""


class Client(Sender, _Calls):
    """Blocks until there is an answer. Safe for several threads.

    requests: HTTP requests sent so far, retries too; failures: those of them without a 2xx answer.
    """

    def on_reviewed(
        self,
        project: str,
        callback: Callable[[ReviewOut], object],
        *,
        after: int | None = None,
        every_s: float = 1.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Call back for each review as `reviews` gives them, in this thread, until `stop` or an exception. A review
        whose callback raised comes again to who goes on from the cursor of the one before."""
        for review in self.reviews(project, after=after, every_s=every_s, stop=stop):
            callback(review)


class AsyncClient(AsyncSender, _Calls):
    """The same methods for asyncio: await them, and iterate with `async for`. For one event loop."""

    async def on_reviewed(
        self,
        project: str,
        callback: Callable[[ReviewOut], Awaitable[object]],
        *,
        after: int | None = None,
        every_s: float = 1.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """As of Client; the callback is awaited. Cancelling the task ends it too."""
        async for review in self.reviews(project, after=after, every_s=every_s, stop=stop):
            await callback(review)
