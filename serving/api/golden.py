"""Golden items, reviewers' scores and standings, and how far people agree."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from loop.domain.access import Permission, Token
from loop.domain.errors import Invalid
from loop.domain.quality.golden import GoldenItem
from loop.review.standings import JudgingReport, ReviewerReport
from serving.api.auth import Operator, Wired, needs
from serving.api.item_names import ItemDigest
from serving.api.presenters import image_url, shapes_in, shapes_out
from serving.api.schemas.quality import (
    AgreementOut,
    AlphaOut,
    ConfusionOut,
    GoldenIn,
    GoldenListOut,
    GoldenOut,
    MyStandingOut,
    PairAgreementOut,
    ReviewerDetailOut,
    ReviewerIn,
    ReviewerOut,
    ReviewersOut,
)

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["quality"])

_MOST_SHARED = 100

Reviewer = Annotated[Token, Depends(needs(Permission.REVIEW))]


@router.put("/items/{digest}/golden")
def mark(project_id: str, digest: ItemDigest, body: GoldenIn, token: Operator, wired: Wired) -> GoldenOut:
    """Trust an answer to this item: it is given to people among other work, to see how good they are."""
    shapes = None if body.shapes is None else shapes_in(body.shapes)
    return _golden_out(wired.golden.mark(project_id, digest, shapes, token.name))


@router.delete("/items/{digest}/golden", status_code=204)
def remove(project_id: str, digest: ItemDigest, token: Operator, wired: Wired) -> None:
    """It is golden no more, and what was answered to it counts no more."""
    wired.golden.remove(project_id, digest, token.name)


@router.get("/golden")
def list_golden(project_id: str, token: Operator, wired: Wired) -> GoldenListOut:
    return GoldenListOut(golden=[_golden_out(item) for item in wired.golden.all(project_id)])


@router.get("/reviewers")
def list_reviewers(project_id: str, token: Operator, wired: Wired) -> ReviewersOut:
    """Everybody who may review here, oldest token first, with what golden items say of them."""
    return ReviewersOut(reviewers=[_reviewer_out(report) for report in wired.standings.all(project_id)])


@router.get("/reviewers/{reviewer_id}")
def get_reviewer(project_id: str, reviewer_id: str, token: Operator, wired: Wired) -> ReviewerDetailOut:
    """By the id of the token, or a name that is one person's."""
    return _detail_out(wired.standings.of(project_id, reviewer_id))


@router.patch("/reviewers/{reviewer_id}")
def change_reviewer(
    project_id: str, reviewer_id: str, body: ReviewerIn, token: Operator, wired: Wired
) -> ReviewerDetailOut:
    """A standing by hand, with a reason; training for this person alone."""
    given = body.model_dump(exclude_unset=True)
    if body.standing is None and body.judging is None and "training" not in given:
        raise Invalid("nothing to change.", hint="Name a standing with its reason, or training.")
    report = wired.standings.change(
        token,
        project_id,
        reviewer_id,
        standing=body.standing,
        judging=body.judging,
        reason=body.reason,
        training={"training": body.training} if "training" in given else None,
    )
    return _detail_out(report)


@router.get("/me")
def my_standing(project_id: str, token: Reviewer, wired: Wired) -> MyStandingOut:
    return MyStandingOut.model_validate(_standing_fields(wired.standings.own(token, project_id)))


@router.get("/agreement")
def agreement(
    project_id: str, token: Operator, wired: Wired, works: Annotated[int, Query(ge=1, le=1000)] = 200
) -> AgreementOut:
    """Over the last works that several people answered."""
    found = wired.agreement.of(project_id, works)
    return AgreementOut(
        works=found.works,
        f1=found.f1,
        iou=found.iou,
        adjudicated=found.adjudicated,
        alpha=AlphaOut(boxes=found.alpha.boxes, labels=found.alpha.labels, works=found.alpha_works),
        pairs=[PairAgreementOut.model_validate(pair) for pair in found.pairs],
    )


def _golden_out(item: GoldenItem) -> GoldenOut:
    return GoldenOut(
        item_digest=item.item_digest,
        image_url=image_url(item.project_id, item.item_digest),
        shapes=shapes_out(item.shapes),
        version=item.version,
        predicted=item.predicted,
        added_by=item.added_by,
        added_at=item.added_at,
    )


def _decided_fields(report: ReviewerReport | JudgingReport) -> dict[str, object]:
    known = report.known
    beginning = known is None or known.since.year == 1
    return {
        "standing": report.standing,
        "since": None if known is None or beginning else known.since,
        "why": known.why if known else "",
        "reasons": report.decision.reasons,
        "items": report.decision.items,
        "more": report.decision.more,
    }


def _judging_fields(report: JudgingReport) -> dict[str, object]:
    quality = report.quality
    return _decided_fields(report) | {
        "accepts": quality.accepts if quality else None,
        "catches": quality.catches if quality else None,
    }


def _standing_fields(report: ReviewerReport) -> dict[str, object]:
    quality = report.quality
    return _decided_fields(report) | {
        "training": report.training,
        "precision": quality.overall.precision if quality else None,
        "recall": quality.overall.recall if quality else None,
        "iou": quality.mean_iou if quality else None,
        "judging": _judging_fields(report.judging),
    }


def _named_fields(report: ReviewerReport) -> dict[str, object]:
    actor = report.known.actor if report.known else ""
    named = {"id": report.reviewer, "name": report.name, "actor": actor, "shared": len(report.shared)}
    return _standing_fields(report) | named


def _reviewer_out(report: ReviewerReport) -> ReviewerOut:
    return ReviewerOut.model_validate(_named_fields(report))


def _detail_out(report: ReviewerReport) -> ReviewerDetailOut:
    quality = report.quality
    return ReviewerDetailOut.model_validate(
        _named_fields(report)
        | {
            "labels": dict(quality.labels) if quality else {},
            "confusion": _confusion(report),
            "weak": report.decision.weak,
            "shared_items": [one.item_digest for one in report.shared[:_MOST_SHARED]],
        }
    )


def _confusion(report: ReviewerReport) -> list[ConfusionOut]:
    if report.quality is None:
        return []
    names = (*report.quality.labels, "")
    return [
        ConfusionOut(true=names[true], given=names[given], count=int(count))
        for true, row in enumerate(report.quality.table)
        for given, count in enumerate(row)
        if count
    ]
