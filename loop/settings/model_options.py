"""What a model may have of its own of the section serving."""

from collections.abc import Mapping

from pydantic import ValidationError

from loop.domain.errors import SettingsError
from loop.settings.messages import expected, nearest_of, shown
from loop.settings.serving import ServingSettings
from loop.settings.whole import Settings, contradictions

# What may differ from model to model; the rest concerns gateways or the whole machine.
_PER_MODEL = frozenset(
    {
        "detector_replicas",
        "min_replicas",
        "max_replicas",
        "num_cpus",
        "num_gpus",
        "device",
        "runtime",
        "precision",
        "max_batch_size",
        "batch_wait_ms",
        "max_ongoing_requests",
        "max_queued_requests",
        "score_floor",
        "consistency",
        "object_embeddings",
        "threads",
        "decode_threads",
        "timeout_s",
        "drain_seconds",
    }
)
# Of these a process has one value, whichever models it serves: where models share processes, that of the settings.
_OF_PROCESSES = frozenset(
    {
        "detector_replicas",
        "min_replicas",
        "max_replicas",
        "num_cpus",
        "num_gpus",
        "max_ongoing_requests",
        "drain_seconds",
    }
)
MODEL_OPTIONS: tuple[str, ...] = tuple(name for name in ServingSettings.model_fields if name in _PER_MODEL)


def serving_of(settings: Settings, overrides: Mapping[str, object]) -> ServingSettings:
    """The section serving as it holds for a model with these options of its own (`ModelVersion.serving`), but for
    those `without_effect`.

    Raises SettingsError, naming each option that is unknown, cannot be used, or contradicts another setting.
    """
    problems = [
        f"unknown option {key}; did you mean {nearest_of(key, MODEL_OPTIONS)}?"
        for key in overrides
        if key not in MODEL_OPTIONS
    ]
    if problems:
        raise _refused_options(problems)
    idle = without_effect(settings, overrides)
    effective = {key: value for key, value in overrides.items() if key not in idle}
    try:
        serving = ServingSettings.model_validate({**settings.serving.model_dump(), **effective})
    except ValidationError as error:
        raise _refused_options(_explained_options(error, effective)) from None
    clashes = list(contradictions(settings.model_copy(update={"serving": serving})))
    if clashes:
        raise _refused_options([f"{' and '.join(keys)} contradict each other: {rule}" for keys, rule in clashes])
    return serving


def without_effect(settings: Settings, overrides: Mapping[str, object]) -> tuple[str, ...]:
    """Those of a model's options that cannot hold for it, since it shares its processes with other models."""
    if not settings.serving.shared_replicas:
        return ()
    return tuple(key for key in MODEL_OPTIONS if key in overrides and key in _OF_PROCESSES)


def changed_options(
    settings: Settings, present: Mapping[str, object], changes: Mapping[str, object]
) -> dict[str, object]:
    """A model's options after `changes`; the value None takes an option back to the settings. Values come out as
    the settings type them ("2" as 2). Raises SettingsError as `serving_of` does, and for a new value without effect, or
    with less than it says."""
    wanted = {key: value for key, value in {**present, **changes}.items() if value is not None}
    # An option that an older version of the service knew can be taken back, a misspelt one is an error even so.
    unknown = [key for key in changes if key not in MODEL_OPTIONS and key not in present]
    typed = serving_of(settings, wanted | dict.fromkeys(unknown))
    idle = without_effect(settings, wanted)
    if refused := [key for key in idle if key in changes]:
        raise SettingsError(
            f"{', '.join(refused)}: no option of one model here, since models share their processes "
            f"(serving.shared_replicas is {settings.serving.shared_replicas}).",
            hint="Set it for all models in the section serving, or give each its own processes: "
            "serving.shared_replicas: 0.",
            problems=refused,
        )
    most = settings.serving.max_queued_requests
    if "max_queued_requests" in changes and typed.max_queued_requests > most:
        raise SettingsError(
            f"max_queued_requests is {typed.max_queued_requests}, and a gateway lets no more than {most} wait, for all "
            "models together.",
            hint="Raise serving.max_queued_requests, or give a model a share of it.",
            problems=["max_queued_requests"],
        )
    return {key: wanted[key] if key in idle else getattr(typed, key) for key in wanted}


def _explained_options(error: ValidationError, overrides: Mapping[str, object]) -> list[str]:
    return [
        f"{key} is {shown(overrides.get(key))}; expected {expected(details['msg'])}"
        for details in error.errors(include_url=False)
        for key in [".".join(map(str, details["loc"])) or "the options"]
    ]


def _refused_options(problems: list[str]) -> SettingsError:
    return SettingsError(
        f"{'; '.join(problems)}.".replace("?.", "?"),
        hint=f"A model may have of its own: {', '.join(MODEL_OPTIONS)}.",
        problems=problems,
    )
