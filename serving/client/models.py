"""For ML teams: model versions, rollouts, cycles."""

from collections.abc import Callable, Mapping
from pathlib import Path

from serving.api.schemas.evaluations import EvaluationOut, SlicesOut
from serving.api.schemas.models import (
    ConfiguredOut,
    CycleIn,
    CycleOut,
    CyclePage,
    MlflowOut,
    ModelOut,
    ModelsOut,
    PromotionOut,
    RolloutOut,
    RolloutsOut,
)
from serving.api.schemas.snapshots import DiffOut, SnapshotOut, SnapshotPage
from serving.api.schemas.triggers import TriggersOut
from serving.client.calls import Call, Steps, Stream, get, given, method, path, post, saved, stream, unheard
from serving.client.waiting import followed, polled


class ModelCalls:
    @method
    def models(self, project: str) -> Call[ModelsOut]:
        return _models(project)

    @method
    def add_model(self, project: str, weights: bytes, *, base: bool = False) -> Call[ModelOut]:
        """base: only for the project's first training to start from."""
        return Call(
            method="POST",
            path=path("projects", project, "models"),
            params=given(base=base or None),
            read=ModelOut.model_validate_json,
            content=weights,
        )

    @method
    def promote(self, project: str, model_id: str, reason: str) -> Call[PromotionOut]:
        return post(PromotionOut, path("projects", project, "models", model_id, "promote"), {"reason": reason})

    @method
    def rollback(self, project: str, reason: str) -> Call[PromotionOut]:
        return post(PromotionOut, path("projects", project, "models", "rollback"), {"reason": reason})

    @method
    def await_promotion(self, project: str, promotion_id: str, *, timeout_s: float = 3600.0) -> Steps[PromotionOut]:
        """The promotion once it is active or failed."""

        def settled(models: ModelsOut) -> PromotionOut | None:
            return next((p for p in models.promotions if p.id == promotion_id and p.state != "queued"), None)

        return polled(_models(project).giving(settled), timeout_s, f"promotion {promotion_id}")

    @method
    def configure_model(self, project: str, model_id: str, options: Mapping[str, object]) -> Call[ConfiguredOut]:
        """Give a model other serving options; None takes one back."""
        where = path("projects", project, "models", model_id, "serving")
        return post(ConfiguredOut, where, {"options": dict(options)})

    @method
    def start_rollout(
        self,
        project: str,
        model_id: str,
        *,
        kind: str,
        share: float,
        reason: str = "asked for",
        judging: Mapping[str, object] | bool | None = None,
    ) -> Call[RolloutOut]:
        """kind: canary or shadow; share: in (0, 1]. judging: rules by which people's answers judge a canary, where they
        differ from the settings; False: they do not."""
        body = {"kind": kind, "model_id": model_id, "share": share, "reason": reason, "judging": judging}
        return post(RolloutOut, path("projects", project, "rollouts"), body)

    @method
    def rollouts(self, project: str) -> Call[list[RolloutOut]]:
        """Newest first."""
        return _rollouts(project).giving(lambda told: told.rollouts)

    @method
    def rollout(self, project: str, rollout_id: str) -> Call[RolloutOut]:
        """With how it stands."""
        return get(RolloutOut, path("projects", project, "rollouts", rollout_id))

    @method
    def end_rollout(self, project: str, rollout_id: str, reason: str = "ended by hand") -> Call[RolloutOut]:
        return post(RolloutOut, path("projects", project, "rollouts", rollout_id, "end"), {"reason": reason})

    @method
    def await_rollout(self, project: str, rollout_id: str, *, timeout_s: float = 3600.0) -> Steps[RolloutOut]:
        """The rollout once it is active, or has failed or ended."""

        def settled(told: RolloutsOut) -> RolloutOut | None:
            return next((r for r in told.rollouts if r.id == rollout_id and r.state != "queued"), None)

        return polled(_rollouts(project).giving(settled), timeout_s, f"rollout {rollout_id}")

    # --- cycles ------------------------------------------------------------------------------------------

    @method
    def start_cycle(self, project: str, cycle: CycleIn) -> Call[CycleOut]:
        return post(CycleOut, path("projects", project, "cycles"), cycle.model_dump(exclude_none=True))

    @method
    def cycles(self, project: str) -> Call[CyclePage]:
        return get(CyclePage, path("projects", project, "cycles"))

    @method
    def cycle(self, project: str, cycle_id: str) -> Call[CycleOut]:
        return _cycle(project, cycle_id)

    @method
    def snapshots(self, project: str) -> Call[SnapshotPage]:
        return get(SnapshotPage, path("projects", project, "snapshots"))

    @method
    def snapshot(self, project: str, digest: str) -> Call[SnapshotOut]:
        return get(SnapshotOut, path("projects", project, "snapshots", digest))

    @method
    def snapshot_diff(self, project: str, before: str, after: str, *, limit: int = 100) -> Call[DiffOut]:
        """limit: the most items of each list; they are counted in any case."""
        return get(DiffOut, path("projects", project, "snapshots", before, "diff", after), limit=limit)

    @method
    def save_snapshot(
        self,
        project: str,
        digest: str,
        into: Path,
        *,
        format: str = "coco",  # noqa: A002 - the word that people use
        images: bool = True,
        on_bytes: Callable[[int], None] = unheard,
    ) -> Call[Path]:
        """A snapshot as a ZIP in the file `into`, which is written as it comes. format: coco, yolo, yolo-segment or
        voc. images: with their files. on_bytes: hears how many have come; less than before where it begins again."""
        where = path("projects", project, "snapshots", digest, "archive")
        return saved("GET", where, into, on_bytes, format=format, images=images)

    @method
    def save_dataset(
        self,
        project: str,
        into: Path,
        *,
        format: str,  # noqa: A002
        images: bool = True,
        on_bytes: Callable[[int], None] = unheard,
    ) -> Call[Path]:
        """The project's images and present ground truth as a ZIP in the file `into`. format: of `askance formats`.
        on_bytes: as of `save_snapshot`."""
        return saved("POST", path("projects", project, "exports", format), into, on_bytes, images=images)

    @stream
    def follow_cycle(self, project: str, cycle_id: str, *, every_s: float = 0.5) -> Stream[CycleOut]:
        """The cycle as it goes on; ends with the finished one."""
        return followed(_cycle(project, cycle_id), lambda cycle: cycle.state.finished, every_s)

    @method
    def cancel_cycle(self, project: str, cycle_id: str, reason: str = "cancelled by hand") -> Call[CycleOut]:
        """It ends as failed; the champion stays."""
        return post(CycleOut, path("projects", project, "cycles", cycle_id, "cancel"), {"reason": reason})

    @method
    def cycle_report(self, project: str, cycle_id: str) -> Call[str]:
        """One HTML page."""
        where = path("projects", project, "cycles", cycle_id, "report")
        return Call(method="GET", path=where, read=bytes.decode, repeatable=True)

    @method
    def cycle_evaluation(self, project: str, cycle_id: str) -> Call[EvaluationOut]:
        """COCO's figures before and after, of all images and of each slice, and latency."""
        return get(EvaluationOut, path("projects", project, "cycles", cycle_id, "evaluation"))

    @method
    def slices(self, project: str) -> Call[SlicesOut]:
        """Which saved views a candidate may not get worse on."""
        return get(SlicesOut, path("projects", project, "slices"))

    @method
    def change_slices(self, project: str, margins: Mapping[str, float | None]) -> Call[SlicesOut]:
        """In place of those that there are. margins: by the name of the view; None: as the settings say."""
        body = {"slices": [{"view": view, "margin": margin} for view, margin in margins.items()]}
        return post(SlicesOut, path("projects", project, "slices"), body, repeatable=True, method="PUT")

    @method
    def mlflow(self, project: str) -> Call[MlflowOut]:
        """What MLflow is still to be told."""
        return get(MlflowOut, path("projects", project, "mlflow"))

    @method
    def triggers(self, project: str) -> Call[TriggersOut]:
        """What asks for a cycle by itself."""
        return get(TriggersOut, path("projects", project, "triggers"))

    @method
    def change_triggers(self, /, project: str, **changes: object) -> Call[TriggersOut]:
        """None takes a trigger away; what is not named stays."""
        return post(TriggersOut, path("projects", project, "triggers"), changes, repeatable=True, method="PATCH")


def _models(project: str) -> Call[ModelsOut]:
    return get(ModelsOut, path("projects", project, "models"))


def _rollouts(project: str) -> Call[RolloutsOut]:
    return get(RolloutsOut, path("projects", project, "rollouts"))


def _cycle(project: str, cycle_id: str) -> Call[CycleOut]:
    return get(CycleOut, path("projects", project, "cycles", cycle_id))
