"""When events call custom functions, over HTTP: of each image whose truth people settled, however it came to be so."""

from collections.abc import Iterator

import pytest

from loop.domain.functions.calls import FunctionCall
from loop.wiring import utc_now
from tests.api.test_clips import a_clip, a_task, box
from tests.api.test_lots import judge, listed, lots_of
from tests.api.test_qa import accept, all_in_qa, answered  # noqa: F401 - a fixture
from tests.api.test_queue import one, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

REDACT = {"name": "redact", "on": ["task.completed"], "options": {"labels": ["circle"]}, "shapes": "truth"}


@pytest.fixture
def redacting(service):
    declare(service, REDACT)
    return service


def declare(service, *uses: dict) -> None:
    answer = service.call("PATCH", "/v1/projects/shapes/policy", json={"functions": list(uses)})
    assert answer.status_code == 200, answer.text


def called(service) -> list[FunctionCall]:
    """Each call that waits, once."""

    def claimed() -> Iterator[FunctionCall]:
        now = utc_now()
        while True:
            with service.services.store.begin() as tx:
                call = tx.function_calls.claim(now=now, until=now.replace(year=now.year + 1))
            if call is None:
                return
            yield call

    return list(claimed())


@pytest.mark.parametrize("corrects", [False, True], ids=["accepted", "corrected"])
def test_what_qa_lets_through_calls_functions_then(redacting, all_in_qa, corrects):  # noqa: F811
    """Not when it is answered: it is no truth yet. Accepted or corrected, the item is called for once."""
    digest = answered(redacting, "ada")
    assert called(redacting) == []
    judging = one(redacting, "bob")
    verdict = submit(redacting, judging, [], "bob") if corrects else accept(redacting, judging, "bob")
    assert verdict.status_code == 200, verdict.text
    assert [(call.function, call.item_digest) for call in called(redacting)] == [("redact", digest)]


def test_what_a_lot_lets_through_calls_functions_then(redacting, staff):  # noqa: F811
    """Those that were looked at with their verdict, all others with that of the lot, which has its own event."""
    declare(redacting, REDACT, {"name": "snap_to_image", "on": ["lot.decided"]})
    lots_of(redacting, 4, share=0.5, threshold=0.25)
    digests = [answered(redacting, "ada", seed=seed) for seed in range(4)]
    assert called(redacting) == []
    for _ in range(2):
        judge(redacting, "bob")
    (lot,) = listed(redacting)
    assert lot["state"] == "accepted"
    calls = called(redacting)
    assert sorted(call.item_digest for call in calls if call.function == "redact") == sorted(digests)
    (told,) = [call for call in calls if call.function == "snap_to_image"]
    assert (told.trigger, told.item_digest, told.body["lot_id"]) == ("lot.decided", None, lot["id"])


def test_of_a_clip_each_frame_is_called_for(redacting):
    """Each has its truth, with objects or without; the same answer sent again calls for none."""
    task = a_task(redacting, a_clip(redacting))
    for _ in range(2):
        assert submit(redacting, task, [box(1, 0), box(5, 40)]).status_code == 200
    frames = sorted(frame["digest"] for frame in task["frames"])
    assert sorted(call.item_digest or "" for call in called(redacting)) == frames


def test_of_several_people_the_last_answer_calls(redacting, staff):  # noqa: F811
    """What waits for others settles nothing."""
    policy = {"queue": {"people": {"annotate": 2, "audit": 2}}}
    assert redacting.call("PATCH", "/v1/projects/shapes/policy", json=policy).status_code == 200
    digest = answered(redacting, "ada")
    assert called(redacting) == []
    assert submit(redacting, one(redacting, "bob"), [BOX], "bob").status_code == 200
    assert [call.item_digest for call in called(redacting)] == [digest]
