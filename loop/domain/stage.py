"""Which kind of work a task is."""

from enum import StrEnum


class Stage(StrEnum):
    """Audits look like any other work to the reviewer. ADJUDICATE: people disagreed on an item, and another decides.
    QA: another person looks at the answer before it counts."""

    ANNOTATE = "annotate"
    AUDIT = "audit"
    ADJUDICATE = "adjudicate"
    QA = "qa"


# What routing may make of a prediction.
ROUTED = (Stage.ANNOTATE, Stage.AUDIT)
