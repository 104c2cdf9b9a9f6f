"""All tests, in two processes at once; with arguments, one pytest with these: `python scripts/run_tests.py -k routing`.

Tests of the whole service wait most of the time: for Ray, for a browser, for a training beside them. The other tests
compute, and give way to them (nice), so that nobody who waits for the service waits too long. Each test is in exactly
one of the two.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

# Tests of priorities want the usual one. Those of the store, which wait for discs and for processes that they kill, are
# here for both to take about as long.
BESIDE = ("tests/service", "tests/test_priority.py", "tests/contract")
_GIVES_WAY = ("nice", "-n", "5")


def main(arguments: Sequence[str]) -> int:
    if arguments or (os.cpu_count() or 1) < 2:
        return subprocess.run(_pytest(*arguments), check=False).returncode
    with tempfile.TemporaryFile() as output:
        beside = subprocess.Popen(_pytest(*BESIDE), stdout=output, stderr=subprocess.STDOUT)
        rest = subprocess.Popen([*_GIVES_WAY, *_pytest(*(f"--ignore={path}" for path in BESIDE))])
        # Ctrl-C reaches them too: they end what they have started, and are waited for.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = [rest.wait()]
        print(f"\n--- meanwhile, {' and '.join(BESIDE)}:\n", flush=True)
        ended.append(beside.wait())
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout.buffer)
        sys.stdout.flush()
    return next((code for code in ended if code != 0), 0)


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "--durations=15", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
