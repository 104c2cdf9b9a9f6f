"""Custom functions: buttons for who annotates; what is installed, what ran, and running one, for operators."""

import threading
from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.errors import Overloaded
from serving.api.auth import Anyone, Operator, Reader, SomeOperator, Wired
from serving.api.item_names import item_named
from serving.api.presenters import shapes_in, shapes_out
from serving.api.schemas.events import EventOut
from serving.api.schemas.functions import (
    ActionIn,
    ActionOut,
    CallIn,
    CallOut,
    FunctionHistoryOut,
    FunctionOut,
    FunctionsOut,
    InstalledFunctionOut,
    InstalledFunctionsOut,
)

router = APIRouter(prefix="/v1", tags=["functions"])

# Each press holds a thread of the gateway until its function has answered; the others are for everything else.
_MOST_PRESSES = 8
_presses = threading.BoundedSemaphore(_MOST_PRESSES)


@router.get("/functions")
def installed(token: SomeOperator, wired: Wired) -> InstalledFunctionsOut:
    """What the installed packages register; projects name these in their policy."""
    packages = wired.functions.packages
    return InstalledFunctionsOut(
        functions=[InstalledFunctionOut(name=name, package=packages[name]) for name in sorted(packages)]
    )


@router.get("/projects/{project_id}/functions")
def buttons(project_id: str, token: Reader, wired: Wired) -> FunctionsOut:
    """Those of the project that have a button."""
    return FunctionsOut(
        functions=[
            FunctionOut(
                name=use.name,
                label=use.button.label,
                key=use.button.key,
                description=use.button.description,
                needs_selection=use.button.needs_selection,
            )
            for use in wired.functions.buttons(project_id)
            if use.button is not None
        ]
    )


# The project of a task is known only once the task is read; the use case checks the permission there.
@router.post("/tasks/{task_id}/actions/{name}")
def press(task_id: str, name: str, body: ActionIn, token: Anyone, wired: Wired) -> ActionOut:
    """What the function makes of the shapes that I have so far; for who holds the task. Nothing is submitted."""
    if not _presses.acquire(blocking=False):
        raise Overloaded(f"{_MOST_PRESSES} functions are running for people already.", hint="Press it again.")
    try:
        pressed = wired.functions.press(token, task_id, body.epoch, name, shapes_in(body.shapes), body.selected)
    finally:
        _presses.release()
    return ActionOut(shapes=shapes_out(pressed.shapes), messages=list(pressed.messages))


@router.get("/projects/{project_id}/functions/runs")
def runs(
    project_id: str, token: Operator, wired: Wired, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> FunctionHistoryOut:
    """What ran and what came of it, of buttons too."""
    history = wired.functions.history(project_id, limit)
    return FunctionHistoryOut(waiting=history.waiting, runs=[EventOut.model_validate(one) for one in history.runs])


@router.post("/projects/{project_id}/functions/{name}/calls", status_code=202)
def call(project_id: str, name: str, body: CallIn, token: Operator, wired: Wired) -> CallOut:
    """Run it on an item, as on an event: soon, with retries."""
    digest = item_named(wired, token, project_id, body.item_digest)
    return CallOut.model_validate(wired.functions.call(project_id, name, digest, token.name))


@router.get("/projects/{project_id}/functions/calls/{call_id}")
def called(project_id: str, call_id: str, token: Operator, wired: Wired) -> CallOut:
    return CallOut.model_validate(wired.functions.called(project_id, call_id))
