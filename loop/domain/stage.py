"""Which kind of work a task is."""

from enum import StrEnum


class Stage(StrEnum):
    """Audits look like any other work to the reviewer. ADJUDICATE: people disagreed on an item, and another decides.
    QA: another person looks at the answer before it counts. GOLDEN: its answer is known, which shows how good people
    are; it looks like any other work, and is never shown as what it is."""

    ANNOTATE = "annotate"
    AUDIT = "audit"
    ADJUDICATE = "adjudicate"
    QA = "qa"
    GOLDEN = "golden"


# What routing may make of a prediction.
ROUTED = (Stage.ANNOTATE, Stage.AUDIT)
