"""A workshop that examines models by what it says of each: `infer`, and `latency` where it has one."""

from collections.abc import Sequence
from typing import Any

from loop.cycle.work import Examined, Subject, Timing
from loop.domain.errors import AskanceError


class Examines:
    def examine(self: Any, subjects: Sequence[Subject], timing: Timing | None, progress: Any) -> Examined:
        found = [self.infer(subject.model.digest, subject.image_keys, progress) for subject in subjects]
        if timing is None:
            return Examined(found)
        models = [subject.model for subject in subjects]
        try:
            return Examined(found, self.latency(models, timing.image_keys, timing.choose_by, progress))
        except AskanceError as error:
            return Examined(found, unmeasured=error.detail)
