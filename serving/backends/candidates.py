"""Which candidates of a network become detections: score floor, overlap, order, count. One rule for all runtimes."""

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Unavailable
from loop.domain.prediction import Inference
from training.letterbox import Placement

# Two boxes of one class that overlap more than this are one object. Between ultralytics' 0.7, which leaves
# duplicates for a later score threshold, and the 0.5 of the VOC days, which loses neighbours in crowds.
NMS_IOU = 0.6
MAX_CANDIDATES = 3000  # before NMS, the best of each image
MAX_DETECTIONS = 300
_BLOCK = 256  # candidates compared at once: their overlaps fit the cache, and most images need one block


def dense_inference(
    decoded: NDArray[np.float32], placement: Placement, embedding: NDArray[np.float32], floor: float
) -> Inference:
    """What a YOLO head says of one image, after NMS within each class.

    decoded: (4 + C, A): centre and size in pixels of the square, then the class scores in [0, 1], of A anchors.
    embedding: (d,), L2-normalised. Candidates that score at least `floor`, in descending order, of equals the
    earlier anchor first. Raises Unavailable where the network answers with NaN or infinity.
    """
    scores = decoded[4:].max(axis=0)
    check_finite(scores, decoded[:4], embedding)
    chosen = np.flatnonzero(scores >= floor)  # before sorting and gathering: few of thousands remain
    order = chosen[np.argsort(-scores[chosen], kind="stable")[:MAX_CANDIDATES]]
    rows = np.ascontiguousarray(decoded[:, order].T)
    boxes, classes = _corners(rows[:, :4]), rows[:, 4:].argmax(axis=1)
    restored = placement.restored(boxes)
    kept = kept_by_nms(boxes, classes, _solid(restored))
    return Inference(
        boxes=restored[kept],
        scores=scores[order[kept]],
        classes=classes[kept],
        class_scores=rows[kept, 4:],
        embedding=embedding.copy(),
    )


def sparse_inference(
    detections: NDArray[np.float32], placement: Placement, embedding: NDArray[np.float32]
) -> Inference:
    """What a torchvision detector says of one image; its own NMS was before.

    detections: (n, 6 + C): box `xyxy` in pixels of the square, score, class with 0 for the background, and the scores
    of all classes. A place may be found once for each of two classes: where another class scores more than the one
    that a detection is of, it counts as much, for a rival that is as strong. Raises Unavailable where the network
    answers with NaN or infinity.
    """
    check_finite(detections, embedding)
    scores, classes = detections[:, 4], detections[:, 5].astype(np.int64) - 1
    boxes = placement.restored(detections[:, :4])
    order = np.argsort(-scores, kind="stable")
    order = order[(_solid(boxes) & (classes >= 0))[order]][:MAX_DETECTIONS]
    scores, classes = scores[order], classes[order]
    class_scores = np.minimum(detections[order, 6:], scores[:, None])
    class_scores[np.arange(len(order)), classes] = scores
    return Inference(
        boxes=boxes[order], scores=scores, classes=classes, class_scores=class_scores, embedding=embedding.copy()
    )


def check_finite(*arrays: NDArray[np.float32]) -> None:
    """Raises Unavailable where the network answered with NaN or infinity."""
    if not all(bool(np.isfinite(array).all()) for array in arrays):
        raise Unavailable("the model answered with values that are not finite.", hint="Roll back to another.")


def kept_by_nms(
    boxes: NDArray[np.float32], classes: NDArray[np.int64], countable: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Indices of the boxes (n, 4) `xyxy` that no better one of their class overlaps by more than NMS_IOU.

    boxes: best first. countable: (n,), those that may be answered (the others suppress, but are left out); the
    first MAX_DETECTIONS of them are kept, and nothing is computed beyond.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = np.empty(0, dtype=np.intp)
    for start in range(0, len(boxes), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(boxes)))
        fresh = block[~_overlap(boxes, areas, classes, kept, block).any(axis=0)] if len(kept) else block
        kept = np.concatenate([kept, fresh[_greedy(_overlap(boxes, areas, classes, fresh, fresh))]])
        if np.count_nonzero(countable[kept]) >= MAX_DETECTIONS:
            break
    return kept[countable[kept]][:MAX_DETECTIONS]


def _greedy(overlap: NDArray[np.bool_]) -> list[int]:
    """Rows of the square matrix that no earlier kept row suppresses."""
    suppressed = np.zeros(len(overlap), dtype=np.bool_)
    kept = []
    # Most rows suppress nothing but themselves: only the others cost a step on arrays.
    several = (overlap.sum(axis=1) > 1).tolist()
    for row, suppresses in enumerate(several):
        if not suppresses:
            kept.append(row)
        elif not suppressed[row]:
            kept.append(row)
            suppressed |= overlap[row]
    return kept


def _overlap(
    boxes: NDArray[np.float32],
    areas: NDArray[np.float32],
    classes: NDArray[np.int64],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """(rows, columns): which pairs are of one class and overlap by more than NMS_IOU."""
    one, other = boxes[rows].T[:, :, None], boxes[columns].T[:, None, :]
    width = np.minimum(one[2], other[2]) - np.maximum(one[0], other[0])
    height = np.minimum(one[3], other[3]) - np.maximum(one[1], other[1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = areas[rows][:, None] + areas[columns] - shared
    same: NDArray[np.bool_] = classes[rows][:, None] == classes[columns]
    same &= shared > np.float32(NMS_IOU) * union
    return same


def _corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _solid(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
