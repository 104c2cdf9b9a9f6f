"""A typed client of the HTTP API: what the command line, the demo and the tests call the service with."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel

from loop.domain.errors import AskanceError
from serving.api.schemas.annotations import AnnotationIn, AnnotationOut, AnnotationPage, BadImagesOut
from serving.api.schemas.comments import CommentOut, CommentPage, CommentsOut
from serving.api.schemas.drift import DriftPage, DriftReportOut, DriftStatusOut
from serving.api.schemas.functions import (
    ActionOut,
    CallOut,
    FunctionHistoryOut,
    FunctionsOut,
    InstalledFunctionsOut,
)
from serving.api.schemas.groups import GroupDetailOut, GroupOut, GroupPage, ImportedOut, TasksOut
from serving.api.schemas.guarantee import (
    GuaranteeCurveOut,
    GuaranteeOut,
    ThresholdsDetailOut,
    ThresholdsOut,
    ThresholdsPage,
)
from serving.api.schemas.items import ItemDetailOut, NeighboursOut
from serving.api.schemas.lots import CurveOut, LotDetailOut, LotPage
from serving.api.schemas.maps import MapIn, MapOut
from serving.api.schemas.models import (
    ConfiguredOut,
    CycleIn,
    CycleOut,
    CyclePage,
    ModelOut,
    ModelsOut,
    PromotionOut,
    RolloutOut,
    RolloutsOut,
)
from serving.api.schemas.objects import DuplicatesOut, ObjectNeighboursOut
from serving.api.schemas.predictions import PredictionOut, ReviewedPredictionOut
from serving.api.schemas.problem import Problem
from serving.api.schemas.projects import Me, NewTokenOut, PolicyOut, ProjectOut, Summary
from serving.api.schemas.quality import (
    AgreementOut,
    GoldenListOut,
    GoldenOut,
    ReviewerDetailOut,
    ReviewerOut,
    ReviewersOut,
)
from serving.api.schemas.queue import PersonOut
from serving.api.schemas.recipes import RecipeOut, RecipeOutcomeOut, RecipeVersionOut, RecipeVersionsOut
from serving.api.schemas.review import CheckOut, DraftSavedOut, LeaseOut, ReopenedOut, SubmissionOut
from serving.api.schemas.selections import RiskOut, SelectionIn, SelectionOut, SelectionPage
from serving.api.schemas.shapes import ShapeIO
from serving.api.schemas.webhooks import (
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPage,
    EventTypesOut,
    NewWebhookOut,
    ReplayedOut,
    WebhookAnswerOut,
    WebhookOut,
    WebhooksOut,
)
from serving.api.schemas.work import AmbiguousOut, BiasOut, CostOut, RatesIO, RequeuedOut, WorkOut

Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")

# A request that may be repeated is repeated this often, waiting twice as long each time.
_TRIES = 5
_FIRST_WAIT_SECONDS = 0.2
_UPLOAD_SECONDS = 3600.0  # of a video, with decoding it
_SELECTION_SECONDS = 900.0  # from a pool of millions
_RETRIED_STATUS = frozenset({429, 503})
# The first request under the same Idempotency-Key is still at work: its answer comes to whoever asks again.
_IN_FLIGHT = "/problems/idempotency-in-flight"


class ApiError(AskanceError):
    """The service refused; `status` is HTTP's, `problem` what it said."""

    code, title = "api", "The service refused"

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.detail, hint=problem.hint, **problem.ids)
        self.status = status
        self.problem = problem


class ServiceUnreachable(AskanceError):
    code, title = "unreachable", "No answer"


class Client:
    """Safe for several threads. `timeout_s` bounds each request.

    requests: HTTP requests sent so far, retries too; failures: those of them without a 2xx answer.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s, trust_env=False
        )
        self._counting = threading.Lock()
        self.requests = 0
        self.failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- production systems -----------------------------------------------------------------------------

    def predict(
        self, project: str, image: bytes, *, source: str = "", group: str = "", key: str | None = None
    ) -> PredictionOut:
        """Boxes for an image file's bytes. Retried under one Idempotency-Key, so that a lost answer
        creates nothing twice."""
        return self._send(
            PredictionOut,
            "POST",
            f"/v1/projects/{project}/predictions",
            params={name: value for name, value in (("source", source), ("group", group)) if value},
            content=image,
            headers={"Content-Type": "application/octet-stream", "Idempotency-Key": key or str(uuid4())},
            retry=True,
        )

    def prediction(self, project: str, prediction_id: str) -> ReviewedPredictionOut:
        return self._get(ReviewedPredictionOut, f"/v1/projects/{project}/predictions/{prediction_id}")

    # --- reviewers ---------------------------------------------------------------------------------------

    def lease(self, project: str, count: int = 1) -> LeaseOut:
        return self._send(LeaseOut, "POST", f"/v1/projects/{project}/tasks/lease", json={"count": count}, retry=True)

    def submit(self, task_id: str, epoch: int, shapes: Sequence[ShapeIO], note: str = "") -> SubmissionOut:
        body = {"epoch": epoch, "shapes": [shape.model_dump(mode="json") for shape in shapes], "note": note}
        return self._send(SubmissionOut, "POST", f"/v1/tasks/{task_id}/submit", json=body, retry=True)

    def skip(self, task_id: str, epoch: int, reason: str) -> SubmissionOut:
        body = {"epoch": epoch, "reason": reason}
        return self._send(SubmissionOut, "POST", f"/v1/tasks/{task_id}/skip", json=body, retry=True)

    def check(self, task_id: str, shapes: Sequence[ShapeIO]) -> CheckOut:
        """What submitting these shapes would meet."""
        body = {"shapes": [shape.model_dump(mode="json") for shape in shapes]}
        return self._send(CheckOut, "POST", f"/v1/tasks/{task_id}/check", json=body, retry=True)

    def draft(self, task_id: str, epoch: int, content: Mapping[str, object]) -> DraftSavedOut:
        body = {"epoch": epoch, "content": dict(content)}
        return self._send(DraftSavedOut, "POST", f"/v1/tasks/{task_id}/draft", json=body)

    def reopen_task(self, task_id: str) -> list[str]:
        return self._send(ReopenedOut, "POST", f"/v1/tasks/{task_id}/reopen").task_ids

    def reopen_item(self, project: str, digest: str) -> list[str]:
        return self._send(ReopenedOut, "POST", f"/v1/projects/{project}/items/{digest}/reopen").task_ids

    def functions_installed(self) -> InstalledFunctionsOut:
        return self._get(InstalledFunctionsOut, "/v1/functions")

    def functions(self, project: str) -> FunctionsOut:
        """Those with a button."""
        return self._get(FunctionsOut, f"/v1/projects/{project}/functions")

    def press(
        self, task_id: str, name: str, epoch: int, shapes: Sequence[ShapeIO], selected: Sequence[str] = ()
    ) -> ActionOut:
        """What a function makes of these shapes."""
        body = {
            "epoch": epoch,
            "shapes": [shape.model_dump(mode="json") for shape in shapes],
            "selected": list(selected),
        }
        return self._send(ActionOut, "POST", f"/v1/tasks/{task_id}/actions/{name}", json=body)

    def function_runs(self, project: str, limit: int = 50) -> FunctionHistoryOut:
        return self._get(FunctionHistoryOut, f"/v1/projects/{project}/functions/runs?limit={limit}")

    def call_function(self, project: str, name: str, item_digest: str) -> CallOut:
        """Run it on an item; `function_call` tells what came of it."""
        path = f"/v1/projects/{project}/functions/{name}/calls"
        return self._send(CallOut, "POST", path, json={"item_digest": item_digest})

    def function_call(self, project: str, call_id: str) -> CallOut:
        return self._get(CallOut, f"/v1/projects/{project}/functions/calls/{call_id}")

    def people(self) -> list[PersonOut]:
        return [PersonOut.model_validate(person) for person in self._json("GET", "/v1/people")]

    def describe_person(self, token_id: str, **changes: object) -> PersonOut:
        """groups, skills, max_leases, max_tasks_a_day; what is left out stays as it is."""
        return self._send(PersonOut, "PATCH", f"/v1/people/{token_id}", json=changes)

    def comments(
        self, project: str, *, state: str | None = None, kind: str | None = None, after: str | None = None,
        limit: int = 100,
    ) -> CommentPage:  # fmt: skip
        """Newest first; for operators."""
        params = _given(state=state, kind=kind, after=after, limit=limit)
        return self._send(CommentPage, "GET", f"/v1/projects/{project}/comments", params=params, retry=True)

    def comments_of(self, project: str, digest: str) -> list[CommentOut]:
        """Of an item, oldest first."""
        return self._get(CommentsOut, f"/v1/projects/{project}/items/{digest}/comments").comments

    def comment(self, project: str, digest: str, text: str, **more: object) -> CommentOut:
        """more: fields of `CommentIn`."""
        path = f"/v1/projects/{project}/items/{digest}/comments"
        return self._send(CommentOut, "POST", path, json={"text": text, **more})

    def reply_to_comment(self, comment_id: str, text: str) -> CommentOut:
        return self._send(CommentOut, "POST", f"/v1/comments/{comment_id}/replies", json={"text": text})

    def resolve_comment(self, comment_id: str) -> CommentOut:
        return self._send(CommentOut, "POST", f"/v1/comments/{comment_id}/resolve", retry=True)

    def reopen_comment(self, comment_id: str) -> CommentOut:
        return self._send(CommentOut, "POST", f"/v1/comments/{comment_id}/reopen", retry=True)

    def accept(self, task_id: str, epoch: int, note: str = "") -> SubmissionOut:
        """Of a QA task: its answer stands."""
        return self._send(
            SubmissionOut, "POST", f"/v1/tasks/{task_id}/accept", json={"epoch": epoch, "note": note}, retry=True
        )

    def give_back(
        self, task_id: str, epoch: int, issues: Sequence[tuple[str, Sequence[str]]], note: str = ""
    ) -> SubmissionOut:
        """Of a QA task: its answer goes back to its author. issues: messages with the shapes concerned."""
        told = [{"message": message, "shapes": list(shapes)} for message, shapes in issues]
        body = {"epoch": epoch, "issues": told, "note": note}
        return self._send(SubmissionOut, "POST", f"/v1/tasks/{task_id}/return", json=body, retry=True)

    def mark_golden(self, project: str, digest: str, shapes: list[dict[str, Any]] | None = None) -> GoldenOut:
        """Trust these shapes of an item, or its ground truth."""
        return self._send(GoldenOut, "PUT", f"/v1/projects/{project}/items/{digest}/golden", json={"shapes": shapes})

    def remove_golden(self, project: str, digest: str) -> None:
        self._response("DELETE", f"/v1/projects/{project}/items/{digest}/golden")

    def golden(self, project: str) -> list[GoldenOut]:
        """Newest first."""
        return self._get(GoldenListOut, f"/v1/projects/{project}/golden").golden

    def reviewers(self, project: str) -> list[ReviewerOut]:
        return self._get(ReviewersOut, f"/v1/projects/{project}/reviewers").reviewers

    def reviewer(self, project: str, person: str) -> ReviewerDetailOut:
        """By name or token id."""
        return self._get(ReviewerDetailOut, f"/v1/projects/{project}/reviewers/{quote(person, safe='')}")

    def change_reviewer(self, project: str, person: str, **changes: object) -> ReviewerDetailOut:
        """standing with reason; training."""
        path = f"/v1/projects/{project}/reviewers/{quote(person, safe='')}"
        return self._send(ReviewerDetailOut, "PATCH", path, json=changes)

    def agreement(self, project: str, works: int = 200) -> AgreementOut:
        """Over the last works that several people answered."""
        return self._get(AgreementOut, f"/v1/projects/{project}/agreement?works={works}")

    def release(self, task_id: str, epoch: int) -> None:
        """Give the task back to the queue."""
        self._response("POST", f"/v1/tasks/{task_id}/release", json={"epoch": epoch})

    # --- operators ---------------------------------------------------------------------------------------

    def me(self) -> Me:
        return self._get(Me, "/v1/me")

    def projects(self) -> list[ProjectOut]:
        return [ProjectOut.model_validate(body) for body in self._json("GET", "/v1/projects", retry=True)]

    def create_project(self, project: str, labels: Sequence[str]) -> ProjectOut:
        return self._send(ProjectOut, "POST", "/v1/projects", json={"id": project, "labels": list(labels)})

    def project(self, project: str) -> ProjectOut:
        return self._get(ProjectOut, f"/v1/projects/{project}")

    def change_policy(self, project: str, **changes: object) -> PolicyOut:
        return self._send(PolicyOut, "PATCH", f"/v1/projects/{project}/policy", json=changes)

    def recipe(self, project: str, version: int | None = None) -> RecipeOut:
        """The newest, or one of its versions."""
        return self._get(RecipeOut, f"/v1/projects/{project}/recipe" + (f"/{version}" if version else ""))

    def recipe_versions(self, project: str) -> list[RecipeVersionOut]:
        """The newest first."""
        return self._get(RecipeVersionsOut, f"/v1/projects/{project}/recipe/versions").versions

    def change_recipe(self, project: str, document: Mapping[str, object], *, dry_run: bool = False) -> RecipeOutcomeOut:
        """document: as docs/recipe.md says."""
        path = f"/v1/projects/{project}/recipe"
        return self._send(RecipeOutcomeOut, "POST", path, json=dict(document), params={"dry_run": dry_run})

    def summary(self, project: str) -> Summary:
        return self._get(Summary, f"/v1/projects/{project}/summary")

    def item(self, project: str, digest: str) -> ItemDetailOut:
        return self._get(ItemDetailOut, f"/v1/projects/{project}/items/{digest}")

    def neighbours(self, project: str, digest: str, k: int = 12) -> NeighboursOut:
        return self._get(NeighboursOut, f"/v1/projects/{project}/items/{digest}/neighbours?k={k}")

    def object_neighbours(self, project: str, digest: str, number: int, k: int = 12) -> ObjectNeighboursOut:
        path = f"/v1/projects/{project}/items/{digest}/objects/{number}/neighbours?k={k}"
        return self._get(ObjectNeighboursOut, path)

    def duplicates(
        self, project: str, *, threshold: float | None = None, limit: int = 20, members: int = 20
    ) -> Iterator[DuplicatesOut]:
        """Page by page, at least one. threshold: None for the service's own."""
        wanted = {"limit": limit, "members": members} | ({} if threshold is None else {"threshold": threshold})
        after: str | None = None
        while True:
            parameters = wanted | ({} if after is None else {"after": after})
            page = self._send(
                DuplicatesOut,
                "GET",
                f"/v1/projects/{project}/duplicates",
                params=parameters,
                timeout=_SELECTION_SECONDS,
            )
            yield page
            after = page.next
            if after is None:
                return

    def work(
        self, project: str, *, by: str = "reviewer", tz: str = "UTC", since: datetime | None = None,
        until: datetime | None = None,
    ) -> WorkOut:  # fmt: skip
        """Throughput and quality; by: reviewer, label, source, hour or day."""
        return self._reported(WorkOut, f"/v1/projects/{project}/work", since, until, by=by, tz=tz)

    def ambiguous(
        self, project: str, *, above: float = 0.5, limit: int = 100, since: datetime | None = None,
        until: datetime | None = None,
    ) -> AmbiguousOut:  # fmt: skip
        """The most ambiguous items first."""
        return self._reported(
            AmbiguousOut, f"/v1/projects/{project}/items/ambiguous", since, until, above=above, limit=limit
        )

    def requeue_ambiguous(
        self, project: str, *, above: float = 0.5, most: int = 20, since: datetime | None = None,
        until: datetime | None = None,
    ) -> RequeuedOut:  # fmt: skip
        """Ask the expert group for the most ambiguous items again."""
        body = {"above": above, "most": most} | _span(since, until)
        return self._send(RequeuedOut, "POST", f"/v1/projects/{project}/items/ambiguous/requeue", json=body)

    def bias(self, project: str, *, since: datetime | None = None, until: datetime | None = None) -> BiasOut:
        return self._reported(BiasOut, f"/v1/projects/{project}/bias", since, until)

    def cost(
        self, project: str, *, by: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> CostOut:
        """by: label, cycle, source or reviewer."""
        return self._reported(CostOut, f"/v1/projects/{project}/cost", since, until, by=by)

    def cost_rates(self, project: str) -> RatesIO:
        return self._get(RatesIO, f"/v1/projects/{project}/cost/rates")

    def set_cost_rates(self, project: str, rates: Mapping[str, object]) -> RatesIO:
        return self._send(RatesIO, "PUT", f"/v1/projects/{project}/cost/rates", json=dict(rates))

    def create_token(self, name: str, role: str, project: str | None = None) -> NewTokenOut:
        return self._send(NewTokenOut, "POST", "/v1/tokens", json={"name": name, "role": role, "project_id": project})

    def models(self, project: str) -> ModelsOut:
        return self._get(ModelsOut, f"/v1/projects/{project}/models")

    def add_model(self, project: str, weights: bytes) -> ModelOut:
        return self._send(ModelOut, "POST", f"/v1/projects/{project}/models", content=weights)

    def promote(self, project: str, model_id: str, reason: str) -> PromotionOut:
        return self._send(
            PromotionOut, "POST", f"/v1/projects/{project}/models/{model_id}/promote", json={"reason": reason}
        )

    def rollback(self, project: str, reason: str) -> PromotionOut:
        return self._send(PromotionOut, "POST", f"/v1/projects/{project}/models/rollback", json={"reason": reason})

    def configure_model(self, project: str, model_id: str, options: Mapping[str, object]) -> ConfiguredOut:
        """Give a model other serving options; None takes one back."""
        path = f"/v1/projects/{project}/models/{model_id}/serving"
        return self._send(ConfiguredOut, "POST", path, json={"options": dict(options)})

    def start_rollout(
        self, project: str, model_id: str, *, kind: str, share: float, reason: str = "asked for"
    ) -> RolloutOut:
        """kind: canary or shadow; share: in (0, 1]."""
        body = {"kind": kind, "model_id": model_id, "share": share, "reason": reason}
        return self._send(RolloutOut, "POST", f"/v1/projects/{project}/rollouts", json=body)

    def rollouts(self, project: str) -> list[RolloutOut]:
        """Newest first."""
        return self._get(RolloutsOut, f"/v1/projects/{project}/rollouts").rollouts

    def end_rollout(self, project: str, rollout_id: str, reason: str = "ended by hand") -> RolloutOut:
        path = f"/v1/projects/{project}/rollouts/{rollout_id}/end"
        return self._send(RolloutOut, "POST", path, json={"reason": reason})

    def await_rollout(self, project: str, rollout_id: str, *, timeout_s: float = 3600.0) -> RolloutOut:
        """The rollout once it is active, or has failed or ended."""

        def find() -> RolloutOut | None:
            rollouts = self.rollouts(project)
            return next((r for r in rollouts if r.id == rollout_id and r.state != "queued"), None)

        return _polled(find, timeout_s, f"rollout {rollout_id}")

    def await_promotion(self, project: str, promotion_id: str, *, timeout_s: float = 3600.0) -> PromotionOut:
        """The promotion once it is active or failed."""

        def find() -> PromotionOut | None:
            promotions = self.models(project).promotions
            return next((p for p in promotions if p.id == promotion_id and p.state != "queued"), None)

        return _polled(find, timeout_s, f"promotion {promotion_id}")

    def await_champion(self, project: str, *, timeout_s: float = 120.0) -> str:
        """The id of the project's champion, once there is one."""
        return _polled(lambda: self.project(project).champion_id, timeout_s, f"a champion of {project}")

    def start_cycle(self, project: str, cycle: CycleIn) -> CycleOut:
        body = cycle.model_dump(exclude_none=True)
        return self._send(CycleOut, "POST", f"/v1/projects/{project}/cycles", json=body)

    def cycles(self, project: str) -> CyclePage:
        return self._get(CyclePage, f"/v1/projects/{project}/cycles")

    def cycle(self, project: str, cycle_id: str) -> CycleOut:
        return self._get(CycleOut, f"/v1/projects/{project}/cycles/{cycle_id}")

    def follow_cycle(self, project: str, cycle_id: str, *, every_s: float = 0.5) -> Iterator[CycleOut]:
        """The cycle as it goes on; ends with the finished one."""
        while True:
            cycle = self.cycle(project, cycle_id)
            yield cycle
            if cycle.state.finished:
                return
            time.sleep(every_s)

    def select(self, project: str, wish: SelectionIn) -> SelectionOut:
        """Choose items for people; tasks are there when this returns, unless it is a dry run."""
        body = wish.model_dump()
        return self._send(
            SelectionOut, "POST", f"/v1/projects/{project}/selections", json=body, timeout=_SELECTION_SECONDS
        )

    def risk(self, project: str) -> RiskOut:
        return self._get(RiskOut, f"/v1/projects/{project}/risk")

    def ask_for_map(self, project: str, *, refit: bool = False) -> MapOut:
        """Have it drawn, or brought up to date; another process does it."""
        body = MapIn(refit=refit).model_dump()
        return self._send(MapOut, "POST", f"/v1/projects/{project}/map", json=body, retry=True)

    def map_status(self, project: str) -> MapOut:
        return self._get(MapOut, f"/v1/projects/{project}/map/status")

    def await_map(self, project: str, *, timeout_s: float = 3600.0) -> MapOut:
        """Its status once nothing is awaited any more: ready or failed."""

        def find() -> MapOut | None:
            status = self.map_status(project)
            return None if status.state in ("queued", "running") else status

        return _polled(find, timeout_s, f"the map of {project}")

    def map(self, project: str) -> bytes:
        """The newest drawing as an Arrow IPC stream (`selection.map_file.read_map`). Raises ApiError where there is
        none; ask for it first."""
        return self._response("GET", f"/v1/projects/{project}/map", retry=True).content

    def selections(self, project: str) -> SelectionPage:
        return self._get(SelectionPage, f"/v1/projects/{project}/selections")

    def drift(self, project: str) -> DriftPage:
        """The newest reports, and what the next look waits for."""
        return self._get(DriftPage, f"/v1/projects/{project}/drift")

    def look_for_drift(self, project: str) -> DriftReportOut:
        return self._send(DriftReportOut, "POST", f"/v1/projects/{project}/drift")

    def accept_drift(self, project: str) -> DriftStatusOut:
        return self._send(DriftStatusOut, "POST", f"/v1/projects/{project}/drift/reference")

    def guarantee(self, project: str) -> GuaranteeOut:
        """What is promised of predictions that pass, and what keeps it."""
        return self._get(GuaranteeOut, f"/v1/projects/{project}/guarantee")

    def guarantee_history(self, project: str, *, before: int | None = None) -> ThresholdsPage:
        """Records of thresholds, the newest first."""
        path = f"/v1/projects/{project}/guarantee/thresholds"
        return self._get(ThresholdsPage, path + (f"?before={before}" if before else ""))

    def thresholds(self, project: str, version: int) -> ThresholdsDetailOut:
        """One record, with the predictions that it rests on."""
        return self._get(ThresholdsDetailOut, f"/v1/projects/{project}/guarantee/thresholds/{version}")

    def guarantee_curve(self, project: str, *, promise: int = 1, group: str | None = None) -> GuaranteeCurveOut:
        params: dict[str, object] = {"promise": promise} | ({} if group is None else {"group": group})
        return self._send(GuaranteeCurveOut, "GET", f"/v1/projects/{project}/guarantee/curve", params=params)

    def accept_guarantee(self, project: str, reason: str) -> ThresholdsOut:
        return self._send(ThresholdsOut, "POST", f"/v1/projects/{project}/guarantee/accept", json={"reason": reason})

    def start_annotation(
        self, project: str, source: str, *, model_id: str | None = None, review: bool = True
    ) -> AnnotationOut:
        """Queue a bulk annotation of what the service finds at `source`."""
        body = AnnotationIn(source=source, model_id=model_id, review=review).model_dump()
        return self._send(AnnotationOut, "POST", f"/v1/projects/{project}/annotations", json=body)

    def annotations(self, project: str) -> AnnotationPage:
        return self._get(AnnotationPage, f"/v1/projects/{project}/annotations")

    def annotation(self, project: str, annotation_id: str) -> AnnotationOut:
        return self._get(AnnotationOut, f"/v1/projects/{project}/annotations/{annotation_id}")

    def bad_images(self, project: str, annotation_id: str) -> BadImagesOut:
        return self._get(BadImagesOut, f"/v1/projects/{project}/annotations/{annotation_id}/bad")

    def cancel_annotation(self, project: str, annotation_id: str) -> AnnotationOut:
        return self._send(AnnotationOut, "POST", f"/v1/projects/{project}/annotations/{annotation_id}/cancel")

    def follow_annotation(self, project: str, annotation_id: str, *, every_s: float = 0.5) -> Iterator[AnnotationOut]:
        """The annotation as it goes on; ends with the finished one."""
        while True:
            annotation = self.annotation(project, annotation_id)
            yield annotation
            if annotation.state.finished:
                return
            time.sleep(every_s)

    # --- clips -------------------------------------------------------------------------------------------

    def upload_clip(self, project: str, path: Path, *, name: str = "", **sampling: int | float | str) -> ImportedOut:
        """A video into frames. sampling: every or fps; source. The answer comes when all frames are there."""
        with path.open("rb") as content:
            return self._send(
                ImportedOut,
                "POST",
                f"/v1/projects/{project}/clips",
                params={"name": name or path.name, **sampling},
                content=content,
                timeout=_UPLOAD_SECONDS,
            )

    def groups(self, project: str) -> Iterator[GroupOut]:
        """Clips, cameras and other groups, newest first."""
        after: dict[str, str] = {}
        while True:
            page = self._send(GroupPage, "GET", f"/v1/projects/{project}/groups", params=after, retry=True)
            yield from page.groups
            if page.next is None:
                return
            after = {"after": page.next}

    def group(self, project: str, group_id: str, *, after: int = -1, limit: int = 100) -> GroupDetailOut:
        """With its frames behind the index `after`."""
        place = {"after": after, "limit": limit}
        return self._send(GroupDetailOut, "GET", f"/v1/projects/{project}/groups/{group_id}", params=place, retry=True)

    def make_clip_tasks(self, project: str, group_id: str, window: int | None = None) -> TasksOut:
        path = f"/v1/projects/{project}/groups/{group_id}/tasks"
        return self._send(TasksOut, "POST", path, json={"window": window}, retry=True)

    # --- lots --------------------------------------------------------------------------------------------

    def lots(self, project: str, *, after: str | None = None, limit: int = 50) -> LotPage:
        """Newest first."""
        params = {"limit": limit} | ({} if after is None else {"after": after})
        return self._send(LotPage, "GET", f"/v1/projects/{project}/lots", params=params, retry=True)

    def lot(self, project: str, lot_id: str) -> LotDetailOut:
        return self._get(LotDetailOut, f"/v1/projects/{project}/lots/{lot_id}")

    def decide_lot(self, project: str, lot_id: str, how: str, reason: str, version: int | None = None) -> LotDetailOut:
        """how: accept or reopen. version: of the lot that was looked at."""
        body = {"reason": reason, "version": version}
        return self._send(LotDetailOut, "POST", f"/v1/projects/{project}/lots/{lot_id}/{how}", json=body)

    def lot_curve(self, project: str, **rules: object) -> CurveOut:
        """rules: `size`, `plan` and its numbers; what is left out is the policy's."""
        return self._send(CurveOut, "GET", f"/v1/projects/{project}/lots/curve", params=rules, retry=True)

    # --- webhooks ----------------------------------------------------------------------------------------

    def webhooks(self) -> list[WebhookOut]:
        """Oldest first."""
        return self._get(WebhooksOut, "/v1/webhooks").webhooks

    def create_webhook(
        self, url: str, *, project: str | None = None, types: Sequence[str] = (), description: str = ""
    ) -> NewWebhookOut:
        """types: of events, none for all. The secret is in this answer only."""
        body = {"url": url, "project_id": project, "types": list(types), "description": description}
        return self._send(NewWebhookOut, "POST", "/v1/webhooks", json=body)

    def change_webhook(self, endpoint_id: str, **changes: object) -> WebhookOut:
        """changes: fields of `WebhookChangeIn`."""
        return self._send(WebhookOut, "PATCH", f"/v1/webhooks/{endpoint_id}", json=changes)

    def remove_webhook(self, endpoint_id: str) -> None:
        self._response("DELETE", f"/v1/webhooks/{endpoint_id}")

    def rotate_webhook(self, endpoint_id: str) -> NewWebhookOut:
        return self._send(NewWebhookOut, "POST", f"/v1/webhooks/{endpoint_id}/rotate")

    def test_webhook(self, endpoint_id: str) -> WebhookAnswerOut:
        return self._send(WebhookAnswerOut, "POST", f"/v1/webhooks/{endpoint_id}/test")

    def event_types(self) -> EventTypesOut:
        return self._get(EventTypesOut, "/v1/webhooks/event-types")

    def deliveries(
        self, endpoint_id: str, *, state: str | None = None, after: str | None = None, limit: int = 50
    ) -> DeliveryPage:
        """Newest first."""
        asked = {"state": state, "after": after, "limit": limit}
        params = {name: value for name, value in asked.items() if value is not None}
        path = f"/v1/webhooks/{endpoint_id}/deliveries"
        return self._send(DeliveryPage, "GET", path, params=params, retry=True)

    def delivery(self, endpoint_id: str, message_id: str) -> DeliveryDetailOut:
        return self._get(DeliveryDetailOut, f"/v1/webhooks/{endpoint_id}/deliveries/{message_id}")

    def replay(self, endpoint_id: str, message_id: str) -> DeliveryOut:
        path = f"/v1/webhooks/{endpoint_id}/deliveries/{message_id}/replay"
        return self._send(DeliveryOut, "POST", path)

    def replay_dead(self, endpoint_id: str) -> int:
        """How many those were."""
        return self._send(ReplayedOut, "POST", f"/v1/webhooks/{endpoint_id}/replay").replayed

    def ready(self) -> bool:
        """Whether the service answers and its champions infer."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    # --- one request -----------------------------------------------------------------------------------

    def _reported(
        self, kind: type[Model], path: str, since: datetime | None, until: datetime | None, **params: object
    ) -> Model:
        return self._send(kind, "GET", path, params=_given(**params) | _span(since, until), retry=True)

    def _get(self, kind: type[Model], path: str) -> Model:
        return self._send(kind, "GET", path, retry=True)

    def _send(self, kind: type[Model], method: str, path: str, **request: Any) -> Model:
        return kind.model_validate(self._json(method, path, **request))

    def _json(self, method: str, path: str, **request: Any) -> Any:
        return self._response(method, path, **request).json()

    def _response(self, method: str, path: str, *, retry: bool = False, **request: Any) -> httpx.Response:
        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _TRIES + 1):
            last = attempt == _TRIES or not retry
            try:
                response = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                self._count(failed=True)
                if last:
                    hint = "Is it running? Start it with `askance up`, or name another with --url."
                    raise ServiceUnreachable(f"no answer from {self._url}: {error}.", hint=hint) from error
            else:
                self._count(failed=not response.is_success)
                if response.is_success:
                    return response
                problem = _problem_of(response)
                if last or (response.status_code not in _RETRIED_STATUS and problem.type != _IN_FLIGHT):
                    raise ApiError(response.status_code, problem)
            time.sleep(wait)
            wait *= 2
        raise AssertionError("the last try returns or raises")

    def _count(self, *, failed: bool) -> None:
        with self._counting:
            self.requests += 1
            self.failures += failed


def _given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _span(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """As sent; a time without a zone is UTC."""
    given = {name: moment for name, moment in (("since", since), ("until", until)) if moment is not None}
    return {
        name: (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat() for name, moment in given.items()
    }


def _problem_of(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate(response.json())
    except ValueError:
        text = response.text[:200] or response.reason_phrase
        return Problem(type="/problems/http", title="HTTP error", status=response.status_code, detail=text, hint="")


def _polled(find: Callable[[], Found | None], timeout_s: float, what: str) -> Found:
    deadline = time.monotonic() + timeout_s
    while (found := find()) is None:
        if time.monotonic() > deadline:
            raise ServiceUnreachable(f"waited {timeout_s:g} s for {what}.", hint="Look at the service's log.")
        time.sleep(0.2)
    return found
