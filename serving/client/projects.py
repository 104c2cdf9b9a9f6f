"""Projects, their policies and recipes, and tokens."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loop.domain.errors import AskanceError
from serving.api.schemas.events import EventPage
from serving.api.schemas.projects import Me, NewTokenOut, PolicyOut, ProjectOut, Summary, TokenOut
from serving.api.schemas.recipes import (
    GuidelinePictureOut,
    RecipeOut,
    RecipeOutcomeOut,
    RecipeVersionOut,
    RecipeVersionsOut,
)
from serving.client.calls import Call, Steps, delete, get, list_of, method, nothing, path, post
from serving.client.pictures import content_of
from serving.client.waiting import polled

if TYPE_CHECKING:
    from serving.client.pictures import Picture


class ProjectCalls:
    @method
    def me(self) -> Call[Me]:
        return get(Me, path("me"))

    @method
    def ready(self) -> Steps[bool]:
        """Whether the service answers and its champions infer; asked once."""
        try:
            yield from Call(method="GET", path="/readyz", read=nothing, deadline_s=0.0)
        except AskanceError:
            return False
        return True

    @method
    def projects(self) -> Call[list[ProjectOut]]:
        return Call(method="GET", path=path("projects"), read=list_of(ProjectOut), repeatable=True)

    @method
    def create_project(
        self, project: str, labels: Sequence[str] = (), *, recipe: Mapping[str, object] | None = None
    ) -> Call[ProjectOut]:
        """recipe: as docs/recipe.md says, in place of plain boxes with these labels."""
        return post(ProjectOut, path("projects"), {**(recipe or {"labels": list(labels)}), "id": project})

    @method
    def project(self, project: str) -> Call[ProjectOut]:
        return _project(project)

    @method
    def await_champion(self, project: str, *, timeout_s: float = 120.0) -> Steps[str]:
        """The id of the project's champion, once there is one."""
        champion = _project(project).giving(lambda found: found.champion_id)
        return polled(champion, timeout_s, f"a champion of {project}")

    @method
    def change_policy(self, /, project: str, **changes: object) -> Call[PolicyOut]:
        return post(PolicyOut, path("projects", project, "policy"), changes, method="PATCH")

    @method
    def summary(self, project: str) -> Call[Summary]:
        return get(Summary, path("projects", project, "summary"))

    @method
    def history(self, project: str | None, *, kind: str | None = None, last: int = 100) -> Call[EventPage]:
        """What happened, the newest first. project: None: what concerns no single project, as tokens for all of them.
        kind: "policy.changed", or "policy" for all that begin so; None: all."""
        where = path("events") if project is None else path("projects", project, "events")
        return get(EventPage, where, kind=kind, limit=last, newest=True)

    @method
    def recipe(self, project: str, version: int | None = None) -> Call[RecipeOut]:
        """The newest, or one of its versions."""
        one_version = () if version is None else (version,)
        return get(RecipeOut, path("projects", project, "recipe", *one_version))

    @method
    def recipe_versions(self, project: str) -> Call[list[RecipeVersionOut]]:
        """The newest first."""
        return get(RecipeVersionsOut, path("projects", project, "recipe", "versions")).giving(
            lambda told: told.versions
        )

    @method
    def change_recipe(
        self, project: str, document: Mapping[str, object], *, dry_run: bool = False
    ) -> Call[RecipeOutcomeOut]:
        """document: as docs/recipe.md says."""
        return Call(
            method="POST",
            path=path("projects", project, "recipe"),
            read=RecipeOutcomeOut.model_validate_json,
            params={"dry_run": dry_run},
            body=dict(document),
        )

    @method
    def add_guideline_picture(self, project: str, image: "Picture") -> Steps[GuidelinePictureOut]:
        """A picture for the guidelines: bytes, a path or an open file of JPEG, PNG or WebP. `markdown` is what to write
        there."""
        content = yield from content_of(image)
        return (
            yield from Call(
                method="POST",
                path=path("projects", project, "guidelines", "pictures"),
                read=GuidelinePictureOut.model_validate_json,
                content=content,
                headers={"Content-Type": "application/octet-stream"},
                repeatable=True,
            )
        )

    @method
    def create_token(self, name: str, role: str, project: str | None = None) -> Call[NewTokenOut]:
        return post(NewTokenOut, path("tokens"), {"name": name, "role": role, "project_id": project})

    @method
    def tokens(self) -> Call[list[TokenOut]]:
        """Oldest first, the revoked ones too."""
        return Call(method="GET", path=path("tokens"), read=list_of(TokenOut), repeatable=True)

    @method
    def revoke_token(self, token_id: str) -> Call[None]:
        """Its secret counts no more; again, it changes nothing."""
        return delete(path("tokens", token_id))


def _project(project: str) -> Call[ProjectOut]:
    return get(ProjectOut, path("projects", project))
