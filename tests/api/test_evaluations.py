"""What a cycle measures of both models, on all images and on slices; and which saved views are slices."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loop.cycle.work import Latency
from loop.domain.cycle import Cycle
from loop.domain.errors import Unavailable
from loop.domain.identity import digest_of
from loop.domain.item import Split
from loop.domain.prediction import Inference
from loop.domain.truth import Shape
from serving.api.production_gauges import Gauges
from tests.api.conftest import Service
from tests.api.test_cycle_reports import read, report
from tests.api.test_predictions import problem
from tests.api.test_recipes import Bench, _working
from tests.contract.records import a_submission, a_task, a_truth, an_item, digest, later
from tests.cycle_worker import Ledger, Site
from tests.tiny_models import tiny_weights

PATH = "/v1/projects/shapes/slices"
LABELS = ("circle", "square", "bar")
GOLDEN, VAL, TRAIN = range(30), range(30, 80), range(80, 90)
DARK, BURNT = range(30, 60), range(60, 80)  # of VAL: a saved view, and what failed in production
BOX = (5.0, 5.0, 20.0, 20.0)


class Forgetful(Bench):
    """What was trained finds nothing on some of the images, and what is there on the others, as the champion does."""

    def __init__(self, forgotten: Sequence[int] = ()) -> None:
        super().__init__({digest_of(tiny_weights()): LABELS})
        self.forgotten = {digest(number) for number in forgotten}
        self.broken = ""

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: object) -> list[Inference]:
        found = super().infer(weights_key, image_keys, progress)
        champion = weights_key == digest_of(tiny_weights())
        return [
            self._only(one, 0 if key in self.forgotten and not champion else 1)
            for key, one in zip(image_keys, found, strict=True)
        ]

    @staticmethod
    def _only(one: Inference, count: int) -> Inference:
        return Inference(
            boxes=one.boxes[:count], scores=one.scores[:count], classes=one.classes[:count],
            class_scores=one.class_scores[:count], embedding=one.embedding,
        )  # fmt: skip

    def latency(self, models, image_keys, choose_by, progress) -> list[Latency]:  # type: ignore[no-untyped-def]
        if self.broken:
            raise Unavailable(self.broken, hint="Mend it.")
        return super().latency(models, image_keys, choose_by, progress)


@pytest.fixture
def furnished(service: Service) -> Service:
    furnish(service)
    return service


def furnish(service: Service) -> None:
    """A golden set of two sources, and other images that are held out: dark ones, and such as failed once."""
    with service.services.store.begin() as tx:
        for number in (*GOLDEN, *VAL, *TRAIN):
            split = Split.GOLDEN if number in GOLDEN else Split.VAL if number in VAL else Split.TRAIN
            item = an_item(number, project_id="shapes", at=later(86_400 * number))
            source = "<b>cam</b>" if number % 2 else "belt"
            tx.items.add(replace(item, split=split, group="", width=64, height=48, source=source))
            truth = a_truth(item=number, project_id="shapes")
            tx.truths.add(replace(truth, shapes=(Shape("circle", BOX),), submission_ids=()))
        for number in BURNT:
            task = a_task(number, item=number, project_id="shapes")
            tx.tasks.add(task)
            tx.submissions.add(replace(a_submission(task, number), settles=True, shapes=(Shape("circle", BOX),)))
        tx.item_queries.tag("shapes", [digest(number) for number in DARK], add=["dark"], remove=[])
    view = service.call("PUT", "/v1/projects/shapes/views/dark", json={"query": "tag = dark"})
    assert view.status_code == 200


def run(service: Service, bench: Bench) -> Cycle:
    controller = _working(service.services.controller, bench)
    cycle = controller.request("shapes", "op", "test", {"mode": "non_inferior"})
    while not cycle.state.finished and cycle.step != "promote":
        cycle = controller.advance(cycle)
    assert cycle.error == ""
    return cycle


def clauses(cycle: Cycle) -> dict[str, tuple[bool, str]]:
    return {clause["name"]: (clause["passed"], clause["detail"]) for clause in cycle.decision["clauses"]}


def put(service: Service, *slices: object, role: str = "operator"):  # type: ignore[no-untyped-def]
    return service.call("PUT", PATH, role, json={"slices": list(slices)})


def test_saved_views_are_made_slices_and_none_again(furnished: Service) -> None:
    """With a margin of their own or without; what is there is replaced, and kept with who did it."""
    assert furnished.call("GET", PATH).json() == {"slices": [], "margin": 0.05}
    (told,) = put(furnished, {"view": "dark", "margin": 0.02}).json()["slices"]
    assert told == {"view": "dark", "margin": 0.02, "query": "tag = dark"}
    furnished.call("DELETE", "/v1/projects/shapes/views/dark")
    assert furnished.call("GET", PATH).json()["slices"] == [{"view": "dark", "margin": 0.02, "query": None}]
    assert put(furnished).json()["slices"] == []
    with furnished.services.store.read() as tx:
        kept = [(event.actor, event.body) for event in tx.events.newest("shapes", "slices.changed", limit=9)]
    assert kept == [("operator", {"slices": {}}), ("operator", {"slices": {"dark": 0.02}})]


def test_every_view_can_be_a_slice(furnished: Service) -> None:
    """Under a name that no view can have."""
    (told,) = put(furnished, {"view": "*", "margin": 0.03}).json()["slices"]
    assert told == {"view": "*", "margin": 0.03, "query": None}
    view = {"query": "tag = dark", "sort": "-created_at"}
    assert furnished.call("PUT", "/v1/projects/shapes/views/*", json=view).status_code == 422


def test_what_makes_no_sense_is_refused(furnished: Service) -> None:
    """A view that there is not, twice the same, a margin that is none; nothing is changed by it."""
    assert put(furnished, {"view": "dark"}).status_code == 200
    problem(put(furnished, {"view": "fog"}), 404, "not-found")
    problem(put(furnished, {"view": "dark"}, {"view": "dark"}), 422, "invalid")
    for wrong in (-0.1, 1, "much"):
        assert put(furnished, {"view": "dark", "margin": wrong}).status_code == 422
    assert put(furnished, *[{"view": str(number)} for number in range(51)]).status_code == 422
    assert [one["view"] for one in furnished.call("GET", PATH).json()["slices"]] == ["dark"]
    for role in ("reviewer", "producer"):
        assert put(furnished, role=role).status_code == furnished.call("GET", PATH, role).status_code == 403
    assert furnished.call("GET", "/v1/projects/none/slices").status_code == 404


def test_a_candidate_that_forgets_what_a_view_shows_is_refused(furnished: Service) -> None:
    """Though no golden image shows it; who does not care says so by the margin, or by no slice."""
    cycle = run(furnished, Forgetful(DARK))
    assert all(passed for passed, _ in clauses(cycle).values())
    furnished.services.controller.cancel("shapes", cycle.id, "op", "the next one")
    put(furnished, {"view": "dark"})
    refused = run(furnished, Forgetful(DARK))
    assert [name for name, (passed, _) in clauses(refused).items() if not passed] == ["slice view dark"]
    assert (refused.state, refused.evaluation["images"], refused.evaluation["beside"]) == ("refused", 30, 50)


def test_past_failures_guard_by_themselves_beside_a_golden_set(furnished: Service) -> None:
    """What failed in production and is right by now stays right: nobody has to ask for it."""
    cycle = run(furnished, Forgetful(BURNT))
    told = clauses(cycle)
    assert [name for name, (passed, _) in told.items() if not passed] == ["mended failures"]
    assert "20 of 20 images that failed in production" in told["mended failures"][1]


def test_a_slice_is_frozen_when_the_snapshot_is(furnished: Service) -> None:
    """What is tagged later, and a view that is removed meanwhile, change nothing about a cycle under way."""
    put(furnished, {"view": "dark"})
    controller = _working(furnished.services.controller, Forgetful(DARK))
    cycle = controller.advance(controller.request("shapes", "op", "test", {"mode": "non_inferior"}))
    furnished.call("DELETE", "/v1/projects/shapes/views/dark")
    with furnished.services.store.begin() as tx:
        tx.item_queries.tag("shapes", [digest(number) for number in DARK], add=[], remove=["dark"])
    while not cycle.state.finished and cycle.step != "promote":
        cycle = controller.advance(cycle)
    assert not clauses(cycle)["slice view dark"][0]


def test_a_view_that_was_removed_or_is_too_small_stops_nothing_and_says_so(furnished: Service) -> None:
    for name, query in (("few", f"digest in ({digest(0)}, {digest(30)})"), ("fog", "tag = fog"), ("gone", "")):
        furnished.call("PUT", f"/v1/projects/shapes/views/{name}", json={"query": query})
    put(furnished, {"view": "few"}, {"view": "fog"}, {"view": "gone"})
    furnished.call("DELETE", "/v1/projects/shapes/views/gone")
    cycle = run(furnished, Forgetful())
    told = clauses(cycle)
    assert "2 images in 2 independent groups are too few" in told["slice view few"][1]
    assert "no held-out image meets" in told["slice view fog"][1] and "removed" in told["slice view gone"][1]
    assert all(passed for passed, _ in told.values())


def test_what_was_measured_is_told_by_label_and_slice(furnished: Service) -> None:
    """COCO's figures before and after; the report shows the same."""
    put(furnished, {"view": "dark"})
    bench = Forgetful([*DARK[:25], *range(10)])
    bench.seconds = 0.010, 0.030
    cycle = run(furnished, bench)
    assert not clauses(cycle)["latency"][0]
    found = furnished.call("GET", f"/v1/projects/shapes/cycles/{cycle.id}/evaluation").json()
    assert (found["images"], found["beside"], found["split"]) == (30, 50, "golden")
    assert found["whole"]["before"]["ap"] == pytest.approx(cycle.evaluation["before"]["map50_95"]) == pytest.approx(1)
    assert found["whole"]["after"]["ap_small"] == pytest.approx(cycle.evaluation["after"]["ap_small"])
    assert found["whole"]["after"]["ap"] == pytest.approx(20 / 30, abs=0.02)
    assert found["whole"]["after"]["ap_large"] is None
    assert found["classes"]["circle"] == found["whole"] and found["classes"]["bar"]["after"]["ap"] is None
    slices = {(one["kind"], one["name"]): one for one in found["slices"]}
    dark, past = slices["view", "dark"], slices["past failures", "past failures"]
    assert dark["images"] == 30 and dark["figures"]["before"]["ap"] == pytest.approx(1)
    assert dark["figures"]["after"]["ap"] == pytest.approx(5 / 30, abs=0.01)
    assert (dark["failed_before"], dark["failed_after"]) == (0, pytest.approx(25 / 30))
    assert (past["images"], past["failed_after"]) == (20, 0)
    assert dark["errors"]["missed"] == pytest.approx(25 / 30, abs=0.01) and slices["source", "belt"]["errors"] == {}
    assert dark["calibration_before"] == dark["calibration_after"] == found["calibration_after"] == pytest.approx(0.1)
    assert slices["source", "belt"]["images"] == 15
    assert [one["images"] for one in found["slices"] if one["kind"] == "time"] == [8, 7, 7, 8]
    assert found["latency"]["images"] == 30 and found["latency"]["before"]["runtime"] == "torch fp32"
    assert (found["latency"]["after"]["median"], found["latency"]["after"]["p90"]) == (0.030, pytest.approx(0.045))
    page = " ".join(" ".join(read(report(furnished, cycle.id).text).text).split())
    shown = ("view dark", "past failures", "source <b>cam</b>", "time 1: ", "1.000 → 0.168", "missed, 0.832", "30.0 ms")
    for words in shown:
        assert words in page


def test_the_figures_are_with_the_run(furnished: Service) -> None:
    """By label and slice, under names that stay the same from cycle to cycle; what cannot be said is left out."""
    cycle = run(furnished, Forgetful(range(10)))
    ledger = Ledger(Site("", furnished.services.settings.data_dir))
    replace(furnished.services.telling, registry=ledger).run(lambda: False)
    (figures,) = [line["figures"] for line in ledger.lines("metrics") if "golden/ap" in line["figures"]]
    assert figures["golden/ap"] == figures["class/circle/ap"] == pytest.approx(20 / 30, abs=0.02)
    assert figures["past failures/past failures/ap"] == pytest.approx(1)
    assert (figures["time/1/ap"], figures["time/4/ap"]) == (0, pytest.approx(1))
    assert "class/bar/ap" not in figures
    files = {line["name"] for line in ledger.lines("artifact") if line["run"] == f"run of {cycle.id}"}
    assert files == {"environment.json", "snapshot.json", "decision.json", "coco.json"}


def test_what_mlflow_is_still_to_be_told_is_told_to_operators(furnished: Service) -> None:
    """How much, since when, of which cycle; by address and gauge."""
    cycle = run(furnished, Forgetful())
    where = "/v1/projects/shapes/mlflow"
    found = furnished.call("GET", where).json()
    assert list(found["cycles"]) == [cycle.id] and 6 < found["cycles"][cycle.id] < found["untold"]  # with the aliases
    assert (found["error"], found["required"]) == ("", False) and found["oldest"]
    assert furnished.call("GET", where, "producer").status_code == 403
    Gauges().follow(furnished.services.store)
    assert f"askance_mlflow_untold {found['untold']}.0" in furnished.call("GET", "/metrics", None).text
    ledger = Ledger(Site("", furnished.services.settings.data_dir))
    replace(furnished.services.telling, registry=ledger).run(lambda: False)
    found = furnished.call("GET", where).json()
    assert (found["untold"], found["oldest"], found["cycles"]) == (0, None, {})
    Gauges().follow(furnished.services.store)
    assert "askance_mlflow_untold 0.0" in furnished.call("GET", "/metrics", None).text


def test_a_latency_that_cannot_be_measured_fails_no_cycle(furnished: Service) -> None:
    bench = Forgetful()
    bench.broken = "there is no such GPU."
    cycle = run(furnished, bench)
    passed, detail = clauses(cycle)["latency"]
    assert passed and "no such GPU" in detail
    found = furnished.call("GET", f"/v1/projects/shapes/cycles/{cycle.id}/evaluation").json()
    assert found["latency"] == {"images": 0, "before": None, "after": None, "unmeasured": "there is no such GPU."}


def test_only_operators_read_it_and_only_where_there_is_something(furnished: Service) -> None:
    cycle = furnished.services.controller.request("shapes", "op", "test", {})
    where = f"/v1/projects/shapes/cycles/{cycle.id}/evaluation"
    problem(furnished.call("GET", where), 409, "conflict")
    assert [furnished.call("GET", where, role).status_code for role in ("reviewer", "producer")] == [403, 403]
    assert furnished.call("GET", "/v1/projects/shapes/cycles/none/evaluation").status_code == 404


def test_a_cycle_of_an_earlier_version_goes_on(furnished: Service) -> None:
    """Without frozen slices, and evaluated without them: by the sources of what judges, as before."""
    controller = _working(furnished.services.controller, Forgetful())
    cycle = controller.request("shapes", "op", "test", {"mode": "non_inferior"})
    while cycle.step != "gate":
        cycle = controller.advance(cycle)
    kept = {"candidate", "champion", "candidate_told", "champion_told", "images", "set", "split", "without"}
    earlier = replace(cycle, evaluation={name: cycle.evaluation[name] for name in kept})
    with furnished.services.store.begin() as tx:
        tx.cycles.save(earlier)
    done = controller.advance(earlier)
    assert done.error == "" and done.decision["clauses"]
    assert furnished.call("GET", f"/v1/projects/shapes/cycles/{cycle.id}/evaluation").status_code == 409
    assert "COCO" not in report(furnished, cycle.id).text
