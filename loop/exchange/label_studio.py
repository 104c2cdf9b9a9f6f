"""Label Studio's JSON: tasks with pre-annotations, and the labelling interface that fits them.

Shape: https://labelstud.io/guide/predictions. A task is {"data": {"image": …}, "predictions": [{"model_version",
"score", "result": [rectangles]}]}; rectangles are in percent of the image's sides. Import tasks.json into a project
with the interface of label_config.xml, and serve the images from local storage whose root is the exported folder
(LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT).
"""

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from loop.domain.prediction import Detection

_REGION = {"type": "rectanglelabels", "from_name": "label", "to_name": "image"}


def task(
    detections: Sequence[Detection],
    *,
    file: str,
    width: int,
    height: int,
    model: str,
    score: float,
    data: dict[str, str],
) -> dict[str, object]:
    """One image. file: relative to the exported folder. score: how sure the model is of the whole image, in [0, 1];
    Label Studio sorts by it. data: further columns of the task."""
    regions = [_region(index, one, width, height) for index, one in enumerate(detections)]
    return {
        "data": {"image": f"/data/local-files/?d={file}", **data},
        "predictions": [{"model_version": model, "score": score, "result": regions}],
    }


def _region(index: int, detection: Detection, width: int, height: int) -> dict[str, object]:
    x1, y1, x2, y2 = detection.box
    return {
        **_REGION,
        "id": f"box{index}",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": detection.score,
        "value": {
            "x": 100 * x1 / width,
            "y": 100 * y1 / height,
            "width": 100 * (x2 - x1) / width,
            "height": 100 * (y2 - y1) / height,
            "rotation": 0,
            "rectanglelabels": [detection.label],
        },
    }


def label_config(labels: Sequence[tuple[str, str]]) -> str:
    """The labelling interface for (name, "#rrggbb") labels, as XML."""
    rows = "".join(f"    <Label value={quoteattr(name)} background={quoteattr(color)}/>\n" for name, color in labels)
    return (
        "<View>\n"
        '  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <RectangleLabels name="label" toName="image">\n{rows}  </RectangleLabels>\n'
        "</View>\n"
    )
