"""The report on a cycle: one page that says what was learned, why it was promoted or not, and what to label next."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from loop.cycle.label_check import Doubted, LabelCheck
from loop.cycle.reports import ClassRow, ErrorRow, advised
from loop.cycle.work import TrainedWeights, TrainingJob
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.identity import digest_of
from loop.domain.rollouts.canary import Arm, CanaryStanding, CanaryVerdict
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutState
from tests.api.conftest import Service, picture
from tests.api.test_recipes import BOX, LABELS, Bench, _working, cycled
from tests.api.test_review import leased, submit
from tests.contract.records import a_cycle
from tests.test_canary_cycles import RULES
from tests.test_settling import LIMITS
from tests.tiny_models import tiny_weights
from training.snapshot import Snapshot


class _Text(HTMLParser):
    """What a reader sees, and what the page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> _Text:
    parser = _Text()
    parser.feed(page)
    return parser


def reviewed(service: Service, seeds: range, shapes: list[dict]) -> None:
    for seed in seeds:
        service.predict(picture(seed))
        (task,) = leased(service)
        assert submit(service, task, shapes).status_code == 200


@pytest.fixture
def cycle(service: Service) -> Cycle:
    """Refused: the candidate finds what the champion finds."""
    for seed in range(60):
        service.predict(picture(seed), params={"source": "<script>belt</script>"})
        (task,) = leased(service)
        assert submit(service, task, [BOX] if seed % 3 else []).status_code == 200
    bench = Bench({digest_of(tiny_weights()): ("circle", "square", "bar")})
    return cycled(_working(service.services.controller, bench))


def report(service: Service, cycle_id: str, role: str = "operator"):
    return service.call("GET", f"/v1/projects/shapes/cycles/{cycle_id}/report", role)


def test_it_says_what_was_decided_and_why(service: Service, cycle: Cycle) -> None:
    """Every clause with its figures, the labels with their boxes, errors by kind; and what to do next."""
    answer = report(service, cycle.id)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    page = read(answer.text)
    text = " ".join(" ".join(page.text).split())
    assert "the candidate was refused" in text
    for clause in cycle.decision["clauses"]:
        said = "failed" if not clause["passed"] else "not judged" if "not judged" in clause["detail"] else "passed"
        assert " ".join(f"{clause['name']} {said} {clause['detail']}".split()) in text
    for label in ("circle", "square", "bar"):
        assert label in text
    assert "background" in text and "The candidate did not pass" in text


def test_it_says_how_the_candidate_did_as_a_canary(service: Service, cycle: Cycle) -> None:
    """Its share and time, what people's answers say of both models, and why it ended; nothing where it was none."""
    assert "as a canary" not in report(service, cycle.id).text
    began = cycle.created_at
    standing = CanaryStanding(
        verdict=CanaryVerdict.WORSE, looked_at=began, until=began, canary=Arm(41, 13, 0.317),
        champion=Arm(57, 3, 0.052),
        predictions=990, waiting=2, unanswered=1, low=0.011, high=0.4, needed=None, passed_at=None,
        words="it surely fails more often",
    )  # fmt: skip
    canary = Rollout(
        id="rollout_1", project_id="shapes", kind=RolloutKind.CANARY, model_id=str(cycle.candidate_id),
        champion_id=str(cycle.champion_id), share=0.2, state=RolloutState.QUEUED, actor="ada", reason="passed",
        limits=LIMITS, created_at=began, judging=RULES, cycle_id=cycle.id,
    )  # fmt: skip
    with service.services.store.begin() as tx:
        tx.rollouts.add(canary)
    text = " ".join(" ".join(read(report(service, cycle.id).text).text).split())
    assert "It takes 20 % of the predictions" in text and "Nobody has looked" in text
    ended = replace(canary, state=RolloutState.ROLLED_BACK, active_at=began, finished_at=began, error="found so")
    with service.services.store.begin() as tx:
        tx.rollouts.save(ended, expected=RolloutState.QUEUED)
        tx.rollouts.stands(canary.id, standing)
    text = " ".join(" ".join(read(report(service, cycle.id).text).text).split())
    assert "rolled back: found so" in text and "worse: it surely fails more often" in text
    for told in ("champion 57 3 0.052", "canary 41 13 0.317", "+0.011 and +0.400", "990 predictions"):
        assert told in text


def test_it_says_where_memory_did_not_suffice(service: Service, cycle: Cycle) -> None:
    """How many images a step were asked for, and with how many it was trained; nothing where it sufficed."""

    class Cramped(Bench):
        def train(self, job: TrainingJob, progress: object) -> TrainedWeights:
            others = tiny_weights(job.labels, seed=2)  # else it would be the same version
            self.labels_of[digest_of(others)] = job.labels
            return replace(super().train(job, progress), content=others, batch=4)

    assert "Memory did not suffice" not in report(service, cycle.id).text
    bench = Cramped({digest_of(tiny_weights()): ("circle", "square", "bar")})
    again = cycled(_working(service.services.controller, bench))
    text = " ".join(report(service, again.id).text.split())
    assert f"Memory did not suffice for {again.recipe['batch']} images a step: it was trained with 4." in text


class Better(Bench):
    """What it trains finds the circles alone, and tells its curves."""

    def train(self, job: TrainingJob, progress: object) -> TrainedWeights:
        others = tiny_weights(job.labels, seed=3)
        self.labels_of[digest_of(others)] = job.labels[:1]
        curves = [
            {"epoch": 1.0, "train/box_loss": 2.0, "metrics/mAP50": 0.1},
            {"epoch": 2.0, "train/box_loss": 1.25, "metrics/mAP50": 0.6},
        ]
        return replace(super().train(job, progress), content=others, curves=curves)


def test_it_shows_curves_and_images_and_loads_nothing(service: Service, cycle: Cycle) -> None:
    """A line for each figure with its ends, and pictures of what only one of the models gets right, which are in the
    page; what callers named is text, whatever it looks like."""
    assert "Right now, wrong before" not in report(service, cycle.id).text
    reviewed(service, range(100, 130), [{**BOX, "label": label} for label in LABELS])
    again = cycled(_working(service.services.controller, Better({digest_of(tiny_weights()): LABELS})))
    answer = report(service, again.id).text
    page = read(answer)
    text = " ".join(" ".join(page.text).split())
    assert "Right now, wrong before" in text and "Wrong now, right before" in text
    assert "train/box_loss: 2.000 → 1.250, 2 epochs" in text and "metrics/mAP50: 0.100 → 0.600, 2 epochs" in text
    assert answer.count("<polyline") == 2
    pictures = [one for one in page.loaded if one.startswith("data:image/jpeg;base64,")]
    assert len(pictures) == page.tags.count("img") >= 4 and pictures == page.loaded
    for one in pictures:
        with Image.open(io.BytesIO(base64.b64decode(one.partition(",")[2]))) as drawn:
            assert drawn.width == 2 * 360 + 6 and len(drawn.convert("RGB").getcolors(10**6) or []) > 10
    assert "script" not in page.tags and "<script>belt</script>" in text


def test_it_says_on_which_labels_it_learned(service: Service, cycle: Cycle) -> None:
    """Boxes that are new, changed and removed against what the champion learned from, where the images came from, and
    who answered them."""
    text = " ".join(" ".join(read(report(service, cycle.id).text).text).split())
    with service.services.store.begin() as tx:
        snapshot = Snapshot.read(str(cycle.snapshot_digest), service.services.blobs.get)
        champion = tx.models.get("shapes", str(cycle.champion_id))
        tx.models.save(replace(champion, notes={"snapshot": cycle.snapshot_digest}))
    trained = len(snapshot.training_entries)
    assert f"There is no champion's snapshot to compare with: all {trained} images are new." in text
    assert f"{trained} from <script>belt</script>" in text and f"{trained} answered by reviewer" in text
    reviewed(service, range(100, 120), [BOX])
    again = cycled(_working(service.services.controller, Better({digest_of(tiny_weights()): LABELS})))
    entries = Snapshot.read(str(again.snapshot_digest), service.services.blobs.get).training_entries
    new = len(entries) - trained
    text = " ".join(" ".join(read(report(service, again.id).text).text).split())
    assert new > 0 and f"Against the champion's snapshot: {new} images added, 0 answered anew, 0 removed." in text
    assert (
        f"label boxes added changed removed circle {new} 0 0 {new} from no source; {new} answered by reviewer" in text
    )


def test_it_says_which_labels_were_doubted(service: Service, cycle: Cycle) -> None:
    """How many, why, and that the training did without them; nothing where the cycle did not ask."""
    assert "Labels that were doubted" not in report(service, cycle.id).text
    check = LabelCheck(
        compared=7, unseen=2, waiting=("b" * 64,), asked={},
        doubted=(
            Doubted(item_digest="a" * 64, score=0.1, why="overlooked: <b>", asked=True, held=True),
            Doubted(item_digest="c" * 64, score=0.2, why="misnamed: d", asked=False, held=False),
        ),
    )  # fmt: skip
    checked = {"label_check": {"kept": service.services.blobs.put(check.to_bytes())}}
    told = replace(cycle, id="cycle_checked", state=CycleState.QUEUED, evaluation={**cycle.evaluation, **checked})
    with service.services.store.begin() as tx:
        tx.cycles.add(told)
        tx.cycles.save(replace(told, state=CycleState.REFUSED))
    text = " ".join(" ".join(read(report(service, told.id).text).text).split())
    assert "7 items were compared" in text and "of 2 no model could speak" in text
    assert "2 were left out of this training until people have answered, 1 of them asked for before" in text
    assert "aaaaaaaaaaaa (0.10): overlooked: <b>" in text and "misnamed: d; people could not be asked" in text


def test_a_cycle_that_was_not_evaluated_has_none(service: Service) -> None:
    with service.services.store.begin() as tx:
        tx.cycles.add(a_cycle(1, project_id="shapes"))
    answer = report(service, a_cycle(1).id)
    assert answer.status_code == 409 and "not been evaluated" in answer.json()["detail"]
    assert report(service, "cycle_none").status_code == 404


def test_only_operators_read_it(service: Service, cycle: Cycle) -> None:
    """It shows images that models are judged by."""
    assert [report(service, cycle.id, role).status_code for role in ("reviewer", "producer")] == [403, 403]


def test_advice_names_the_labels_that_lack_boxes_and_what_no_image_judges() -> None:
    """The weakest of those with few boxes first."""
    rows = [
        ClassRow("cat", 400, 50, 0.5, 0.6),
        ClassRow("dog", 20, 30, 0.2, 0.3),
        ClassRow("owl", 10, 30, 0.2, 0.1),
        ClassRow("elk", 10, 0, None, None),
    ]
    errors = [ErrorRow("missed", 3, 9, 0.2), ErrorRow("duplicate", 1, 1, 0.0)]
    done = Cycle(
        id="c", project_id="p", state=CycleState.PROMOTED, step=Step.DONE, actor="a", reason="r", recipe={},
        created_at=a_cycle().created_at, updated_at=a_cycle().created_at,
    )  # fmt: skip
    told = advised(done, rows, errors, judged=50)
    assert [line.split(":")[0] for line in told[:2]] == ["Label more owl", "Label more dog"]
    assert "elk" in told[2] and "missed" in told[3] and len(told) == 4
