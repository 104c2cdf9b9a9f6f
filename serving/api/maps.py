"""The map of embeddings: columns for whoever draws it, and how it is coming along."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse, StreamingResponse

from loop.domain.errors import NotFound
from loop.selecting.maps import MapStatus
from serving.api.auth import Operator, Wired
from serving.api.schemas.maps import MapIn, MapOut

router = APIRouter(prefix="/v1/projects/{project_id}/map", tags=["map"])

ARROW = "application/vnd.apache.arrow.stream"


@router.get(
    "",
    response_class=StreamingResponse,
    responses={
        200: {"description": "An Arrow IPC stream, see docs/map.md", "content": {ARROW: {}}},
        202: {"description": "It is being drawn for the first time", "model": MapOut},
        304: {"description": "If-None-Match names what would be sent"},
    },
)
def get_map(
    project_id: str, token: Operator, wired: Wired, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """What was drawn last, as columns: item, x, y, risk, anomaly_p, score, label, source, state, predicted_at, fitted.

    404 where nobody has asked for it (POST), 202 while the first is being drawn. Meant for operators: it shows of every
    item how risky it is and whether it is in people's hands, which together tell what was drawn at random.
    """
    status = wired.maps.status(project_id)
    drawn = status.record.drawn
    if drawn is None and status.record.awaited:
        return JSONResponse(_out(status).model_dump(mode="json"), 202, {"Retry-After": "2"})
    if drawn is None:
        raise NotFound(
            f"there is no map of {project_id}: it could not be drawn. {status.record.error}",
            hint="Ask for it again: askance map, or POST to this address.",
            project=project_id,
        )
    headers = {"ETag": f'"{drawn.key}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return StreamingResponse(wired.maps.columns(drawn), media_type=ARROW, headers=headers)


@router.get("/status")
def get_status(project_id: str, token: Operator, wired: Wired) -> MapOut:
    """Whether it is being drawn, what the newest drawing shows, and what it lacks."""
    return _out(wired.maps.status(project_id))


@router.post("", status_code=202)
def ask_for_map(project_id: str, body: MapIn, token: Operator, wired: Wired) -> MapOut:
    """Have it drawn, or brought up to date: poll its status until it is ready."""
    return _out(wired.maps.ask(project_id, refit=body.refit, actor=token.name))


def _out(status: MapStatus) -> MapOut:
    record = status.record
    fields = {name: getattr(record, name) for name in ("project_id", "state", "error", "actor", "updated_at", "drawn")}
    return MapOut.model_validate({**fields, "behind": status.behind})
