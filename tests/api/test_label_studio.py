"""Tasks that people do in Label Studio: what is sent, what is taken, and that each counts once wherever a process dies.

Label Studio itself is a stand-in here; `make test-label-studio` runs the real one.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from loop.domain.outgoing.label_studio import BRIDGE, LinkState
from loop.wiring import utc_now
from tests.api.conftest import LABELS, picture
from tests.api.test_predictions import problem
from tests.api.test_queue import lease, one, person, policy, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit
from tests.label_studio import Died, DyingStore, StandIn, Steps, lead, region

TITLE = "Shapes"
HERE = "/v1/projects/shapes/label-studio"


@pytest.fixture
def there(service) -> StandIn:
    stand_in = StandIn()
    _connect(service, stand_in)
    return stand_in


def _connect(service, stand_in: StandIn, **changes) -> None:
    """The service, as it is when it is started again: it keeps nothing but its store."""
    old = service.services
    push = replace(old.label_studio_push, server=stand_in, **changes)
    desk = replace(old.desk, **changes)
    pull = replace(old.label_studio_pull, server=stand_in, desk=desk, **changes)
    service.services = replace(old, label_studio_push=push, label_studio_pull=pull)
    service.client.app.state.services = service.services


def _predicted(service, count: int) -> list[str]:
    return [service.predict(picture(seed)).json()["item_digest"] for seed in range(count)]


def _push(service, count: int = 100, **wish) -> dict:
    return lead(service, "push", title=TITLE, count=count, **wish)


def _pulled(service, **body) -> list[dict]:
    """All pages of one pull."""
    told, after = [], None
    while True:
        answer = lead(service, "pull", after=after, **body)
        told += answer["told"]
        after = answer["next"]
        if after is None:
            return told


def _what(told: list[dict]) -> Counter:
    return Counter(entry["what"] for entry in told)


def _submissions(service) -> list:
    with service.services.store.read() as tx:
        return tx.submissions.page("shapes", after=None, limit=200)


def _links(service) -> list:
    with service.services.store.read() as tx:
        return tx.label_studio.of_project("shapes")


def _task(service, task_id: str):
    with service.services.store.read() as tx:
        return tx.tasks.get(task_id)


def _truth(service, digest: str) -> list[dict] | None:
    truth = service.call("GET", f"/v1/projects/shapes/items/{digest}").json()["truth"]
    return truth and truth["shapes"]


def _later(service, stand_in: StandIn, **span: float) -> None:
    _connect(service, stand_in, clock=lambda: utc_now() + timedelta(**span))


# --- out ---------------------------------------------------------------------------------------------


def test_a_push_fills_up_what_waits_there(service, there):
    """So many wait there for an answer, however often one pushes; nobody gets those here."""
    _predicted(service, 5)
    assert len(_push(service, 3)["sent"]) == 3
    assert len(there.bodies) == 3
    again = _push(service, 3)
    assert (again["sent"], again["waiting"]) == ([], 3)
    assert len(_push(service, 4)["sent"]) == 1
    (left,) = lease(service, "reviewer", 5)["tasks"]
    assert left["id"] not in {link.task_id for link in _links(service)}


def test_a_task_there_holds_its_image_and_what_the_model_says(service, there):
    """The bytes are uploaded, and the boxes are predictions with the model's version and a score."""
    _predicted(service, 1)
    pushed = _push(service)
    assert pushed["address"] == f"{there.address}/projects/{there.titles[TITLE].id}"
    (body,) = there.bodies.values()
    assert there.files[body["data"]["image"]] == picture(0)
    (said,) = body["predictions"]
    with service.services.store.read() as tx:
        champion = tx.projects.get("shapes").champion_id
    assert said["model_version"] == champion
    assert 0 <= said["score"] <= 1
    assert {region["value"]["rectanglelabels"][0] for region in said["result"]} <= set(LABELS)


def test_a_project_there_that_could_not_be_labelled_in_is_refused(service, there):
    """Its interface must have every label of the recipe; told before anything is held."""
    there.project(
        TITLE, '<View><RectangleLabels name="label" toName="image"><Label value="dog"/></RectangleLabels></View>'
    )
    _predicted(service, 1)
    refused = service.call("POST", f"{HERE}/push", json={"title": TITLE})
    assert problem(refused, 409, "conflict")["ids"]["control"] == "label"
    assert _links(service) == []


@pytest.mark.parametrize("audited", [False, True])
def test_nothing_there_tells_an_audit(service, there, audited):
    """A task of the audit lot is of the same parts as one that was routed: no stage, no risk, no reason."""
    changed = {"threshold": 1.0, "audit_rate": 1.0} if audited else {"audit_rate": 0.0}
    service.call("PATCH", "/v1/projects/shapes/policy", json=changed)
    _predicted(service, 1)
    _push(service)
    (link,) = _links(service)
    assert _task(service, link.task_id).stage == ("audit" if audited else "annotate")
    (body,) = there.bodies.values()
    assert set(body) == {"data", "predictions"}
    assert set(body["data"]) == {"image", "askance"}
    (said,) = body["predictions"]
    assert set(said) == {"model_version", "score", "result"}
    scores = [region["score"] for region in said["result"]]
    assert said["score"] == pytest.approx(sum(scores) / len(scores) if scores else 0)


def test_what_is_blind_here_is_blind_there(service, there):
    """A task that hides the prediction is sent without one, whatever its stage."""
    policy(service, blind_share=1.0)
    _predicted(service, 2)
    _push(service)
    assert all("predictions" not in body for body in there.bodies.values())
    assert {_task(service, link.task_id).proposal_shown for link in _links(service)} == {False}


def test_only_what_the_bridge_may_do_goes(service, there, staff):  # noqa: F811
    """A stage that is kept for a group goes where the bridge is in that group."""
    person(service, staff["ada"], groups=["leads"])
    policy(service, stage_groups={"annotate": ["leads"]})
    _predicted(service, 1)
    assert _push(service)["sent"] == []
    person(service, BRIDGE, groups=["leads"])
    assert len(_push(service)["sent"]) == 1


def test_of_a_work_of_several_people_one_task_goes(service, there, staff):  # noqa: F811
    """Those there count as one, so that nobody there can answer for two; the others are done here. Audits too: the
    lottery may draw the item."""
    policy(service, people={"annotate": 2, "audit": 2})
    _predicted(service, 1)
    assert len(_push(service)["sent"]) == 1
    assert _push(service)["sent"] == []
    (remote,) = there.bodies
    there.annotate(remote, region("circle", 10, 10, 30, 30))
    assert _what(_pulled(service)) == {"answered": 1}
    assert _push(service)["sent"] == []
    assert len(lease(service, "ada")["tasks"]) == 1


def test_picks_of_a_query_go(service, there):
    """A query chooses the items; their open tasks go, and no others."""
    digests = _predicted(service, 3)
    tagged = {"items": digests[:2], "add": ["there"]}
    assert service.call("POST", "/v1/projects/shapes/items/tags", json=tagged).status_code == 200
    assert len(_push(service, query="tag=there")["sent"]) == 2
    assert {_task(service, link.task_id).item_digest for link in _links(service)} == set(digests[:2])


def test_what_label_studio_does_not_take_is_told_and_stops_nothing(service, there):
    """Its task stays held, and goes with the next push; `release` puts it back."""
    _predicted(service, 2)
    there.refuses = True
    pushed = _push(service)
    assert (len(pushed["problems"]), pushed["more"]) == (2, False)
    assert _what(lead(service, "release")["told"]) == {"released": 2}
    assert len(_push(service, 1)["problems"]) == 1
    there.refuses = False
    assert len(_push(service)["sent"]) == 2


# --- back --------------------------------------------------------------------------------------------


def test_an_answer_is_its_authors_and_counts_once(service, there):
    """It goes the way of all answers: it is the truth, by somebody of Label Studio, with the time that it took. A
    second pull takes nothing."""
    (digest,) = _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, region("circle", 25, 50, 50, 25))
    _later(service, there, days=1)
    (told,) = _pulled(service)
    assert (told["what"], told["author"], told["why"]) == ("answered", "ada@example.org", "")
    assert _truth(service, digest) == [{"id": "box0", "type": "box", "label": "circle", "box": [16, 24, 48, 36]}]
    (said,) = _submissions(service)
    assert (said.reviewer, said.active_seconds, said.seconds) == ("label-studio:ada@example.org", 4.5, 4.5)
    assert _pulled(service) == []
    assert len(_submissions(service)) == 1


def test_who_answers_there_cannot_come_in_here(service, there):
    """The author's token is revoked from its first moment, and no secret is of it, nor of the bridge's own."""
    _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote)
    _pulled(service)
    with service.services.store.read() as tx:
        tokens = [token for token in tx.tokens.all() if token.id.startswith(BRIDGE)]
    assert [(token.id, token.revoked_at is None) for token in tokens] == [
        (BRIDGE, True),
        ("label-studio:ada@example.org", False),
    ]
    for token in tokens:
        service.tokens["guess"] = token.secret_digest
        assert service.call("GET", "/v1/me", "guess").status_code == 401
    refused = service.call("PATCH", f"/v1/people/{tokens[1].id}", json={"groups": ["leads"]})
    problem(refused, 422, "invalid")


def test_a_skip_there_is_a_skip(service, there):
    """Cancelled annotations skip the task, with the reason that says where."""
    _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, cancelled=True)
    assert _what(_pulled(service)) == {"skipped": 1}
    (said,) = _submissions(service)
    assert (said.outcome, said.note) == ("skipped", "skipped in Label Studio")
    assert _pulled(service) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (region("dog", 1, 1, 9, 9), "'dog'"),
        (region("circle", 1, 1, 0, 0), "Correct it in Label Studio"),
        (region("circle", float("nan"), 1, 9, 9), "finite"),
        ({"id": "b", "type": "brushlabels", "value": {"rle": [1], "brushlabels": ["circle"]}}, "brushlabels"),
        ({"id": "b", "type": "rectangle", "value": {"x": 1, "y": 1, "width": 5, "height": 5}}, "rectangle"),
        ({"type": "choices", "from_name": "weather", "value": {"choices": ["rain"]}}, "weather"),
        ({"type": "pairwise", "value": {"selected": "left"}}, "pairwise"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_whole_is_told_and_stops_no_other(service, there, wrong, why):
    """Nothing of such an answer is taken; corrected there, all of it is."""
    _predicted(service, 2)
    _push(service)
    first, second = there.bodies
    there.annotate(first, region("circle", 10, 10, 30, 30), wrong)
    there.annotate(second, region("bar", 10, 10, 30, 30))
    told = {entry["remote"]: entry for entry in _pulled(service)}
    assert (told[first]["what"], told[second]["what"]) == ("problem", "answered")
    assert why in told[first]["why"], told[first]["why"]
    (known,) = service.call("GET", HERE).json()["problems"]
    assert known["why"] == told[first]["why"]
    there.change(first, region("circle", 10, 10, 30, 30))
    assert _what(_pulled(service)) == {"answered": 1}
    assert service.call("GET", HERE).json()["problems"] == []


def test_of_several_answers_there_one_counts(service, there):
    """The one that is marked as ground truth, else the last that is no skip; as when a file is imported."""
    _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, author="ada@example.org", ground_truth=True)
    there.annotate(remote, author="bob@example.org")
    there.annotate(remote, author="cyd@example.org", cancelled=True)
    (told,) = _pulled(service)
    assert told["author"] == "ada@example.org"
    assert len(_submissions(service)) == 1


def test_an_edit_is_told_and_taken_when_asked_for(service, there):
    """As the next version of the truth, by whoever edited; then all is quiet."""
    (digest,) = _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, region("circle", 0, 0, 50, 50))
    _pulled(service)
    before = _truth(service, digest)
    there.change(remote, region("bar", 0, 0, 50, 50))
    for _ in range(2):
        assert _what(_pulled(service)) == {"changed": 1}
    assert _truth(service, digest) == before
    assert _what(_pulled(service, take_edits=True)) == {"answered": 1}
    assert [shape["label"] for shape in _truth(service, digest)] == ["bar"]
    assert service.call("GET", f"/v1/projects/shapes/items/{digest}").json()["truth"]["version"] == 2
    assert _pulled(service, take_edits=True) == []


def test_a_change_there_that_says_the_same_is_none(service, there):
    """Saved again without a change, an answer is quiet."""
    _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, region("circle", 0, 0, 50, 50))
    _pulled(service)
    there.change(remote, region("circle", 0, 0, 50, 50))
    assert _pulled(service) == []


def test_an_edit_that_breaks_the_rules_leaves_the_truth_alone(service, there):
    """Nothing is opened again for what could not be taken."""
    (digest,) = _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, region("circle", 0, 0, 50, 50))
    _pulled(service)
    there.change(remote, region("dog", 0, 0, 50, 50))
    (told,) = _pulled(service, take_edits=True)
    assert told["what"] == "changed"
    assert "dog" in told["why"]
    assert _task(service, told["task_id"]).state == "done"
    assert [shape["label"] for shape in _truth(service, digest)] == ["circle"]


def test_what_was_opened_here_meanwhile_takes_no_answer_from_there(service, there):
    """The epoch fences it: the answer is refused and told, and the one that is given here counts."""
    _predicted(service, 1)
    _push(service)
    (remote,), (link,) = there.bodies, _links(service)
    _later(service, there, days=31)  # the hold ran out
    task = replace(service.services.desk, clock=lambda: utc_now() + timedelta(days=31)).lease(
        _token(service, "reviewer"), "shapes", 1
    ).assignments[0].task  # fmt: skip
    assert (task.id, task.epoch) == (link.task_id, link.epoch + 1)
    there.annotate(remote, region("circle", 0, 0, 50, 50))
    (told,) = _pulled(service)
    assert told["what"] == "late"
    assert "delete" in told["why"]
    assert _pulled(service) == []
    assert _submissions(service) == []
    assert [link.state for link in _links(service)] == [LinkState.REFUSED]


def _token(service, role: str):
    return service.services.tokens.authenticate(service.tokens[role])


def test_a_hold_that_ran_out_harms_nobody_unless_the_task_was_taken(service, there):
    """What nobody here took in the meantime is answered from there all the same."""
    _predicted(service, 2)
    _push(service)
    first, second = there.bodies
    there.annotate(first, region("circle", 0, 0, 50, 50))
    _later(service, there, days=40)
    assert _what(_pulled(service)) == {"answered": 1}
    there.annotate(second, region("dog", 0, 0, 50, 50))
    for days in (60, 80, 100):  # an answer that waits to be corrected is held too
        _later(service, there, days=days)
        assert _what(_pulled(service)) == {"problem": 1}
    there.change(second, region("bar", 0, 0, 50, 50))
    assert _what(_pulled(service)) == {"answered": 1}
    assert len(_submissions(service)) == 2


def test_a_project_there_that_is_not_to_be_seen_gives_nothing_up(service, there):
    """The token may be another person's: what waits there stays held, and other projects are pulled all the same."""
    _predicted(service, 2)
    _push(service, 1)
    lead(service, "push", title="Another", count=1)
    first, second = sorted(there.bodies, key=lambda number: there.places[number])
    there.annotate(second, region("circle", 0, 0, 50, 50))
    there.hidden.add(there.places[first])
    assert _what(_pulled(service)) == {"problem": 1, "answered": 1}
    assert [link.state for link in _links(service)] == [LinkState.OUT, LinkState.ANSWERED]
    there.hidden.clear()
    assert _pulled(service) == []


def test_a_pull_renews_the_hold(service, there):
    """What waits there is held for another month from each pull on."""
    _predicted(service, 1)
    _push(service)
    (link,) = _links(service)
    first = _task(service, link.task_id).expires_at
    _later(service, there, days=20)
    assert _pulled(service) == []
    task = _task(service, link.task_id)
    assert task.expires_at > first + timedelta(days=19)
    assert task.epoch == link.epoch


def test_what_was_deleted_there_comes_back_into_the_queue(service, there):
    """It is told, and people get it here again; on whatever page it was."""
    _predicted(service, 12)
    while _push(service)["more"]:
        pass
    gone = [remote for number, remote in enumerate(sorted(there.bodies)) if number in (0, 4, 5, 11)]
    for remote in gone:
        there.delete(remote)
    assert _what(_pulled(service)) == {"gone": 4}
    assert len(lease(service, "reviewer", 20)["tasks"]) == 4
    assert _pulled(service) == []


def test_what_is_called_back_is_done_here(service, there):
    """It is deleted there and free here; what has an answer there stays until that is pulled."""
    _predicted(service, 3)
    _push(service)
    first, *others = there.bodies
    there.annotate(first, region("circle", 0, 0, 50, 50))
    assert _what(lead(service, "release")["told"]) == {"released": 2, "problem": 1}
    assert list(there.bodies) == [first]
    assert len(others) == 2
    task = one(service, "reviewer")
    assert submit(service, task, [BOX]).status_code == 200
    assert _what(_pulled(service)) == {"answered": 1}
    assert len(_push(service)["sent"]) == 1


def test_a_copy_there_counts_for_nothing(service, there):
    """A task that was made twice, or copied by hand, is told; without an answer it is deleted."""
    _predicted(service, 1)
    _push(service)
    ((remote, body),) = there.bodies.items()
    place = there.places[remote]
    copies = there.send(place, body), there.send(place, body)
    there.annotate(copies[0], region("circle", 0, 0, 50, 50))
    told = _pulled(service)
    assert {(entry["what"], entry["remote"]) for entry in told} == {("copy", number) for number in copies}
    assert set(there.bodies) == {remote, copies[0]}
    assert _submissions(service) == []


# --- deaths --------------------------------------------------------------------------------------------


def _attempt(service, stand_in: StandIn, steps: Steps, work) -> bool:
    """Whether it came to its end; the process that did it is gone either way."""
    store = service.services.store
    stand_in.steps = steps
    _connect(service, stand_in, store=DyingStore(store, steps))
    try:
        work()
    except Died:
        return False
    finally:
        stand_in.steps = Steps()
        _connect(service, stand_in, store=store)
    return True


def _bridge(service, what: str, **wish):
    """By the use case: a death is no HTTP answer."""
    token = _token(service, "operator")
    if what == "push":
        from loop.label_studio.push import Wish

        return service.services.label_studio_push.push(token, "shapes", Wish(title=TITLE, count=3, **wish))
    return service.services.label_studio_pull.pull(token, "shapes", **wish)


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
def test_a_push_that_dies_anywhere_is_gone_on_with(service, there, when):
    """Whatever step of a push is its last: after the next pushes each task lies there once, held under the epoch that
    is kept, and there are as many as were wished for."""
    _predicted(service, 3)
    deaths = 0
    for step in range(1, 200):
        ended = _attempt(service, there, Steps(**{when: step}), lambda: _bridge(service, "push"))
        deaths += not ended
        _later(service, there, minutes=3)  # nobody can be at it any more
        while (answer := _push(service, 3))["more"] or answer["in_hand"]:
            assert answer["in_hand"] == 0
        _connect(service, there, clock=utc_now)
        assert Counter(body["data"]["askance"] for body in there.bodies.values()).most_common(1)[0][1] == 1
        links = [link for link in _links(service) if link.state is not LinkState.RELEASED]
        assert {(link.remote, link.id) for link in links} == {
            (number, body["data"]["askance"]) for number, body in there.bodies.items()
        }
        assert [link.state for link in links] == [LinkState.OUT] * 3
        assert all(_task(service, link.task_id).epoch == link.epoch for link in links)
        if ended:
            break
        while lead(service, "release")["more"]:
            pass
        assert there.bodies == {}
    assert deaths >= 12


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
def test_a_pull_that_dies_anywhere_is_gone_on_with(service, there, when):
    """Whatever step of a pull is its last: after the next pull each answer is here once."""
    expected = 0
    for step in range(1, 50):
        _predicted_anew(service, step)
        _push(service, 3)
        for number, remote in enumerate([n for n in there.bodies if n not in there.said]):
            there.annotate(remote, region("circle", number, 0, 50, 50), cancelled=number == 2)
        ended = _attempt(service, there, Steps(**{when: step}), lambda: _all_pages(service))
        _pulled(service)
        expected += 3
        said = _submissions(service)
        assert len(said) == expected
        assert set(Counter(answer.task_id for answer in said).values()) == {1}
        assert _pulled(service) == []
        if ended:
            break
    assert expected >= 18


def _all_pages(service) -> None:
    after = None
    while True:
        after = _bridge(service, "pull", after=after).next
        if after is None:
            return


def _predicted_anew(service, step: int) -> None:
    for seed in range(3):
        service.predict(picture(1000 * step + seed))


def test_an_edit_that_is_taken_survives_a_death_anywhere(service, there):
    """Opened again or not, the answer as it is there now becomes the next version once."""
    (digest,) = _predicted(service, 1)
    _push(service)
    (remote,) = there.bodies
    there.annotate(remote, region("circle", 0, 0, 50, 50))
    _pulled(service)
    for step in range(1, 30):
        label = LABELS[step % 3]
        there.change(remote, region(label, step, 0, 40, 40))
        work = lambda: _bridge(service, "pull", take_edits=True)  # noqa: E731
        ended = _attempt(service, there, Steps(dies_after=step), work)
        _pulled(service, take_edits=True)
        truth = service.call("GET", f"/v1/projects/shapes/items/{digest}").json()["truth"]
        assert (truth["version"], truth["shapes"][0]["label"]) == (step + 1, label)
        assert _pulled(service, take_edits=True) == []
        if ended:
            break
    assert step > 3


def test_who_is_still_sending_is_left_to_it(service, there):
    """A push that finds a task in the hand of another leaves it; after the time that a call can take it goes on."""
    _predicted(service, 1)
    steps = Steps(dies_before=6)
    while _attempt(service, there, steps, lambda: _bridge(service, "push")):
        raise AssertionError("it did not die")
    answer = _push(service)
    assert (answer["in_hand"], answer["more"], answer["sent"]) == (1, False, [])
    _later(service, there, minutes=3)
    assert len(_push(service)["sent"]) == 1


# --- settings and roles ------------------------------------------------------------------------------


def test_without_settings_it_says_which(service):
    """The address and the token come from the settings; without them the call says what to set."""
    refused = service.call("POST", f"{HERE}/push", json={"title": TITLE})
    assert "label_studio.url" in problem(refused, 422, "bad-settings")["detail"]


def test_operators_alone_have_the_bridge(service, there):
    """Reviewers and producers may neither push nor pull, nor see what is there."""
    for role in ("reviewer", "producer"):
        for what in ("push", "pull", "release"):
            assert service.call("POST", f"{HERE}/{what}", role, json={"title": TITLE}).status_code in (403, 422)
        assert service.call("GET", HERE, role).status_code == 403


@pytest.mark.parametrize("title", ["", "ab", " padded ", "x" * 51, "two\nlines"])
def test_a_title_must_be_one_there(service, there, title):
    """Label Studio's limits are told before it is asked."""
    problem(service.call("POST", f"{HERE}/push", json={"title": title}), 422, "invalid")


@pytest.mark.parametrize("after", ["x", "1.2", "1.2.3.4", "-1.1.1", "9" * 30 + ".1.1"])
def test_a_pull_goes_on_only_from_where_one_was(service, there, after):
    """A cursor that is none is told."""
    _predicted(service, 1)
    _push(service)
    problem(service.call("POST", f"{HERE}/pull", json={"after": after[:40]}), 422, "invalid")
