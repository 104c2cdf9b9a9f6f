"""Processes that are killed and started again, many times a minute."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

# All that is started this way comes from one process that has imported these: a start takes what the program does,
# some 0.3 s, instead of the 5 s of CPU that the imports take. There is one such process, so it has to know all.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.api_server", "tests.cycle_worker"])


class Killable:
    """`program(*given)` in a process of its own; what it prints goes to `log`."""

    def __init__(self, program: Callable[..., None], *given: object, log: Path) -> None:
        self._program, self._given, self._log = program, given, log
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Returns at once."""
        self._process = _CONTEXT.Process(
            target=_logged, args=(str(self._log), self._program, *self._given), daemon=True
        )
        self._process.start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def wait(self, seconds: float) -> int | None:
        """How it ended: 0 by itself, -9 by SIGKILL. None: not within so many seconds."""
        assert self._process is not None
        self._process.join(seconds)
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL, for what it has started, too; returns when it is gone. Fails with its log where it had ended by
        itself."""
        assert self.alive, f"it ended by itself:\n{self.told()}"
        assert self._process is not None
        # Any of them may end by itself at this very moment.
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for child in family:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.join()

    def stop(self) -> None:
        """Kill it if it is there."""
        if self.alive:
            self.kill()

    def told(self) -> str:
        """The end of its log."""
        return self._log.read_text()[-4000:] if self._log.exists() else ""


def _logged(log: str, program: Callable[..., None], *given: object) -> None:
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    program(*given)
