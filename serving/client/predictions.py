"""For production systems: inference, and what people made of it."""

import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from serving.api.schemas.predictions import PredictionPage, ReviewedPredictionOut
from serving.api.schemas.reviews import ReviewOut, ReviewPage
from serving.client.calls import Call, Give, Pause, Steps, Stream, get, given, method, path, stream
from serving.client.errors import ApiError, ServiceUnreachable
from serving.client.pictures import content_of

if TYPE_CHECKING:
    from serving.client.pictures import Picture, Pixels

log = logging.getLogger("askance.client")

_ONE_POLL_S = 60.0  # longer, and something between drops the connection
_SOONEST_S = 0.5  # between two polls, where the service does not hold its answer back
_MARGIN_S = 2.0  # for the network, on top of what the service may take


class PredictionCalls:
    @method
    def predict(
        self,
        project: str,
        image: "Picture | Pixels",
        *,
        source: str = "",
        group: str = "",
        wait: float | None = None,
        review: Literal["auto", "always", "never"] = "auto",
        timeout: float | None = None,
        key: str | None = None,
        lot: str | None = None,
    ) -> Steps[ReviewedPredictionOut]:
        """Boxes for an image, and what was decided; with `wait` also what people made of it, if they were in time.

        image: as `serving.client.pictures.encoded` takes it. source, group: where it comes from, and the clip or scene
        that must not be split. wait: seconds to wait for a person, where one is asked. review: ask one always or never,
        instead of as the policy says. timeout: seconds for the model's answer, in all tries. key: the Idempotency-Key;
        None makes one. It is the same in each try, so that a lost answer creates nothing twice. lot: an open upload
        that the image is of; a person looks at it then, whatever the risk.
        """
        content = yield from content_of(image)
        asked = None if review == "auto" else review
        most = None if timeout is None else timeout + _MARGIN_S
        return (
            yield from Call(
                method="POST",
                path=path("projects", project, "predictions"),
                read=_answered,
                params=given(
                    source=source or None, group=group or None, wait=wait, review=asked, timeout=timeout, lot=lot
                ),
                content=content,
                headers={"Content-Type": "application/octet-stream", "Idempotency-Key": key or str(uuid4())},
                repeatable=True,
                timeout_s=most,
                deadline_s=most,
                held_s=wait + _MARGIN_S if wait else 0.0,
            )
        )

    @method
    def prediction(self, project: str, prediction_id: str, *, wait: float | None = None) -> Call[ReviewedPredictionOut]:
        """With what people have made of it so far. wait: seconds that the service may wait for them."""
        return _prediction(project, prediction_id, wait)

    @method
    def predictions(self, project: str, *, after: str | None = None, limit: int = 100) -> Call[PredictionPage]:
        """Newest first."""
        return get(PredictionPage, path("projects", project, "predictions"), after=after, limit=limit)

    @method
    def wait_for(self, project: str, prediction_id: str, seconds: float) -> Steps[ReviewedPredictionOut]:
        """The prediction once nothing is awaited of people any more, or as it is after `seconds`."""
        over = time.monotonic() + seconds
        while True:
            begun = time.monotonic()
            found = yield from _prediction(project, prediction_id, min(max(over - begun, 0.0), _ONE_POLL_S))
            left = over - time.monotonic()
            if not found.is_awaited or left <= 0:
                return found
            yield from Pause(min(left, max(0.0, begun + _SOONEST_S - time.monotonic())))

    @method
    def review_page(self, project: str, *, after: int = 0, limit: int = 100) -> Call[ReviewPage]:
        """Predictions that people have settled, oldest first, behind the cursor `after`."""
        return _review_page(project, after, limit)

    @stream
    def reviews(
        self,
        project: str,
        *,
        after: int | None = None,
        every_s: float = 1.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> Stream[ReviewOut]:
        """Each prediction that people have settled, in that order, and then each as it is settled; without end.

        after: the `cursor` of the last review that was worked off; None begins with the project's first. every_s:
        seconds between questions for new ones. stop: asked before each review and each question. An outage of the
        service is waited out, unless it does not answer the first question.
        """
        cursor, answered = after or 0, False
        while not stop():
            try:
                page = yield from _review_page(project, cursor, 100)
            except (ServiceUnreachable, ApiError) as error:
                if not answered or (isinstance(error, ApiError) and error.status < 500 and error.status != 429):
                    raise
                log.warning("no reviews of %s for now: %s", project, error)
                yield from Pause(every_s)
                continue
            answered = True
            for review in page.reviews:
                if stop():
                    return
                yield Give(review)
            if not page.reviews:
                yield from Pause(every_s)
            cursor = page.next


def _prediction(project: str, prediction_id: str, wait: float | None) -> Call[ReviewedPredictionOut]:
    return Call(
        method="GET",
        path=path("projects", project, "predictions", prediction_id),
        read=ReviewedPredictionOut.model_validate_json,
        params=given(wait=wait or None),
        repeatable=True,
        held_s=wait or 0.0,
    )


def _review_page(project: str, after: int, limit: int) -> Call[ReviewPage]:
    return get(ReviewPage, path("projects", project, "reviews"), after=after, limit=limit)


def _answered(content: bytes) -> ReviewedPredictionOut:
    """A call that did not wait is told nothing of people: nothing is known of them yet."""
    told = json.loads(content)
    open_because = "unanswered" if told["status"] == "provisional" else None
    unknown = {"provisional_because": open_because, "task_state": None, "corrections": None, "truth": None}
    return ReviewedPredictionOut.model_validate(unknown | told)
