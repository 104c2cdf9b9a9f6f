"""Lots of answers, which are accepted or opened again together."""

from serving.api.schemas.lots import CurveOut, LotDetailOut, LotOut, LotPage
from serving.client.calls import Call, get, method, path, post


class LotCalls:
    @method
    def lots(self, project: str, *, after: str | None = None, limit: int = 50) -> Call[LotPage]:
        """Newest first."""
        return get(LotPage, path("projects", project, "lots"), after=after, limit=limit)

    @method
    def lot(self, project: str, lot_id: str) -> Call[LotDetailOut]:
        return get(LotDetailOut, path("projects", project, "lots", lot_id))

    @method
    def open_upload(self, project: str, source: str = "") -> Call[LotOut]:
        """A lot of its own for what is sent with its id as `lot`, until it is closed. source: what it is called."""
        return post(LotOut, path("projects", project, "lots"), {"source": source})

    @method
    def close_upload(self, project: str, lot_id: str) -> Call[LotOut]:
        """All was sent: what is looked at of it is drawn. Again, it changes nothing."""
        return post(LotOut, path("projects", project, "lots", lot_id, "close"), repeatable=True)

    @method
    def decide_lot(
        self, project: str, lot_id: str, how: str, reason: str, version: int | None = None
    ) -> Call[LotDetailOut]:
        """how: accept or reopen. version: of the lot that was looked at."""
        return post(
            LotDetailOut, path("projects", project, "lots", lot_id, how), {"reason": reason, "version": version}
        )

    @method
    def lot_curve(self, /, project: str, **rules: object) -> Call[CurveOut]:
        """rules: `size`, `plan` and its numbers; what is left out is the policy's."""
        return get(CurveOut, path("projects", project, "lots", "curve"), **rules)
