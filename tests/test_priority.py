"""A model that starts gives way to the one that serves, and takes its place when it is ready."""

import os
import threading
from pathlib import Path

import pytest

from serving.priority import giving_way


def priorities() -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in Path("/proc/self/task").iterdir()}


def test_every_thread_gives_way_and_comes_back() -> None:
    """Also those that begin meanwhile, as the runtime's own do."""
    before, begun, done = priorities(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        done.wait(60)

    thread = threading.Thread(target=work)
    try:
        with giving_way():
            thread.start()
            begun.wait(60)
            within = priorities()
        if within == before:
            pytest.skip("this user may not take its place back")
        assert min(within) > max(before)
        assert priorities() == before
    finally:
        done.set()
        thread.join()


def test_who_could_not_come_back_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that serves at a low priority for ever would be worse than one that disturbs for seconds."""
    asked: list[int] = []

    def may_only_lower(_which: int, _who: int, priority: int) -> None:
        asked.append(priority)
        if len(asked) > 1:
            raise PermissionError

    monkeypatch.setattr(os, "setpriority", may_only_lower)
    with giving_way():
        pass
    assert len(asked) == 2
    assert asked[0] - asked[1] == 1
