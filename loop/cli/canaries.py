"""`askance models standing`: how a canary stands by what people answer."""

from typing import TYPE_CHECKING

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    client_of,
    console,
    print_json,
)
from loop.cli.models import models_app
from loop.domain.errors import NotFound
from loop.domain.rollouts.canary import OnPass
from loop.domain.rollouts.rollout import RolloutKind

if TYPE_CHECKING:
    from serving.api.schemas.canaries import CanaryRulesOut, CanaryStandingOut
    from serving.api.schemas.models import RolloutOut


@models_app.command("standing")
def models_standing(
    project: ProjectOption,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How the canary, or the last one, stands: whether people find it worse than the champion."""
    with client_of(config, url) as client:
        canary = next((one for one in client.rollouts(project) if one.kind is RolloutKind.CANARY), None)
    if canary is None:
        raise NotFound(f"{project} has had no canary.", hint="Start one: askance models canary.", project=project)
    if as_json:
        print_json(canary)
        return
    ended = f": {canary.error}" if canary.error else ""
    console.print(f"{canary.model_id} ({canary.share:.0%}) is {canary.state.replace('_', ' ')}{ended}", markup=False)
    for line in _lines(canary):
        console.print(line, markup=False)


def _lines(canary: "RolloutOut") -> list[str]:
    if canary.judging is None:
        return ["people's answers do not judge it."]
    if canary.standing is None:
        return ["nobody has looked at their answers yet."]
    figures = _figures(canary.standing)
    return figures if canary.state.finished else [*figures, _outlook(canary.judging, canary.standing)]


def _figures(found: "CanaryStandingOut") -> list[str]:
    lines = [f"{found.verdict.replace('_', ' ')}: {found.words}"]
    lines.append(f"of {found.predictions} predictions until {found.until:%Y-%m-%d %H:%M:%S} UTC")
    if found.waiting or found.unanswered:
        lines.append(f"{found.waiting} wait for people; {found.unanswered} are without an answer")
    return lines


def _outlook(rules: "CanaryRulesOut", found: "CanaryStandingOut") -> str:
    if found.passed_at is not None:
        return "it may be promoted." if rules.on_pass is OnPass.TELL else "it is promoted by itself."
    limits = f"it ends undecided ({rules.on_undecided.replace('_', ' ')}) after {rules.max_hours:g} h"
    needed = (
        "" if found.needed is None else f"if it is as good as the champion, about {found.needed} more answers say so; "
    )
    return f"{needed}{limits} or {rules.max_answers} answers"
