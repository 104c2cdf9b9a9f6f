"""Serving options that a model may have of its own: what is accepted, how it is typed, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import SettingsError
from loop.settings import MODEL_OPTIONS, ServingSettings, changed_options, load_settings, serving_of

SETTINGS = load_settings(environ={})


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
