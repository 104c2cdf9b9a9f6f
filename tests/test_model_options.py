"""Serving options that a model may have of its own: what is accepted, how it is typed, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import SettingsError
from loop.settings import MODEL_OPTIONS, ServingSettings, changed_options, load_settings, serving_of, without_effect

SETTINGS = load_settings(environ={})
SHARING = load_settings(environ={"ASKANCE_SERVING__SHARED_REPLICAS": "2"})
OF_PROCESSES = {
    "detector_replicas": 3,
    "min_replicas": 2,
    "max_replicas": 4,
    "num_cpus": 2.0,
    "num_gpus": 1.0,
    "max_ongoing_requests": 8,
    "drain_seconds": 5.0,
}


def test_a_model_without_options_is_served_as_the_settings_say():
    """No options, no difference."""
    assert serving_of(SETTINGS, {}) == SETTINGS.serving


@pytest.mark.parametrize("key", [key for key in MODEL_OPTIONS if getattr(SETTINGS.serving, key) is not None])
def test_any_option_may_repeat_the_setting(key):
    """Each is known and takes the value that the settings give it, as text too; nothing else changes."""
    value = getattr(SETTINGS.serving, key)
    for given_as in (value, str(value)):
        assert serving_of(SETTINGS, {key: given_as}) == SETTINGS.serving
        assert changed_options(SETTINGS, {}, {key: given_as}) == {key: value}


def test_options_stand_over_the_settings_for_one_model():
    """Only what is named differs, and the settings stay as they are."""
    serving = serving_of(SETTINGS, {"detector_replicas": 3, "device": "cuda:1"})
    assert (serving.detector_replicas, serving.device) == (3, "cuda:1")
    assert serving.model_dump(exclude={"detector_replicas", "device"}) == SETTINGS.serving.model_dump(
        exclude={"detector_replicas", "device"}
    )
    assert SETTINGS.serving.device == "cpu"


@pytest.mark.parametrize("key", sorted(set(ServingSettings.model_fields) - set(MODEL_OPTIONS)))
def test_what_concerns_the_whole_service_is_no_option(key):
    """Gateways and the machine are not one model's."""
    with pytest.raises(SettingsError, match=f"unknown option {key}"):
        changed_options(SETTINGS, {}, {key: getattr(SETTINGS.serving, key)})


@given(key=st.sampled_from(MODEL_OPTIONS), at=st.integers(0, 30), letter=st.sampled_from("aeiou_x"))
def test_one_wrong_letter_leads_back_to_the_option(key, at, letter):
    """The option that is named differs from what was written in that letter (num_apus: num_cpus or num_gpus)."""
    at %= len(key)
    typo = key[:at] + letter + key[at + 1 :]
    if typo not in MODEL_OPTIONS:
        near = "|".join(option for option in MODEL_OPTIONS if _letters_apart(option, typo) == 1)
        with pytest.raises(SettingsError, match=f"did you mean ({near})"):
            changed_options(SETTINGS, {}, {typo: 1})


def _letters_apart(a: str, b: str) -> int:
    return abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b, strict=False))


def test_null_takes_an_option_back():
    """One that it has, one that it does not have, and one that only an older version of the service knew."""
    present = {"num_cpus": 2.0, "gone": 1}
    assert changed_options(SETTINGS, present, {"gone": None}) == {"num_cpus": 2.0}
    assert changed_options(SETTINGS, present, {"num_cpus": None, "gone": None, "device": None}) == {}
    with pytest.raises(SettingsError, match="unknown option gone"):
        changed_options(SETTINGS, {}, {"gone": None})


def test_options_are_judged_together():
    """More replicas at least than at most: each alone would pass, and both are named."""
    changed_options(SETTINGS, {}, {"min_replicas": 3, "max_replicas": 4})
    with pytest.raises(SettingsError, match=r"serving\.min_replicas and serving\.max_replicas"):
        changed_options(SETTINGS, {"min_replicas": 3}, {"max_replicas": 2})


def test_all_that_is_wrong_is_said_at_once():
    """Two values out of range are two problems."""
    with pytest.raises(SettingsError) as caught:
        changed_options(SETTINGS, {}, {"detector_replicas": 0, "score_floor": 2})
    assert len(caught.value.ids["problems"]) == 2


def test_a_model_has_times_and_threads_of_its_own():
    """How long its batches wait, how many threads decode for it, and in how many seconds it is to answer."""
    options = {"batch_wait_ms": "20", "decode_threads": "4", "timeout_s": "2.5"}
    typed = {"batch_wait_ms": 20.0, "decode_threads": 4, "timeout_s": 2.5}
    assert changed_options(SETTINGS, {}, options) == typed
    assert serving_of(SETTINGS, typed).model_dump(include=set(typed)) == typed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_wait_ms": 10_001}, "batch_wait_ms is 10001"),
        ({"decode_threads": 0}, "decode_threads is 0"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"timeout_s": 31}, "serving.timeout_s and limits.request_timeout_s"),
        ({"timeout_s": 0.5, "batch_wait_ms": 500}, "serving.batch_wait_ms and serving.timeout_s"),
    ],
)
def test_times_that_cannot_be_kept_are_refused(options, said):
    """Out of range, longer than a request may take, or over before a batch is there."""
    with pytest.raises(SettingsError, match=said):
        changed_options(SETTINGS, {}, options)


@pytest.mark.parametrize("key", OF_PROCESSES)
def test_where_models_share_processes_what_is_of_a_process_is_refused(key):
    """By name, with what to do; each model with processes of its own may have it."""
    assert changed_options(SETTINGS, {}, {key: OF_PROCESSES[key]}) == {key: OF_PROCESSES[key]}
    with pytest.raises(SettingsError, match=f"{key}: no option of one model here") as caught:
        changed_options(SHARING, {}, {key: OF_PROCESSES[key], "score_floor": 0.1})
    assert "serving.shared_replicas: 0" in caught.value.hint


@pytest.mark.parametrize("key", sorted(set(MODEL_OPTIONS) - set(OF_PROCESSES)))
def test_where_models_share_processes_every_other_option_holds(key):
    value = getattr(SHARING.serving, key)
    assert changed_options(SHARING, {}, {key: value}) == ({} if value is None else {key: value})
    assert without_effect(SHARING, {key: value}) == ()


def test_what_a_model_had_before_its_processes_were_shared_is_kept_without_effect():
    """Until it is taken back, or models have processes of their own again; nothing else of it is refused for it."""
    assert serving_of(SHARING, OF_PROCESSES | {"score_floor": 0.1}) == SHARING.serving.model_copy(
        update={"score_floor": 0.1}
    )
    assert set(without_effect(SHARING, OF_PROCESSES)) == set(OF_PROCESSES)
    assert without_effect(SETTINGS, OF_PROCESSES) == ()
    changed = changed_options(SHARING, OF_PROCESSES, {"score_floor": 0.1, "num_gpus": None})
    assert changed == {key: value for key, value in OF_PROCESSES.items() if key != "num_gpus"} | {"score_floor": 0.1}


def test_a_model_cannot_have_more_waiting_than_a_gateway_lets_in():
    """Refused when it is given: it would count for less than it says. One from before holds, as far as it does."""
    most = SETTINGS.serving.max_queued_requests
    assert changed_options(SETTINGS, {}, {"max_queued_requests": most}) == {"max_queued_requests": most}
    with pytest.raises(SettingsError, match=f"lets no more than {most} wait") as caught:
        changed_options(SETTINGS, {}, {"max_queued_requests": most + 1})
    assert "Raise serving.max_queued_requests" in caught.value.hint
    kept = changed_options(SETTINGS, {"max_queued_requests": most + 1}, {"batch_wait_ms": 20})
    assert kept == {"max_queued_requests": most + 1, "batch_wait_ms": 20.0}
