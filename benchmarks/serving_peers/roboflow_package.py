"""A local model package for Roboflow's inference: ultralytics' own ONNX export and the description beside it.

Runs in our environment; the package needs neither an account nor the hub.
"""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.service.detection import yolo


def package(weights: Path, folder: Path) -> Path:
    """`folder`, holding the package of one of our model files; made where it is not there."""
    if (folder / "model_config.json").is_file():
        return folder
    size, model = yolo(weights)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        exported = Path(model.export(format="onnx", imgsz=size, dynamic=False, verbose=False)).absolute()
        shutil.move(exported, folder / "weights.onnx")
    names = [model.model.names[index] for index in sorted(model.model.names)]
    (folder / "class_names.txt").write_text("\n".join(names) + "\n")
    inference = {
        "network_input": {
            "training_input_size": {"height": size, "width": size},
            "dynamic_spatial_size_supported": False,
            "color_mode": "rgb",
            "resize_mode": "letterbox",
            "padding_value": 114,
            "input_channels": 3,
            "scaling_factor": 255,
        },
        "forward_pass": {"static_batch_size": 1},
        "post_processing": {"type": "nms", "fused": False},
    }
    (folder / "inference_config.json").write_text(json.dumps(inference))
    config = {"model_architecture": "yolov11", "task_type": "object-detection", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(config))
    return folder
