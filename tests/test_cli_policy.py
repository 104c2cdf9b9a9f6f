"""`askance policy`: a policy is shown and set as one document, and what a document changes is told."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from loop.cli import app
from loop.cli.policy_changes import ABSENT, Difference, differences
from loop.domain.errors import Invalid
from serving.client import ApiError
from tests.api.conftest import audited_service, client_within  # noqa: F401

FLOWS = sorted(Path("configs/flows").glob("*.yaml"))

# Something of each part that a policy has.
ALL = """
threshold: 0.4
audit_rate: 0.1
retain: sampled
retain_rate: 0.5
durability: soon
queue:
  people: {audit: 2}
  source_boosts: {cam.1: 3, "off": 0.00001}
  max_leases: 7
functions:
  - {name: group_shapes, button: {label: Group, key: g}}
  - {name: redact, on: [task.completed], options: {labels: [circle], margin: 0.2}}
workflow: {qa: all, proposals: hidden, lots: {close_after_seconds: null, plan: sequential}}
quality: {golden: {rate: 0.05, qualification: yes}}
gate: {fallback: withhold, max_wait_seconds: 60}
guarantee:
  promises: [{alpha: 0.2, classes: [circle]}, {alpha: 0.1, by: source}]
  costs: {missed: 2}
audit_rates: {by_label: {circle: 0.3}, by_risk: [[0.2, 0.5]]}
"""


@pytest.fixture
def reached(audited_service, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """Commands reach this service."""
    client = client_within(audited_service)
    monkeypatch.setattr("loop.cli.policies.client_of", lambda *_: client)
    return audited_service


def run(*arguments: str, typed: str = "") -> str:
    """What it printed."""
    result = CliRunner().invoke(app, ["policy", *arguments, "-p", "shapes"], input=typed, env={"COLUMNS": "60"})
    if result.exception is not None:
        raise result.exception
    return result.stdout


def policy_of(reached) -> dict:
    return reached.call("GET", "/v1/projects/shapes").json()["policy"]


def changes_of(reached) -> list[dict]:
    """What the history has of the policy, oldest first."""
    events = reached.call("GET", "/v1/projects/shapes/events?limit=1000").json()["events"]
    return [event["body"] for event in events if event["kind"] == "policy.changed"]


def test_there_are_flows() -> None:
    assert len(FLOWS) == 3


@pytest.mark.parametrize("flow", FLOWS, ids=lambda path: path.stem)
def test_a_flow_is_set_as_it_is_in_its_file(reached, flow: Path) -> None:
    """The policy is what the file says and else what it was; set again, nothing changes."""
    before = policy_of(reached)
    told = run("set", str(flow), "--project", "shapes")
    document = yaml.safe_load(flow.read_text())
    workflow = {**before["workflow"], **document["workflow"]}
    workflow["lots"] = {**before["workflow"]["lots"], **document["workflow"].get("lots", {})}
    expected = {**before, **document, "workflow": workflow, "version": 2}
    assert policy_of(reached) == expected
    assert told.endswith("policy version 2\n")
    assert "nothing to change" in run("set", str(flow))
    assert policy_of(reached)["version"] == 2 and len(changes_of(reached)) == 1


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["yaml", "json"])
@pytest.mark.parametrize("written", [ALL, *(flow.read_text() for flow in FLOWS)], ids=["all", *(f.stem for f in FLOWS)])
def test_what_is_shown_can_be_set(reached, form: list[str], written: str) -> None:
    """Where it is so already, nothing changes; elsewhere it makes the same policy."""
    first = run("show", *form)
    run("set", "-", typed=written)
    shown, there = run("show", *form), policy_of(reached)
    assert "nothing to change" in run("set", "-", typed=shown)
    assert policy_of(reached) == there
    run("set", "-", typed=first)
    assert run("show", *form).splitlines()[1:] == first.splitlines()[1:]
    run("set", "-", typed=shown)
    assert policy_of(reached) == {**there, "version": 4}


def test_changes_are_told_leaf_by_leaf(reached) -> None:
    """Nothing else is told, and the version is the new one."""
    told = run("set", "-", typed="threshold: 0.25\nworkflow: {qa: lots, lots: {size: 50}}\nqueue: {people: {audit: 2}}")
    assert told.splitlines() == [
        "This changes what goes to people:",
        "  threshold 0 → 0.25: fewer predictions go to people",
        "threshold: 0.0 → 0.25",
        "queue.people.audit: not there → 2",
        "workflow.qa: off → lots",
        "workflow.lots.size: 200 → 50",
        "policy version 2",
    ]


def test_only_what_differs_is_asked_for(reached) -> None:
    """The rest of the file is no change, and the history does not tell it as one."""
    shown = yaml.safe_load(run("show"))
    shown["threshold"] = 0.9
    shown["quality"]["golden"]["again_days"] = 11
    shown["guarantee"]["costs"]["missed"] = 3
    run("set", "-", typed=yaml.safe_dump(shown))
    assert changes_of(reached) == [
        {
            "version": 2, "threshold": 0.9, "quality": {"golden": {"again_days": 11.0}},
            "guarantee": {"costs": {"missed": 3.0}},
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "written", ["{}", "queue: {}", "threshold: 0", "threshold: null", '{"threshold": "0.0", "workflow": {"lots": {}}}']
)
def test_a_document_without_a_change_changes_nothing(reached, written: str) -> None:
    """Neither the version nor the history."""
    assert "nothing to change; policy version 1" in run("set", "-", typed=written)
    assert policy_of(reached)["version"] == 1 and changes_of(reached) == []


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("treshold: 0.5", ["treshold is not known, did you mean threshold?"]),
        ("workflow: {lots: {sise: 3}}", ["workflow.lots.sise is not known, did you mean size?"]),
        ("guarantee: {promises: [{alpha: 0.1}, {alfa: 0.2}]}", ["guarantee.promises[1].alfa", "mean alpha?"]),
        ("functions: [{name: a, button: {lable: b}}]", ["functions[0].button.lable", "mean label?"]),
        ("gaurantee: {}\nworkflow: {qaa: off}", ["mean guarantee?", "workflow.qaa is not known, did you mean qa?"]),
        ("gate: {xyz: 1}", ["gate.xyz is not known.", "fallback, max_wait_seconds, min_review_seconds"]),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(reached, written: str, words: list[str]) -> None:
    """Wherever it is, and all of them; nothing changes, also where the rest could."""
    with pytest.raises(Invalid) as error:
        run("set", "-", typed=f"{written}\naudit_rate: 0.3")
    assert type(error.value) is Invalid
    for word in words:
        assert word in str(error.value)
    assert changes_of(reached) == []


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("threshold: 1.5", "threshold: Input should be less than or equal to 1"),
        ("workflow: {qa: some}", "workflow.qa: Input should be 'off'"),
        ("workflow: {lots: {size: 0}}", "lots.size is 0. Use a number from 1 to 10000"),
        ("queue: {stage_groups: {qa: [experts]}}", "nobody has the group 'experts'"),
        ("lease_seconds: 2026-01-01", "lease_seconds: Input should be a valid integer"),
        ("queue: []", "queue: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_value_is_answered_by_the_service(reached, written: str, words: str) -> None:
    """With its field; nothing changes."""
    with pytest.raises(ApiError) as error:
        run("set", "-", typed=f"{written}\naudit_rate: 0.3")
    assert words in str(error.value)
    assert changes_of(reached) == []


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("threshold: 0.1\nqueue: [", "(line 2)"),
        ("threshold: 0.1\ngate: {}\nthreshold: 0.2\n", "the key 'threshold' is there twice (line 3)"),
        ('{"threshold": 0.1, "threshold": 0.2}', "the key 'threshold' is there twice"),
        ('{"threshold": 0.1,\n "gate" {}}', "line 2 column 9"),
        ("queue: &q {}\nworkflow: *q", "anchor (line 2)"),
        ("threshold: .inf", "what JSON cannot say"),
        ("threshold: !!binary aGk=", "what JSON cannot say"),
        ("- threshold", "holds no policy"),
        ("# nothing\n", "holds no policy"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(reached, tmp_path: Path, written: str, words: str) -> None:
    """In one line, with the name of the file; a file that there is not as well."""
    file = tmp_path / "policy.yaml"
    with pytest.raises(Invalid, match=r"policy.yaml cannot be read \(No such file"):
        run("set", str(file))
    file.write_text(written)
    with pytest.raises(Invalid) as error:
        run("set", str(file))
    assert str(error.value).startswith(f"{file} ") and words in str(error.value) and "\n" not in str(error.value)
    assert changes_of(reached) == []


def test_words_are_words(reached) -> None:
    """YAML's `off` and the key `on` are no booleans here; where a switch is meant, yes and no are understood."""
    run("set", "-", typed="workflow: {qa: all}")
    run("set", "-", typed="workflow: {qa: off}\nquality: {golden: {training: yes}}")
    policy = policy_of(reached)
    assert (policy["workflow"]["qa"], policy["quality"]["golden"]["training"]) == ("off", True)
    with pytest.raises(ApiError, match="nothing"):  # read as far as its name
        run("set", "-", typed="functions: [{name: nothing-like-it, on: [task.completed]}]")


def test_a_change_of_somebody_else_is_not_hidden(reached, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the policy and the change of it: both are told."""
    client = client_within(reached)
    changed = client.change_policy

    def second(project: str, **changes: object) -> object:
        changed(project, audit_rate=0.7)
        return changed(project, **changes)

    monkeypatch.setattr(client, "change_policy", second)
    monkeypatch.setattr("loop.cli.policies.client_of", lambda *_: client)
    told = run("set", "-", typed="threshold: 0.5")
    assert "audit_rate: 0.02 → 0.7" in told and "policy version 3" in told and "Somebody else" in told


def test_differences_name_each_leaf() -> None:
    """Elements of lists where these are maps and as many, else the whole list; names that hold a dot are quoted."""
    old = {"a": [{"b": 1, "c": 2}], "d": [1, 2], "e": {"cam.1": 1}, "f": [{"b": 1}], "g": 0}
    new = {"a": [{"b": 1, "c": 3}], "d": [1, 3], "e": {"cam.1": 2, "cam-2": 1}, "f": [], "g": 0}
    assert list(differences(old, new)) == [
        Difference("a[0].c", 2, 3),
        Difference("d", [1, 2], [1, 3]),
        Difference("e['cam.1']", 1, 2),
        Difference("e.cam-2", ABSENT, 1),
        Difference("f", [{"b": 1}], []),
    ]


def test_what_is_shown_says_whose_it_is(reached) -> None:
    """With its version, as a comment; JSON has the same keys."""
    shown = run("show")
    assert shown.startswith("# shapes, policy version 1\n")
    assert yaml.safe_load(shown) == json.loads(run("show", "--json"))
    assert {**yaml.safe_load(shown), "version": 1} == policy_of(reached)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("threshold: 0.25", ["threshold 0 → 0.25: fewer predictions go to people"]),
        ("audit_rate: 0", ["audit_rate 0.02 → 0: no audits, so what passes is measured no more"]),
        ("audit_rate: 0.1", ["audit_rate 0.02 → 0.1: more audits of what passes"]),
        ("audit_rates: {by_risk: [[0.2, 0.5]]}", ["audit_rates: audits are drawn from other predictions"]),
        ("guarantee: {promises: [{alpha: 0.2}]}", ["guarantee.promises: with a promise, what keeps it decides"]),
    ],
)
def test_what_goes_to_people_is_said_before_it_changes(reached, monkeypatch, written: str, words: list[str]) -> None:
    """A terminal asks, and whoever says no has changed nothing; --yes and a pipe are not asked."""
    monkeypatch.setattr("loop.cli.policies.can_ask", lambda: True)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(written)
        file.flush()
        result = CliRunner().invoke(app, ["policy", "set", file.name, "-p", "shapes"], input="n\n")
        assert result.exit_code == 1 and all(word in result.stdout for word in words)
        assert changes_of(reached) == []
        assert "policy version 2" in run("set", file.name, "--yes")


def test_what_goes_to_people_as_before_is_not_asked_about(reached, monkeypatch) -> None:
    monkeypatch.setattr("loop.cli.policies.can_ask", lambda: True)
    assert "goes to people" not in run("set", "-", typed="workflow: {qa: lots}")
    assert policy_of(reached)["workflow"]["qa"] == "lots"


def test_a_lower_threshold_sends_more_to_people(reached) -> None:
    """At 0 all of them."""
    run("set", "-", typed="threshold: 0.5")
    assert "threshold 0.5 → 0.25: more predictions" in run("set", "-", typed="threshold: 0.25")
    assert "threshold 0.25 → 0: every prediction goes to people" in run("set", "-", typed="threshold: 0")
