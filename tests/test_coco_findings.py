"""COCO's figures of one model in a cycle, as they are kept."""

import numpy as np
import pytest

from loop.domain.errors import BadDataset
from loop.domain.policy.slice_rules import SliceKind
from tests.test_evaluate import C, scene
from training.calibration import calibration_of
from training.coco_findings import MOST_OF_A_KIND, Answers, CocoFindings, findings
from training.evaluate import evaluate
from training.slices import Slice, Slices, by_source
from training.tide import error_costs

LABELS = ("a", "b", "c", "d")
JUDGED, ALL = 70, 80


@pytest.fixture(scope="module")
def answers() -> Answers:
    predictions, truths = scene(4, ALL)
    return Answers(predictions, truths, evaluate(predictions, truths, n_classes=C))


def test_the_largest_slices_of_a_kind_are_told_and_the_others_counted(answers: Answers) -> None:
    """In their order; a kind with few of them loses none."""
    sources = by_source([f"cam-{place // 2}" for place in range(20)] + [str(place) for place in range(50)])
    view = Slice(kind=SliceKind.VIEW, name="late", images=tuple(range(60, ALL)))
    found = findings(answers, Slices(judged=JUDGED, beside=tuple("x" * 10), slices=(*sources, view)), LABELS)
    told = [one for one in found.slices if one.kind is SliceKind.SOURCE]
    assert len(sources) == 60 and len(told) == MOST_OF_A_KIND and found.left_out == {"source": 10}
    assert {one.name for one in told} >= {f"cam-{number}" for number in range(10)}
    assert [one.name for one in told] == sorted(one.name for one in told)
    assert (found.slices[-1].name, found.slices[-1].images) == ("late", 20)


def test_a_slice_is_told_as_its_images_alone_would_be(answers: Answers) -> None:
    """Figures, failures, calibration, and what each kind of error costs; the whole is what judges, without the rest."""
    images = np.arange(60, ALL)
    view = Slice(kind=SliceKind.VIEW, name="late", images=tuple(images.tolist()))
    found = findings(answers, Slices(judged=JUDGED, beside=tuple("x" * 10), slices=(view,)), LABELS)
    alone, (told,) = answers.evaluation.take(images), found.slices
    assert told.figures.ap == pytest.approx(alone.map50_95, abs=1e-6)
    assert told.failure_rate == alone.failure_rate and told.calibration_error == calibration_of(alone).error
    costs = error_costs([answers.found[i] for i in images], [answers.truth[i] for i in images], n_classes=C)
    assert told.errors == {str(kind): cost.gain for kind, cost in costs.items()} and max(told.errors.values()) > 0
    judged = answers.evaluation.take(np.arange(JUDGED))
    assert found.whole.ap == pytest.approx(judged.map50_95, abs=1e-6)
    assert (found.images, list(found.classes)) == (JUDGED, list(LABELS))


def test_they_are_kept_as_they_are(answers: Answers) -> None:
    """A slice without images, too; other bytes are refused."""
    gone = Slice(kind=SliceKind.VIEW, name="gone", note="the view 'gone' was removed")
    found = findings(answers, Slices(judged=ALL, slices=(gone,)), LABELS)
    content = found.to_bytes()
    assert CocoFindings.read(content) == found and found.slices[0].note and found.slices[0].failure_rate is None
    for damaged in (b"", b"{}", content[:50], content.replace(b'"ap50"', b'"ap51"', 1)):
        with pytest.raises(BadDataset):
            CocoFindings.read(damaged)
