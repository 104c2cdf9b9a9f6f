"""Ray Serve as its documentation shows it: one class behind the proxy, batched by `serve.batch`."""

import signal
import threading
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.serving_peers import given


@serve.deployment(max_ongoing_requests=64)
class Cells:
    def __init__(self) -> None:
        self.detect = given.detector()

    @serve.batch(max_batch_size=given.BATCH, batch_wait_timeout_s=given.BATCH_WAIT_SECONDS)
    async def batched(self, pictures: list[bytes]) -> list[dict[str, Any]]:
        return self.detect(pictures)

    async def __call__(self, request: Request) -> dict[str, Any]:
        answer: dict[str, Any] = await self.batched(await request.body())
        return answer


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ray.init(address="local", include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": given.port()})
    serve.run(Cells.bind(), route_prefix="/")
    stop.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    # Under its own name, so that replicas import the class rather than unpickle it.
    from benchmarks.serving_peers import ray_app

    ray_app.main()
