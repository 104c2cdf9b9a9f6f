"""For ML teams: which items people are to look at, the index that finds what looks alike, how risk is judged, whether
production drifts."""

from dataclasses import replace

from loop.domain.search_index import IndexPhase
from serving.api.schemas.drift import DriftPage, DriftReportOut, DriftStatusOut
from serving.api.schemas.search_index import IndexOut
from serving.api.schemas.selections import RiskOut, SelectionIn, SelectionOut, SelectionPage, StrategiesOut
from serving.client.calls import Call, Stream, get, method, path, post, stream
from serving.client.waiting import followed

_SELECTION_SECONDS = 900.0  # from a pool of millions


class SelectionCalls:
    @method
    def strategies(self) -> Call[StrategiesOut]:
        """By what a selection can choose."""
        return get(StrategiesOut, path("strategies"))

    @method
    def select(self, project: str, wish: SelectionIn) -> Call[SelectionOut]:
        """Choose items for people; tasks are there when this returns, unless it is a dry run."""
        asked = post(SelectionOut, path("projects", project, "selections"), wish.model_dump())
        return replace(asked, timeout_s=_SELECTION_SECONDS)

    @method
    def selections(self, project: str) -> Call[SelectionPage]:
        return get(SelectionPage, path("projects", project, "selections"))

    @method
    def search_index(self, project: str) -> Call[IndexOut]:
        """How it stands in the gateway process that answers; asking begins nothing."""
        return _index(project)

    @method
    def read_index(self, project: str) -> Call[IndexOut]:
        """Have it read, as the next search would. It goes on behind the answer: see `follow_index`."""
        return _read(project)

    @stream
    def follow_index(self, project: str, *, every_s: float = 0.5) -> Stream[IndexOut]:
        """Have it read, and how it stands, again and again; ends when a gateway process answers that it is ready. Each
        has an index of its own, so each that answers is asked to read."""
        return followed(_read(project), lambda index: index.phase == IndexPhase.READY, every_s)

    @method
    def risk(self, project: str) -> Call[RiskOut]:
        return get(RiskOut, path("projects", project, "risk"))

    @method
    def drift(self, project: str) -> Call[DriftPage]:
        """The newest reports, and what the next look waits for."""
        return get(DriftPage, path("projects", project, "drift"))

    @method
    def look_for_drift(self, project: str) -> Call[DriftReportOut]:
        return post(DriftReportOut, path("projects", project, "drift"))

    @method
    def accept_drift(self, project: str) -> Call[DriftStatusOut]:
        return post(DriftStatusOut, path("projects", project, "drift", "reference"))


def _read(project: str) -> Call[IndexOut]:
    return post(IndexOut, path("projects", project, "index"), repeatable=True)


def _index(project: str) -> Call[IndexOut]:
    return get(IndexOut, path("projects", project, "index"))
