"""For ML teams: which items people are to look at, how risk is judged, whether production drifts."""

from dataclasses import replace

from serving.api.schemas.drift import DriftPage, DriftReportOut, DriftStatusOut
from serving.api.schemas.selections import RiskOut, SelectionIn, SelectionOut, SelectionPage
from serving.client.calls import Call, get, method, path, post

_SELECTION_SECONDS = 900.0  # from a pool of millions


class SelectionCalls:
    @method
    def select(self, project: str, wish: SelectionIn) -> Call[SelectionOut]:
        """Choose items for people; tasks are there when this returns, unless it is a dry run."""
        asked = post(SelectionOut, path("projects", project, "selections"), wish.model_dump())
        return replace(asked, timeout_s=_SELECTION_SECONDS)

    @method
    def selections(self, project: str) -> Call[SelectionPage]:
        return get(SelectionPage, path("projects", project, "selections"))

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
