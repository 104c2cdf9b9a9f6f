"""What a single value may be, and the section that holds several."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from loop.domain.model import TORCHVISION_BUILDERS

_LONGEST_PAUSE_S = 7 * 86_400


def _no_bool(value: object) -> object:
    # YAML's `yes` and `on` are booleans, which Python takes for the numbers 1 and 0.
    if isinstance(value, bool):
        raise PydanticCustomError("number_expected", "Input should be a number")
    return value


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise PydanticCustomError("home", "Input should be a path whose ~ names a home folder") from error


def _plain_folder(path: Path) -> Path:
    # The path becomes part of SQLite URLs, where these begin a query, a fragment or an escape.
    if set("?#%") & set(str(path)) or not str(path).isprintable():
        raise PydanticCustomError("plain_folder", "Input should be a path without ?, # and %")
    return path


def _database_url(url: str) -> str:
    """`url` with the driver that is installed."""
    if re.match(r"sqlite(\+pysqlite)?://", url) or url.startswith("postgresql+psycopg://"):
        return url
    if match := re.match(r"postgres(ql)?://", url):
        return "postgresql+psycopg://" + url[match.end() :]
    raise PydanticCustomError("database_url", "Input should be a URL that starts with sqlite:/// or postgresql://")


def _location(url: str) -> str:
    return url if "://" in url else str(_absolute(Path(url)))


def _ray_address(address: str) -> str:
    # ray:// is Ray Client, a proxy through which nothing that is asked of Ray Serve here would go.
    if address == "auto" or re.fullmatch(r"[^\s/]+:\d+", address):
        return address
    raise PydanticCustomError("ray_address", "Input should be auto, or HOST:PORT of a Ray head")


def _prefixes(text: object) -> object:
    """Comma-separated folders and URL prefixes."""
    if text is None:
        return ()
    if not isinstance(text, str):
        return text
    prefixes = tuple(prefix.strip() for prefix in text.split(",") if prefix.strip())
    if not all(Path(prefix).is_absolute() or "://" in prefix for prefix in prefixes) or "::" in text:
        raise PydanticCustomError("prefixes", "Input should be absolute folders and URL prefixes, comma-separated")
    return prefixes


def _architecture(name: str) -> str:
    if name in TORCHVISION_BUILDERS or re.fullmatch(r"\S.*\.yaml", name):
        return name
    known = ", ".join(TORCHVISION_BUILDERS)
    raise PydanticCustomError("architecture", f"Input should be an ultralytics model file (.yaml) or one of: {known}")


def _pauses(text: object) -> object:
    """Comma-separated seconds."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        return text
    try:
        pauses = tuple(float(part) for part in text.split(","))
    except ValueError:
        pauses = ()
    if not 1 <= len(pauses) <= 20 or not all(0 < pause <= _LONGEST_PAUSE_S for pause in pauses):
        raise PydanticCustomError("pauses", "Input should be 1 to 20 numbers of seconds up to a week, comma-separated")
    return pauses


Number = BeforeValidator(_no_bool)
Positive = Annotated[int, Number, Field(ge=1)]
NotNegative = Annotated[int, Number, Field(ge=0)]
Amount = Annotated[float, Number, Field(ge=0)]
Seconds = Annotated[float, Number, Field(gt=0, le=86_400)]
Share = Annotated[float, Number, Field(ge=0, le=1)]
Inside = Annotated[float, Number, Field(gt=0, lt=1)]
Seed = Annotated[int, Number, Field(ge=0, lt=2**32)]
Folder = Annotated[Path, AfterValidator(_plain_folder), AfterValidator(_absolute)]
Location = Annotated[str, Field(min_length=1), AfterValidator(_location)]
Device = Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
RayAddress = Annotated[str, AfterValidator(_ray_address)]
Architecture = Annotated[str, AfterValidator(_architecture)]
Prefixes = Annotated[tuple[str, ...], BeforeValidator(_prefixes)]
Pauses = Annotated[tuple[float, ...], BeforeValidator(_pauses)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
