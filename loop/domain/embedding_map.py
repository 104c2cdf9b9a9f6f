"""A project's map of embeddings: what was drawn, who asked for more, and when more is due."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loop.domain.errors import Invalid

# A map follows by itself when this share of its points has come since, and no fewer than this; explicit asking is
# answered at once. The next time is not before this long: together they bound what maps cost a service that is busy.
FOLLOWS_SHARE = 0.1
FOLLOWS_FEWEST = 100
FOLLOWS_EVERY = timedelta(minutes=5)
TRIES_AGAIN_AFTER = timedelta(hours=1)


class MapState(StrEnum):
    QUEUED = "queued"  # somebody asked, or it has fallen behind
    RUNNING = "running"  # somebody draws; what was there before is there still
    READY = "ready"
    FAILED = "failed"  # what was there before is there still


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What the newest drawing shows, in the embedding space of one model version.

    key: blob of its columns (selection/map_file.py). layout_key: blob of its representatives, by which more points are
    placed. previous_key: blob of the drawing before, for who is still reading that. sequence: of the last prediction
    in it (`StoredEmbedding`). points: how many; fitted: of them, by UMAP itself; late: of them, those that came after
    the fit. seed: of the fit.
    """

    model_id: str
    key: str
    layout_key: str
    previous_key: str | None
    sequence: int
    points: int
    fitted: int
    late: int
    seed: int
    fitted_at: datetime
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingMap:
    """The map of a project. drawn: None before the first. refit: whether what is asked for is a new fit. actor: who
    asked last. error: of the last try; empty where it went well."""

    project_id: str
    state: MapState
    refit: bool
    actor: str
    error: str
    updated_at: datetime
    drawn: Drawn | None = None

    @classmethod
    def first(cls, project_id: str, actor: str, now: datetime) -> "EmbeddingMap":
        """One that is asked for and was never drawn."""
        return cls(project_id=project_id, state=MapState.QUEUED, refit=False, actor=actor, error="", updated_at=now)

    @property
    def awaited(self) -> bool:
        """Whether a drawing is under way, or waits for its turn."""
        return self.state in (MapState.QUEUED, MapState.RUNNING)

    def asked(self, *, refit: bool, actor: str, now: datetime) -> "EmbeddingMap":
        """To be brought up to date. Also while one is being drawn, which may have begun too early to know of what is
        asked for: then there is another after it."""
        refit = refit or (self.refit and self.awaited)
        return replace(self, state=MapState.QUEUED, refit=refit, actor=actor, updated_at=now)

    def begun(self, now: datetime) -> "EmbeddingMap":
        return replace(self, state=MapState.RUNNING, updated_at=now)

    def done(self, drawn: Drawn, now: datetime) -> "EmbeddingMap":
        """Ready, unless somebody asked again meanwhile."""
        return replace(self._ended(MapState.READY), drawn=drawn, error="", updated_at=now)

    def failed(self, error: str, now: datetime) -> "EmbeddingMap":
        return replace(self._ended(MapState.FAILED), error=error, updated_at=now)

    def _ended(self, state: MapState) -> "EmbeddingMap":
        return replace(self, state=state, refit=False) if self.state is MapState.RUNNING else self

    def follows(self, new: int, now: datetime) -> bool:
        """Whether it should be brought up to date although nobody asks. new: predictions of the champion that it does
        not show."""
        if self.drawn is None or self.awaited:
            return False
        pause = TRIES_AGAIN_AFTER if self.state is MapState.FAILED else FOLLOWS_EVERY
        return new >= max(FOLLOWS_FEWEST, FOLLOWS_SHARE * self.drawn.points) and now - self.updated_at >= pause


def needs_fit(drawn: Drawn | None, model_id: str, *, new: int, refit_share: float) -> bool:
    """Whether placing `new` more points beside the representatives of `drawn` would not do: there are none, they are of
    another embedding space, or more than `refit_share` of all points would have come after the fit."""
    if drawn is None or drawn.model_id != model_id:
        return True
    return drawn.late + new > refit_share * (drawn.points + new)


def nothing_to_draw() -> Invalid:
    return Invalid(
        "the present champion has predicted no image, so there is nothing to draw.",
        hint="Predict some first: askance annotate FOLDER --no-review.",
    )
