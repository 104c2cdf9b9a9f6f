"""LitServe: one API, its own batching."""

from typing import Annotated, Any

import litserve
from fastapi import File

from benchmarks.serving_peers import given


class Cells(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.detect = given.detector()

    def decode_request(self, request: Annotated[bytes, File()]) -> bytes:
        return request

    def predict(self, pictures: list[bytes]) -> list[dict[str, Any]]:
        return self.detect(pictures)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Cells(max_batch_size=given.BATCH, batch_timeout=given.BATCH_WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=given.port(), generate_client_file=False, log_level="warning")
