"""Roboflow's inference server, offline, on a local model package; built as its cpu image builds it."""

import os
from pathlib import Path

SETTINGS = {
    "OFFLINE_MODE": "True",
    "ALLOW_INFERENCE_MODELS_DIRECTLY_ACCESS_LOCAL_PACKAGES": "True",
    "TELEMETRY_OPT_OUT": "True",
    "METRICS_ENABLED": "False",
    "CORE_MODELS_ENABLED": "False",
    "ENABLE_BUILDER": "False",
    "NOTEBOOK_ENABLED": "False",
    "ENABLE_STREAM_API": "False",
}


def main() -> None:
    """It reads its environment when it is imported."""
    os.environ.update(SETTINGS, MODEL_CACHE_DIR=os.environ["PEER_SCRATCH"])
    # Its image holds a landing page in the working directory; the server does not start without the folders.
    for part in ("static", "_next/static"):
        (Path("inference/landing/out") / part).mkdir(parents=True, exist_ok=True)

    import uvicorn
    from inference.core.interfaces.http.http_api import HttpInterface
    from inference.core.managers.base import ModelManager
    from inference.core.managers.decorators.fixed_size_cache import WithFixedSizeCache
    from inference.core.registries.roboflow import RoboflowModelRegistry
    from inference.models.utils import ROBOFLOW_MODEL_TYPES

    manager = WithFixedSizeCache(ModelManager(model_registry=RoboflowModelRegistry(ROBOFLOW_MODEL_TYPES)), max_size=2)
    manager.init_pingback()
    uvicorn.run(HttpInterface(manager).app, host="127.0.0.1", port=int(os.environ["PEER_PORT"]), log_level="warning")


if __name__ == "__main__":
    main()
