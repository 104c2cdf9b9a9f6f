"""Sections about the installation: where it listens and keeps things, its limits, the programs it talks to."""

from typing import Annotated

from pydantic import Field, SecretStr

from loop.settings.values import Amount, DatabaseUrl, Location, Number, Pauses, Positive, Seconds, Section, Word

# Pillow warns of a decompression bomb above this; our own cap must come first.
_PILLOW_BOMB_PIXELS = 89_478_485


class ServerSettings(Section):
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Number, Field(ge=1, le=65_535)]


class DatabaseSettings(Section):
    url: DatabaseUrl | None = Field(repr=False)  # it may hold a password


class BlobSettings(Section):
    url: Location | None


class MlflowSettings(Section):
    tracking_uri: Annotated[str, Field(min_length=1)] | None = Field(repr=False)
    artifact_root: Location | None
    prefix: Word
    required: bool


class LimitSettings(Section):
    max_image_bytes: Positive
    max_model_bytes: Positive
    max_video_bytes: Positive
    max_archive_bytes: Positive
    max_unpacked_bytes: Positive
    max_image_pixels: Annotated[int, Number, Field(ge=1, le=_PILLOW_BOMB_PIXELS)]
    request_timeout_s: Seconds
    max_waiting_bytes: Positive
    requests_per_second: Annotated[float, Number, Field(gt=0)] | None
    burst: Positive
    max_waiting_calls: Annotated[int, Number, Field(ge=1, le=8000)]


class WebhookSettings(Section):
    allow_private: bool
    timeout_s: Annotated[float, Number, Field(gt=0, le=60)]
    retries_s: Pauses
    at_once: Annotated[int, Number, Field(ge=1, le=64)]
    disable_after_days: Annotated[float, Number, Field(gt=0, le=365)]
    keep_delivered_days: Annotated[float, Number, Field(gt=0, le=3650)]
    keep_dead_days: Annotated[float, Number, Field(gt=0, le=3650)]


class LabelStudioSettings(Section):
    url: str
    token: SecretStr
    allow_private: bool
    timeout_s: Annotated[float, Number, Field(gt=0, le=600)]
    hold_days: Annotated[float, Number, Field(gt=0, le=3650)]


class FunctionSettings(Section):
    button_seconds: Annotated[float, Number, Field(gt=0, le=120)]
    seconds: Annotated[float, Number, Field(gt=0, le=3600)]
    start_seconds: Annotated[float, Number, Field(gt=0, le=600)]
    retries_s: Pauses
    at_once: Annotated[int, Number, Field(ge=1, le=64)]
    num_cpus: Amount
    keep_days: Annotated[float, Number, Field(gt=0, le=3650)]
