"""Tasks that people do in Label Studio: what lies there, what came back, what can be taken of it.

A task that is sent stays one of ours: it is leased by `BRIDGE` for as long as Label Studio may take, so that nobody
gets it here. The epoch of that lease fences what comes back: a task that was opened again meanwhile, or whose lease ran
out, takes no answer that was given under the earlier one.

    sending ──sent──► out ──answer──► answered ──changed there, taken──► out
       │               ├──skip─────► skipped
       │               ├──too late─► refused
       └──called back──┴───────────► released
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict, Invalid, SettingsError
from loop.domain.identity import digest_of
from loop.domain.outgoing.addresses import is_inside, web_address
from loop.domain.review.tasks import Task
from loop.domain.stage import ROUTED

# Who holds what lies there: the id of a token that opens nothing.
BRIDGE = "label-studio"
# What a task's data says of whose it is there; the id of its link.
KEY = "askance"
SKIPPED_THERE = "skipped in Label Studio"


class LinkState(StrEnum):
    """SENDING: held here; whether it is there is not known yet. REFUSED: no answer of it can count any more. RELEASED:
    called back."""

    SENDING = "sending"
    OUT = "out"
    ANSWERED = "answered"
    SKIPPED = "skipped"
    REFUSED = "refused"
    RELEASED = "released"


LIVE = (LinkState.SENDING, LinkState.OUT)


class What(StrEnum):
    """What became of a task there that a pull looked at. PROBLEM: its answer is not taken, for a reason that a person
    can mend there; LATE: it can not be taken any more; CHANGED: what was taken is another there now; COPY: a second of
    one task; GONE: it was deleted there."""

    ANSWERED = "answered"
    SKIPPED = "skipped"
    PROBLEM = "problem"
    LATE = "late"
    CHANGED = "changed"
    COPY = "copy"
    GONE = "gone"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One of our tasks in Label Studio. server: its address. place: the project there; remote: the task, None until it
    is known. round: of the work, and epoch: of the lease that it was sent under.

    claimed_until: until when who sends it may take; None: nobody has tried. annotation: which was taken; answer: digest
    of what it said. seen: when the task there was changed last, in Label Studio's words, as of the last look that left
    nothing to do. problem: why the answer that is there is not taken, or what was not taken; "" for none."""

    id: str
    project_id: str
    server: str
    place: int
    task_id: str
    work_id: str
    round: int
    epoch: int
    created_at: datetime
    created_by: str
    remote: int | None = None
    state: LinkState = LinkState.SENDING
    claimed_until: datetime | None = None
    annotation: int | None = None
    answer: str = ""
    submission_id: str | None = None
    seen: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What somebody said in Label Studio. author: an email address. result: regions, and what is said of them. seconds:
    how long it took, None where it is not said."""

    id: int
    author: str
    result: Sequence[Any]
    cancelled: bool = False
    ground_truth: bool = False
    seconds: float | None = None

    @property
    def digest(self) -> str:
        return digest_of(repr((self.cancelled, self.result)).encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTask:
    """A task there. key: of its data, "" for none of ours. answers: annotations, cancelled ones too."""

    id: int
    key: str
    changed: str
    answers: int


@dataclass(frozen=True, slots=True)
class RemoteProject:
    """interface: for labelling, as XML."""

    id: int
    interface: str


def the_answer(annotations: Sequence[Annotation]) -> Annotation | None:
    """Which of several counts: the one marked as ground truth, else the last that was not cancelled; the last
    cancelled one where all are. None where there is none.

    >>> said = [Annotation(id=n, author="", result=(), cancelled=n == 3, ground_truth=n == 1) for n in (1, 2, 3)]
    >>> the_answer(said).id, the_answer(said[1:]).id, the_answer(said[2:]).id, the_answer([])
    (1, 2, 3, None)
    """
    counted = [one for one in annotations if not one.cancelled]
    marked = [one for one in counted if one.ground_truth]
    ordered = sorted(marked or counted or annotations, key=lambda one: one.id)
    return ordered[-1] if ordered else None


def may_be_sent(task: Task) -> bool:
    """First-hand work on one image that no caller waits for. Golden items, quality assurance and adjudications stay
    here, since Label Studio knows nothing of them; clips, since it has no place for them (`Link` is of an image)."""
    return task.stage in ROUTED and task.prediction_id is not None and task.answer_by is None and not task.meant_for


def author_of(email: str, now: datetime) -> Token:
    """As whom an answer is kept: a token for each person there, of which there is no secret. It is revoked from the
    first moment, so that what QA returns goes to others at once. "": the bridge's own, which is not: operators give it
    groups and skills as anybody's."""
    name = f"{BRIDGE}:{email}" if email else BRIDGE
    return Token(
        id=name,
        name=name,
        role=Role.REVIEWER,
        secret_digest=f"none:{name}",  # the digest of nothing
        project_id=None,
        created_at=now,
        revoked_at=now if email else None,
    )


def taken(link: Link, annotation: Annotation, submission_id: str, changed: str) -> Link:
    """The answer counts here."""
    return replace(
        link,
        state=LinkState.SKIPPED if annotation.cancelled else LinkState.ANSWERED,
        annotation=annotation.id,
        answer=annotation.digest,
        submission_id=submission_id,
        seen=changed,
        problem="",
    )


# --- the interface there --------------------------------------------------------------------------


def require_controls(wanted: Mapping[str, frozenset[str]], there: Mapping[str, frozenset[str]], title: str) -> None:
    """wanted, there: by the name of a control, its labels or choices. Raises Conflict where answers by the recipe could
    not be given."""
    for name, labels in wanted.items():
        missing = sorted(labels - there.get(name, frozenset()))
        if name not in there or missing:
            what = f"has no {', '.join(missing)} in its control {name!r}" if missing else f"has no control {name!r}"
            raise Conflict(
                f"the project {title!r} in Label Studio {what}.",
                hint="Paste what `askance label-studio interface` prints into its Settings, Labeling Interface, "
                "or push to a title that is not there yet.",
                control=name,
            )


# --- the address and the token ------------------------------------------------------------------------


def checked_server(url: str, *, allow_private: bool) -> str:
    """The address without a slash at its end. Raises SettingsError for what may not be spoken to; what a name leads to
    is looked up with every call."""
    hint = "Set label_studio.url to an address like https://label-studio.example.org."
    try:
        parts, host = web_address(url)
    except ValueError as error:
        raise SettingsError(f"label_studio.url {error}.", hint=hint) from error
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError("label_studio.url holds a user, a query or a fragment.", hint=hint)
    if parts.scheme == "http" and not allow_private:
        raise SettingsError(
            "label_studio.url is not https, so anybody on the way could read the token.",
            hint="Use https; where the way is your own network set label_studio.allow_private to true.",
        )
    if not allow_private and is_inside(host):
        raise private_server(host)
    return url.rstrip("/")


def private_server(host: str) -> SettingsError:
    return SettingsError(
        f"{host} lies inside this machine or a private network, where the service does not look for Label Studio.",
        hint="Use a public address, or set label_studio.allow_private to true where Label Studio is your own.",
    )


def is_refresh_token(token: str) -> bool:
    """Whether it is one of Label Studio's personal access tokens (a JWT, which is changed for a short-lived one) rather
    than a legacy token.

    >>> is_refresh_token("eyJhbGciOi.eyJ0b2tlb.c2ln"), is_refresh_token("e7527cde93dad58f74ed3808022dc1a27912b475")
    (True, False)
    """
    return re.fullmatch(r"eyJ[\w-]*\.[\w-]+\.[\w-]+", token) is not None


def checked_title(title: str) -> str:
    """Label Studio's own limits. Raises Invalid."""
    if not 3 <= len(title) <= 50 or title != title.strip() or not title.isprintable():
        raise Invalid("the title cannot name a project in Label Studio.", hint="Use 3 to 50 printable characters.")
    return title
