"""Tasks that people do in Label Studio."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel

from serving.api.schemas.label_studio import InterfaceOut, LabelStudioStatusOut, PullOut, PushOut, ReleaseOut
from serving.client.calls import Call, get, method, path, post

_SECONDS = 300.0  # a call sends 20 images, or looks at 50 answers
Model = TypeVar("Model", bound=BaseModel)


class LabelStudioCalls:
    @method
    def push_to_label_studio(self, /, project: str, title: str, **wish: object) -> Call[PushOut]:
        """Some of what is wished: call until `more` is false. wish: `count`, `selection`, `query`, `stage`."""
        return _done(PushOut, _path(project, "push"), {"title": title, **wish})

    @method
    def pull_from_label_studio(
        self, project: str, *, after: str | None = None, take_edits: bool = False
    ) -> Call[PullOut]:
        """A page of what is there: call with `next` until it is None."""
        return _done(PullOut, _path(project, "pull"), {"after": after, "take_edits": take_edits})

    @method
    def release_from_label_studio(self, project: str, tasks: Sequence[str] | None = None) -> Call[ReleaseOut]:
        """Some of the tasks, None: of all that wait there; call until `more` is false."""
        listed = None if tasks is None else list(tasks)
        return _done(ReleaseOut, _path(project, "release"), {"tasks": listed})

    @method
    def label_studio(self, project: str) -> Call[LabelStudioStatusOut]:
        return get(LabelStudioStatusOut, path("projects", project, "label-studio"))

    @method
    def label_studio_interface(self, project: str) -> Call[InterfaceOut]:
        return get(InterfaceOut, _path(project, "interface"))


def _path(project: str, what: str) -> str:
    return path("projects", project, "label-studio", what)


def _done(kind: type[Model], where: str, body: object) -> Call[Model]:
    """What was done before is not done again, so that it may be repeated."""
    return replace(post(kind, where, body, repeatable=True), timeout_s=_SECONDS)
