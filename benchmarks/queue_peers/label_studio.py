"""A Label Studio of one's own: its server from PyPI on its own SQLite, in an environment of its own."""

import json
import os
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.queue_peers.processes import Served, served


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """python: of its environment (benchmarks.serving_peers.environments.LABEL_STUDIO). place: a folder for its data."""

    python: str
    place: Path

    def served(self) -> AbstractContextManager[Served]:
        """Its server while it runs. The first start makes its database, which takes a minute."""
        program = str(Path(self.python).with_name("label-studio"))
        command = [program, "start", "--no-browser", "--data-dir", str(self.place), "--internal-host", "127.0.0.1"]
        return served(command, "/health", self.place, self._environ)

    def populated(self, *, users: int, tasks: int) -> dict[str, Any]:
        """People r0@example.org and so on, who may use legacy tokens; a project with open tasks. Gives `project`, its
        number, and `tokens`. The database must be there."""
        core = next(Path(self.python).parents[1].glob("lib/python*/site-packages/label_studio"))
        made = subprocess.run(
            # -P: this folder has a module of the name of theirs.
            [self.python, "-P", str(Path(__file__).with_name("label_studio_users.py")), str(users), str(tasks)],
            env={**os.environ, **self._environ, "PYTHONPATH": str(core)},
            cwd=core,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(made.stderr[-2000:])
        told: dict[str, Any] = json.loads(made.stdout.strip().splitlines()[-1])
        return told

    @property
    def _environ(self) -> dict[str, str]:
        return {
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.place), "COLLECT_ANALYTICS": "false", "DJANGO_DB": "sqlite",
            "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "PYTHONPATH": "",
        }  # fmt: skip
