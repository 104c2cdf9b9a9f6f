"""How much memory is left, what a process takes of it, and which processes go first where there is none."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.memory import end_beyond, free, taken

HOLDS = "import sys; held = b'x' * int(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
MEMORY = 100_000_000

RANKS = """
from pathlib import Path
from serving.memory import go_first
from serving.priority import take_place
rank = Path("/proc/self/oom_score_adj")
go_first()
print(rank.read_text().strip())
take_place()
print(rank.read_text().strip())
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds MEMORY bytes."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDS, str(MEMORY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def machine(folder: Path, available_kb: int, **files: str) -> tuple[Path, Path]:
    """What the system says of its memory, and of the control groups whose files are given."""
    (folder / "proc").mkdir()
    (folder / "proc/meminfo").write_text(f"MemTotal: 16000000 kB\nMemAvailable: {available_kb} kB\n")
    for name, text in files.items():
        path = folder / "groups" / name.replace("__", "/").replace("-", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "proc", folder / "groups"


def test_a_machine_without_a_limit_gives_what_is_available(tmp_path: Path) -> None:
    """Also where the group around this process has none ("max")."""
    folders = machine(
        tmp_path, 1000, **{"memory-max": "max\n", "memory-current": "5", "memory-stat": "inactive_file 1"}
    )
    assert free(*folders) == 1_024_000


@pytest.mark.parametrize(
    ("limit", "used", "figures", "spare"),
    [
        ("memory-max", "memory-current", "memory-stat", "inactive_file"),
        (
            "memory__memory-limit_in_bytes",
            "memory__memory-usage_in_bytes",
            "memory__memory-stat",
            "total_inactive_file",
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_a_container_gives_what_its_limit_leaves(
    tmp_path: Path, limit: str, used: str, figures: str, spare: str
) -> None:
    """Files that it has read count as left: they can be read again. One that is over its limit gives nothing."""
    files = {limit: "1000", used: "700", figures: f"anon 500\n{spare} 200\nslab 0\n"}
    folders = machine(tmp_path, 1_000_000, **files)
    assert free(*folders) == 500
    (folders[1] / used.replace("__", "/").replace("-", ".")).write_text("1300")
    assert free(*folders) == 0


def test_a_system_that_does_not_say_is_asked_in_vain(tmp_path: Path) -> None:
    assert free(tmp_path, tmp_path) is None


def test_what_a_process_takes_is_its_own(holder: subprocess.Popen[bytes]) -> None:
    """Its data, and no program that it shares with others; nothing once it has ended."""
    assert MEMORY <= (taken(holder.pid) or 0) < MEMORY + 30_000_000
    holder.kill()
    holder.wait()
    assert taken(holder.pid) is None


def test_a_process_beyond_its_limit_is_ended(holder: subprocess.Popen[bytes]) -> None:
    """And what it took is told."""
    used = end_beyond(holder.pid, MEMORY - 1)
    assert used is not None and used >= MEMORY
    assert holder.wait(30) == -9


def test_a_process_within_its_limit_is_left_alone(holder: subprocess.Popen[bytes]) -> None:
    """Until it ends by itself; then nothing is told."""
    with ThreadPoolExecutor(1) as aside:
        watch = aside.submit(end_beyond, holder.pid, 2 * MEMORY)
        time.sleep(0.2)
        assert not watch.done() and holder.poll() is None
        holder.kill()
        holder.wait()
        assert watch.result(30) is None


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="only Linux ranks processes")
def test_what_is_tried_goes_before_what_serves() -> None:
    """Where memory runs out, the system takes the highest of these."""
    done = subprocess.run([sys.executable, "-c", RANKS], capture_output=True, text=True, check=True)
    tried, serves = map(int, done.stdout.split())
    assert tried > serves > 0
