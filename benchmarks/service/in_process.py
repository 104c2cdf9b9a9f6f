"""The model without a service: a resident process that detects in a loop when asked to.

First a line that says what to run and one back that it is ready; then, line by line, {"callers", "warm", "seconds"} →
{"images", "seconds", "latencies", "cpu_seconds"}. More callers than the runtime has streams would only wait.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.service.detection import Chosen, Detect, Ours, usual
from benchmarks.service.load import varied


def detector(kind: str, weights: Path, chosen: Chosen) -> tuple[Detect, int]:
    """With the number of callers that it gains from."""
    if kind == "usual":
        return usual(weights), 1
    made = Ours(weights, chosen)
    return made, made.streams


def measured(detect: Detect, callers: int, pictures: Sequence[bytes], warm: float, seconds: float) -> dict[str, object]:
    """`callers` threads in a closed loop, one image at a time each."""
    opens = time.monotonic() + warm
    closes = opens + seconds
    finished: list[tuple[float, float]] = []  # when, how long

    def loop() -> None:
        number = 0
        while (begun := time.monotonic()) < closes:
            detect([varied(pictures[number % len(pictures)], number)])
            ended = time.monotonic()
            finished.append((ended, ended - begun))
            number += 1

    threads = [threading.Thread(target=loop) for _ in range(callers)]
    for thread in threads:
        thread.start()
    time.sleep(warm)
    before = time.process_time()
    time.sleep(seconds)
    cpu = time.process_time() - before
    for thread in threads:
        thread.join()
    latencies = [taken for ended, taken in finished if opens <= ended < closes]
    return {"images": len(latencies), "seconds": seconds, "latencies": latencies, "cpu_seconds": cpu}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    spec = json.loads(sys.stdin.readline())
    detect, streams = detector(spec["kind"], Path(spec["weights"]), Chosen(**spec["chosen"]))
    pictures = [Path(path).read_bytes() for path in spec["pictures"]]
    first = {"detections": sum(len(one["boxes"]) for one in detect(pictures)), "streams": streams}
    answers.write(json.dumps(first) + "\n")
    answers.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(
            json.dumps(measured(detect, min(streams, asked["callers"]), pictures, asked["warm"], asked["seconds"]))
            + "\n"
        )
        answers.flush()


if __name__ == "__main__":
    main()
