"""Evaluation: COCO's figures, against an independent implementation, and bootstrap by weights."""

import contextlib
import io

import faster_coco_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.domain.errors import BadDataset
from training.evaluate import IOU_THRESHOLDS, Evaluation, Found, Truth, evaluate, mean_over_classes

C = 4


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 150, (count, 2))
    return np.hstack([corner, corner + rng.uniform(10, 80, (count, 2))])


def scene(seed: int, images: int, *, objects: float = 4, junk: float = 6) -> tuple[list[Found], list[Truth]]:
    """Detections that are right, shifted, duplicated, of the wrong class or invented; some images are empty."""
    rng = np.random.default_rng(seed)
    predictions, truths = [], []
    for _ in range(images):
        truth = Truth(boxes(rng, n := rng.poisson(objects)), rng.integers(0, C - 1, n))
        again = np.repeat(np.arange(n), rng.integers(0, 3, n))
        near = truth.boxes[again] + rng.uniform(-4, 4, (len(again), 4))
        classes = np.where(rng.random(len(again)) < 0.85, truth.classes[again], rng.integers(0, C, len(again)))
        extra = rng.poisson(junk)
        predictions.append(
            Found(
                np.vstack([near, boxes(rng, extra)]),
                rng.random(len(again) + extra),
                np.concatenate([classes, rng.integers(0, C, extra)]),
            )
        )
        truths.append(truth)
    return predictions, truths


def coco(predictions: list[Found], truths: list[Truth]) -> np.ndarray:
    """(C, 10) AP by faster-coco-eval, NaN for classes without boxes."""

    def xywh(box: np.ndarray) -> list[float]:
        return [float(v) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]

    annotations, results = [], []
    for image, truth in enumerate(truths, start=1):
        for box, label in zip(truth.boxes, truth.classes, strict=True):
            area = float((box[2] - box[0]) * (box[3] - box[1]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": xywh(box),
                    "area": area,
                    "iscrowd": 0,
                }
            )
    for image, found in enumerate(predictions, start=1):
        for box, score, label in zip(*found, strict=True):
            results.append({"image_id": image, "category_id": int(label) + 1, "bbox": xywh(box), "score": float(score)})
    truth_set = {
        "images": [{"id": i + 1, "width": 400, "height": 400, "file_name": f"{i}.png"} for i in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": c + 1, "name": str(c)} for c in range(C)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = faster_coco_eval.COCO(truth_set)
        run = faster_coco_eval.COCOeval_faster(ground_truth, ground_truth.loadRes(results), iouType="bbox")
        run.evaluate()
        run.accumulate()
    precision = np.array(run.eval["precision"]).reshape(10, 101, C, 4, 3)[:, :, :, 0, 2]  # area all, maxDets 100
    ap = precision.mean(axis=1).T
    ap[(precision == -1).all(axis=(0, 1))] = np.nan
    return ap


@pytest.mark.parametrize(("seed", "images", "junk"), [(0, 40, 6), (1, 5, 2), (2, 120, 20), (3, 3, 400)])
def test_agrees_with_coco(seed, images, junk):
    """AP of every class at every IoU threshold is COCO's to 1e-6, also with more than 100 candidates a class."""
    predictions, truths = scene(seed, images, junk=junk)
    ours = evaluate(predictions, truths, n_classes=C)
    theirs = coco(predictions, truths)
    np.testing.assert_allclose(ours.ap, theirs, atol=1e-6)
    assert ours.map50_95 == pytest.approx(np.nanmean(theirs), abs=1e-6)
    assert ours.map50 == pytest.approx(np.nanmean(theirs[:, 0]), abs=1e-6)
    assert 0.01 < ours.map50_95 < ours.map50 < 1


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_weights_are_repetitions(seed, images):
    """Scoring by counts is scoring the data set in which each image is repeated so many times."""
    predictions, truths = scene(seed, images)
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=3)
    by_weight = evaluate(predictions, truths, n_classes=C).resampled(counts)
    for row, weighted in zip(counts, by_weight, strict=True):
        chosen = np.repeat(np.arange(images), row)
        repeated = evaluate([predictions[i] for i in chosen], [truths[i] for i in chosen], n_classes=C)
        np.testing.assert_allclose(weighted, repeated.ap, atol=1e-12)


def test_chunks_do_not_show():
    """Many resamples at once give what each gives alone."""
    predictions, truths = scene(5, 30, junk=80)
    evaluation = evaluate(predictions, truths, n_classes=C)
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=3000)
    together = evaluation.resampled(counts)
    for index in (0, 1234, 2999):
        np.testing.assert_array_equal(together[index], evaluation.resampled(counts[index : index + 1])[0])


def test_taking_images_is_evaluating_them():
    """`take` gives the evaluation of the images taken, in their order, repeated where they are."""
    predictions, truths = scene(6, 20)
    chosen = np.array([3, 3, 19, 0, 7])
    taken = evaluate(predictions, truths, n_classes=C).take(chosen)
    direct = evaluate([predictions[i] for i in chosen], [truths[i] for i in chosen], n_classes=C)
    np.testing.assert_allclose(taken.ap, direct.ap, atol=1e-12)
    np.testing.assert_array_equal(taken.boxes, direct.boxes)
    np.testing.assert_array_equal(taken.failed, direct.failed)


TWO = Truth(np.array([[10.0, 10, 50, 50], [60, 60, 90, 90]]), np.array([0, 1]))
NOTHING = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=int))
EMPTY = Truth(np.zeros((0, 4)), np.zeros(0, dtype=int))


def found(*rows: tuple[float, int, tuple[float, float, float, float]]) -> Found:
    return Found(np.array([r[2] for r in rows]), np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))


RIGHT = [(0.9, 0, (10, 10, 50, 50)), (0.8, 1, (60, 60, 90, 90))]
FAILURES = {
    "all right": (found(*RIGHT), TWO, False),
    "order does not matter": (found(*RIGHT[::-1]), TWO, False),
    "one missed": (found(RIGHT[0]), TWO, True),
    "one below the threshold": (found(RIGHT[0], (0.1, 1, (60, 60, 90, 90))), TWO, True),
    "wrong class": (found(RIGHT[0], (0.8, 2, (60, 60, 90, 90))), TWO, True),
    "badly placed": (found(RIGHT[0], (0.8, 1, (75, 75, 105, 105))), TWO, True),
    "one too many": (found(*RIGHT, (0.5, 2, (100, 100, 120, 120))), TWO, True),
    "one too many, not shown": (found(*RIGHT, (0.2, 2, (100, 100, 120, 120))), TWO, False),
    "twice": (found(*RIGHT, (0.5, 1, (60, 60, 90, 90))), TWO, True),
    "nothing there, nothing said": (NOTHING, EMPTY, False),
    "nothing there, something said": (found(RIGHT[0]), EMPTY, True),
    "nothing said": (NOTHING, TWO, True),
}


@pytest.mark.parametrize(("prediction", "truth", "fails"), FAILURES.values(), ids=FAILURES.keys())
def test_an_image_fails_when_anything_needs_correcting(prediction, truth, fails):
    """An image failed exactly when a person would change what is shown of it."""
    evaluation = evaluate([prediction], [truth], n_classes=3, score_threshold=0.25, failure_iou=0.5)
    assert evaluation.failed.tolist() == [fails]
    assert evaluation.failure_rate == float(fails)


def test_a_perfect_detector():
    """Who finds every box exactly has AP 1 everywhere; classes without boxes do not count."""
    evaluation = evaluate([found(*RIGHT)], [TWO], n_classes=3)
    np.testing.assert_array_equal(evaluation.ap[:2], np.ones((2, 10)))
    assert np.isnan(evaluation.ap[2]).all()
    assert evaluation.map50_95 == evaluation.map50 == 1.0


def test_finding_nothing():
    """A detector that finds nothing has AP 0 for every class with boxes, and fails where there are boxes."""
    nothing = evaluate([found(*RIGHT)] * 2, [TWO, EMPTY], n_classes=3).without_detections()
    assert nothing.map50_95 == 0.0
    assert nothing.failed.tolist() == [True, False]
    assert np.isnan(nothing.class_ap[2])
    same = evaluate([NOTHING, NOTHING], [TWO, EMPTY], n_classes=3)
    np.testing.assert_array_equal(nothing.ap, same.ap)


def test_the_quality_of_a_class_is_its_ap50():
    """Of one without boxes that of the others: nothing speaks for or against it."""
    predictions, truths = scene(3, 40)  # its last class has no boxes
    found = evaluate(predictions, truths, n_classes=C)
    assert np.array_equal(found.class_quality[: C - 1], found.class_ap50[: C - 1])
    assert found.class_quality[C - 1] == found.map50
    nothing = evaluate(
        [Found(np.empty((0, 4)), np.empty(0), np.empty(0, dtype=int))],
        [Truth(np.empty((0, 4)), np.empty(0, dtype=int))],
        n_classes=2,
    )
    assert nothing.class_quality.tolist() == [1.0, 1.0]


def test_nothing_to_say_without_boxes():
    """Without boxes, or without images, there is no AP: NaN here, null in JSON, never an exception."""
    for evaluation in (evaluate([found(RIGHT[0])], [EMPTY], n_classes=2), evaluate([], [], n_classes=2)):
        assert np.isnan(evaluation.map50_95)
        body = evaluation.to_json(("a", "b"))
        assert body["map50"] is None
        assert body["classes"]["a"] == {"ap50_95": None, "ap50": None, "boxes": 0}


def test_a_better_place_counts_at_stricter_thresholds():
    """A box with IoU 0.6 is right at 0.50, 0.55 and 0.60 and wrong above."""
    box = (10.0, 10.0, 10 + 40 * 0.6, 50.0)
    evaluation = evaluate([found((0.9, 0, box))], [Truth(TWO.boxes[:1], TWO.classes[:1])], n_classes=1)
    np.testing.assert_array_equal(evaluation.ap[0], (IOU_THRESHOLDS < 0.61).astype(float))


def test_survives_storage():
    """What is read back scores exactly as what was written; other bytes are refused."""
    evaluation = evaluate(*scene(7, 15), n_classes=C)
    again = Evaluation.read(evaluation.to_bytes())
    np.testing.assert_array_equal(again.ap, evaluation.ap)
    np.testing.assert_array_equal(again.failed, evaluation.failed)
    content = evaluation.to_bytes()
    for damaged in (b"", b"PK", content[:100], content[: len(content) // 2]):
        with pytest.raises(BadDataset, match="not an evaluation"):
            Evaluation.read(damaged)


BAD = {
    "fewer scores than boxes": (Found(np.zeros((2, 4)), np.zeros(1), np.zeros(2, int)), TWO),
    "class too large": (Found(np.ones((1, 4)), np.ones(1), np.array([3])), TWO),
    "negative class": (NOTHING, Truth(np.ones((1, 4)), np.array([-1]))),
    "score is NaN": (Found(np.ones((1, 4)), np.array([np.nan]), np.array([0])), TWO),
    "box is infinite": (Found(np.full((1, 4), np.inf), np.ones(1), np.array([0])), TWO),
}


@pytest.mark.parametrize(("prediction", "truth"), BAD.values(), ids=BAD.keys())
def test_arrays_that_do_not_fit_are_refused(prediction, truth):
    """Arrays that do not fit together are an error that names the image."""
    with pytest.raises(ValueError, match="image 1"):
        evaluate([NOTHING, prediction], [EMPTY, truth], n_classes=3)
    with pytest.raises(ValueError, match="1 predictions for 0 images"):
        evaluate([prediction], [], n_classes=3)


def test_counts_of_other_images_are_refused():
    """Counts must name as many images as were evaluated."""
    with pytest.raises(ValueError, match=r"\(R, 1\)"):
        evaluate([NOTHING], [TWO], n_classes=3).resampled(np.ones((1, 2), dtype=int))


def test_mean_over_classes_leaves_out_the_absent():
    """The mean is over classes with boxes; without any there is none."""
    means = mean_over_classes(np.array([[0.2, np.nan, 0.4], [np.nan] * 3]))
    assert means[0] == pytest.approx(0.3)
    assert np.isnan(means[1])


def test_images_after_images_are_all_of_them():
    """Two evaluations one after the other are the evaluation of both sets of images."""
    predictions, truths = scene(11, 25)
    parts = [evaluate(predictions[part], truths[part], n_classes=C) for part in (slice(0, 9), slice(9, 25))]
    whole = evaluate(predictions, truths, n_classes=C)
    both = parts[0].followed_by(parts[1])
    for name in Evaluation.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(both, name), getattr(whole, name))
