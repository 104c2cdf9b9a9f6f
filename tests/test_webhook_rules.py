"""The rules of webhooks: what is announced, when it is sent again, where it may go."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.announcements import EVENT_TYPES, MAX_BODY_BYTES, announcement, body_of
from loop.domain.errors import Conflict, Invalid
from loop.domain.outgoing.addresses import is_public
from loop.domain.outgoing.webhooks import (
    Answer,
    Delivery,
    DeliveryState,
    Endpoint,
    after_answers,
    checked_types,
    checked_url,
    disabled,
    enabled,
    replayed,
    rotated,
    secret_from,
    settled,
    valid_secrets,
    wants,
)
from loop.settings import load_settings

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PAUSES = load_settings(environ={}).webhooks.retries_s
ENDPOINT = Endpoint(
    id="hook_1",
    project_id="street",
    url="https://example.org/hook",
    types=(),
    description="",
    secrets=(secret_from(bytes(32)),),
    created_by="ada",
    created_at=NOW,
)
DELIVERY = Delivery(
    endpoint_id="hook_1", message_id="msg_1", type="task.created", body="{}", created_at=NOW, due_at=NOW, epoch=3
)
OK = Answer(status=204, error="", milliseconds=1.0)
BAD = Answer(status=500, error="It answered 500.", milliseconds=1.0)
GONE = Answer(status=410, error="It answered 410.", milliseconds=1.0)


def later(**time: float) -> datetime:
    return NOW + timedelta(**time)


# --- what is announced -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "type_"),
    [
        ("task.submitted", {"prediction_id": "pred_1"}, "prediction.reviewed"),
        ("task.submitted", {"prediction_id": None}, None),
        ("task.skipped", {}, "task.skipped"),
        ("model.promoted", {"kind": "gate"}, "model.promoted"),
        ("model.promoted", {"kind": "rollback"}, "model.rolled_back"),
        ("cycle.finished", {}, "cycle.finished"),
        ("prediction.routed", {}, None),
        ("cycle.queued", {}, None),
        ("", {}, None),
    ],
)
def test_the_history_becomes_the_types_that_are_documented(
    kind: str, body: dict[str, object], type_: str | None
) -> None:
    """Each announcement has exactly the fields of its type; what has no type stays in the history."""
    example = EVENT_TYPES[type_].example if type_ else {}
    told = announcement(kind, "ada", {**example, "reasons": ["audit-lot"], **body})
    assert (told.type if told else None) == type_
    if told:
        assert list(told.data) == list(example)
        assert "actor" not in example or told.data["actor"] == "ada"


def test_no_type_tells_an_audit_from_a_risky_prediction() -> None:
    """What goes out may be read by reviewers, who must not know."""
    for known in EVENT_TYPES.values():
        assert not {"risk", "stage", "reasons", "audit", "priority"} & set(known.example)


@given(
    texts=st.lists(st.text(max_size=5_000), min_size=5, max_size=5),
    kind=st.sampled_from(sorted(EVENT_TYPES)),
)
def test_a_body_is_small_json_whatever_it_tells(texts: list[str], kind: str) -> None:
    """Texts are cut; the rest is there as it was."""
    data = {
        name: texts.pop() if isinstance(value, str) and texts else value
        for name, value in EVENT_TYPES[kind].example.items()
    }
    body = body_of(kind, NOW, "p" * 63, data)
    assert len(body.encode()) < MAX_BODY_BYTES
    read = json.loads(body)
    assert (read["type"], read["version"], read["timestamp"]) == (kind, 1, "2026-05-01T12:00:00Z")
    for name, value in data.items():
        assert read["data"][name] == value or (len(str(value)) > 300 and value.startswith(read["data"][name][:-1]))


def test_events_of_the_whole_installation_have_no_project() -> None:
    assert json.loads(body_of("webhook.disabled", NOW, "", {}))["project_id"] is None


def test_an_endpoint_gets_what_it_asked_for() -> None:
    everything, all_projects = ENDPOINT, replace(ENDPOINT, project_id=None)
    picky = replace(ENDPOINT, types=("cycle.finished",))
    assert wants(everything, "task.created", "street")
    assert not wants(everything, "task.created", "other") and not wants(everything, "webhook.disabled", "")
    assert wants(all_projects, "task.created", "other") and wants(all_projects, "webhook.disabled", "")
    assert wants(picky, "cycle.finished", "street") and not wants(picky, "task.created", "street")
    assert not wants(disabled(all_projects, "why"), "task.created", "other")


def test_unknown_types_are_refused_with_those_that_are_known() -> None:
    assert checked_types(["task.created", "cycle.finished", "task.created"]) == ("task.created", "cycle.finished")
    with pytest.raises(Invalid, match=r"drift\.imagined.*prediction\.reviewed"):
        checked_types(["drift.imagined"])


# --- when it is sent again ---------------------------------------------------------------------------


@given(jitters=st.lists(st.floats(0, 1, exclude_max=True), min_size=10, max_size=10))
def test_a_message_is_tried_ten_times_over_days(jitters: list[float]) -> None:
    """Each pause is between half and one and a half of the schedule's; in the middle all of them are three days."""
    delivery, now = DELIVERY, NOW
    for number, jitter in enumerate(jitters, start=1):
        before = now
        delivery = settled(delivery, BAD, now, PAUSES, jitter)
        assert (delivery.attempts, delivery.failures, delivery.error) == (number, number, BAD.error)
        if number < 10:
            assert delivery.state is DeliveryState.PENDING
            now = delivery.due_at
            assert 0.5 <= (now - before).total_seconds() / PAUSES[number - 1] <= 1.5
    assert delivery.state is DeliveryState.DEAD
    assert timedelta(seconds=sum(PAUSES)) == timedelta(hours=75, minutes=35, seconds=5)


def test_success_ends_a_delivery_and_410_kills_it() -> None:
    claimed = replace(DELIVERY, claimed_until=later(seconds=60))
    done = settled(claimed, OK, NOW, PAUSES, 0.0)
    assert (done.state, done.finished_at, done.claimed_until, done.error) == (DeliveryState.DELIVERED, NOW, None, "")
    gone = settled(claimed, GONE, NOW, PAUSES, 0.0)
    assert (gone.state, gone.attempts, gone.claimed_until) == (DeliveryState.DEAD, 1, None)


def test_a_receiver_may_ask_for_a_later_retry_but_not_for_ever() -> None:
    """Retry-After counts up to the longest pause."""
    patient = replace(BAD, status=429, retry_after_s=600.0)
    assert settled(DELIVERY, patient, NOW, PAUSES, 0.0).due_at == later(seconds=600)
    endless = replace(BAD, status=503, retry_after_s=1e9)
    assert settled(DELIVERY, endless, NOW, PAUSES, 0.0).due_at == later(days=1)
    hasty = replace(BAD, status=503, retry_after_s=0.0)
    assert settled(DELIVERY, hasty, NOW, PAUSES, 0.5).due_at == later(seconds=5)


def test_a_replay_begins_anew_under_the_same_id() -> None:
    dead = settled(replace(DELIVERY, failures=9, attempts=9), BAD, NOW, PAUSES, 0.0)
    again = replayed(dead, later(days=9))
    assert (again.state, again.failures, again.attempts) == (DeliveryState.PENDING, 0, 10)
    assert (again.due_at, again.message_id, again.epoch) == (later(days=9), dead.message_id, dead.epoch + 1)
    with pytest.raises(Conflict):
        replayed(replace(DELIVERY, claimed_until=later(seconds=1)), NOW)
    assert replayed(replace(DELIVERY, claimed_until=NOW), NOW).claimed_until is None


FIVE_DAYS = timedelta(days=5)
DEAD = settled(replace(DELIVERY, failures=9), BAD, NOW, PAUSES, 0.0)


def test_an_endpoint_is_given_up_only_after_days_without_any_success() -> None:
    """And only when a message has had all its tries: one failure after a quiet month does not do it."""
    failing = after_answers(ENDPOINT, [(DELIVERY, BAD)], NOW, FIVE_DAYS)
    assert failing.failing_since == NOW
    assert after_answers(failing, [(DELIVERY, BAD)], later(days=30), FIVE_DAYS).enabled
    assert after_answers(failing, [(DEAD, BAD)], later(days=4), FIVE_DAYS).enabled
    ended = after_answers(failing, [(DEAD, BAD)], later(days=5), FIVE_DAYS)
    assert not ended.enabled and "2026-05-01 12:00" in ended.why_disabled and "500" in ended.why_disabled
    assert after_answers(failing, [(DELIVERY, OK), (DEAD, BAD)], later(days=30), FIVE_DAYS).enabled
    assert after_answers(failing, [(DELIVERY, OK)], NOW, FIVE_DAYS).failing_since is None
    assert enabled(ended) == ENDPOINT


def test_an_endpoint_that_failed_in_the_future_is_given_up_by_the_clock_of_now() -> None:
    """A clock that was ahead does not keep it enabled until it has come to where it was."""
    ahead = replace(ENDPOINT, failing_since=later(days=400))
    known = after_answers(ahead, [(DELIVERY, BAD)], NOW, FIVE_DAYS)
    assert known.failing_since == NOW
    assert not after_answers(known, [(DEAD, BAD)], later(days=5), FIVE_DAYS).enabled


def test_410_disables_an_endpoint_at_once() -> None:
    assert not after_answers(ENDPOINT, [(DELIVERY, GONE)], NOW, FIVE_DAYS).enabled


# --- secrets -------------------------------------------------------------------------------------------


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day() -> None:
    second = secret_from(b"2" * 32)
    turned = rotated(ENDPOINT, second, NOW)
    old = ENDPOINT.secrets[0].value
    assert [secret.value for secret in valid_secrets(turned, later(hours=23.9))] == [second.value, old]
    assert [secret.value for secret in valid_secrets(turned, later(hours=24))] == [second.value]
    third = rotated(turned, secret_from(b"3" * 32), later(hours=1))
    assert [secret.until for secret in third.secrets] == [None, later(hours=25), later(hours=24)]
    assert len(rotated(turned, second, later(hours=48)).secrets) == 2


def test_no_valid_secret_is_dropped_by_rotating_often() -> None:
    turned = ENDPOINT
    for number in range(4):
        turned = rotated(turned, secret_from(bytes([number]) * 32), NOW)
    with pytest.raises(Conflict, match="5 secrets"):
        rotated(turned, secret_from(b"x" * 32), NOW)


def test_a_secret_is_as_long_as_the_standard_asks_and_never_shown() -> None:
    secret = secret_from(bytes(range(32)))
    assert base64.b64decode(secret.value.removeprefix("whsec_")) == bytes(range(32))
    assert secret.value not in repr(replace(ENDPOINT, secrets=(secret,)))


# --- where it may go ---------------------------------------------------------------------------------

INSIDE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:1::1",
    "2001:db8::1",
    "name",
    "300.1.1.1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not_public(address: str) -> None:
    """Also those that hide in IPv6, and those of a cloud's metadata."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_other_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/hook",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///hook",
        "https://user:password@example.org/",
        "https://example.org/#part",
        "https://example.org:port/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://exam ple.org/",
        "https://example.org/\n",
        "https://example.org/" + "a" * 2_000,
        "http://example.org/",
        "https://localhost/",
        "https://api.localhost./",
        "https://127.0.0.1:8000/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_url_that_may_not_be_posted_to_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked_url(url, allow_private=False)
    assert caught.value.hint


def test_a_developer_may_post_to_this_machine() -> None:
    for url in ("http://localhost:9000/hook", "https://10.0.0.1/", "http://[::1]:9000/"):
        assert checked_url(url, allow_private=True) == url
        with pytest.raises(Invalid, match=r"webhooks\.allow_private"):
            checked_url(url, allow_private=False)
    assert checked_url("https://example.org:8443/hook?a=b", allow_private=False)
