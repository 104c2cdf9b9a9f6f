"""What is promised of predictions that pass without a person."""

from serving.api.schemas.guarantee import (
    GuaranteeCurveOut,
    GuaranteeOut,
    GuaranteePreviewOut,
    ThresholdsDetailOut,
    ThresholdsOut,
    ThresholdsPage,
)
from serving.client.calls import Call, get, method, path, post


class GuaranteeCalls:
    @method
    def guarantee(self, project: str) -> Call[GuaranteeOut]:
        """What is promised, and what keeps it."""
        return get(GuaranteeOut, path("projects", project, "guarantee"))

    @method
    def guarantee_history(self, project: str, *, before: int | None = None) -> Call[ThresholdsPage]:
        """Records of thresholds, the newest first."""
        return get(ThresholdsPage, path("projects", project, "guarantee", "thresholds"), before=before)

    @method
    def thresholds(self, project: str, version: int) -> Call[ThresholdsDetailOut]:
        """One record, with the predictions that it rests on."""
        return get(ThresholdsDetailOut, path("projects", project, "guarantee", "thresholds", version))

    @method
    def guarantee_curve(self, project: str, *, promise: int = 1, group: str | None = None) -> Call[GuaranteeCurveOut]:
        return get(GuaranteeCurveOut, path("projects", project, "guarantee", "curve"), promise=promise, group=group)

    @method
    def preview_guarantee(
        self, project: str, promises: list[dict[str, object]], *, audit_rate: float | None = None
    ) -> Call[GuaranteePreviewOut]:
        """What these promises would come to by the answers of now; nothing is changed."""
        body = {"guarantee": {"promises": promises}, "audit_rate": audit_rate}
        return post(GuaranteePreviewOut, path("projects", project, "guarantee", "preview"), body)

    @method
    def accept_guarantee(self, project: str, reason: str) -> Call[ThresholdsOut]:
        """What production shows now is normal: thresholds are made anew from here on."""
        return post(ThresholdsOut, path("projects", project, "guarantee", "accept"), {"reason": reason})
