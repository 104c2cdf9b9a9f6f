"""Reads the files and the variables, and reports whatever cannot be used."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loop.domain.errors import SettingsError
from loop.settings.messages import expected, nearest_of, shown
from loop.settings.whole import KEYS, SECTIONS, Settings

DEFAULTS = Path(__file__).resolve().parents[2] / "configs" / "default.yaml"
USER_FILE = "askance.yaml"
PREFIX = "ASKANCE_"
DELIMITER = "__"

# libyaml's takes a tenth of the time, which each process that starts spends.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Variables with our prefix that are no settings, and what they are for.
OTHER_VARIABLES: Mapping[str, str] = {
    "ASKANCE_CONFIG": "the settings file, in place of ./askance.yaml",
    "ASKANCE_TOKEN": "the token that the command line and the client send",
    "ASKANCE_URL": "the service that the command line and the client talk to",
    "ASKANCE_REQUIRE_ALL": "1: tests fail rather than skip where something is missing",
    "ASKANCE_TEST_DATA": "where tests look for real data sets",
}


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings once, at start-up.

    path: the user's file; None: the one that ASKANCE_CONFIG names, else ./askance.yaml where it exists.
    environ: None for the environment of the process. An empty variable counts as not set; `null` is null.
    Raises SettingsError, which lists every problem.
    """
    variables = os.environ if environ is None else environ
    merged = _Merged()
    merged.add_file(DEFAULTS, "configs/default.yaml")
    if (file := _user_file(path, variables)) is not None:
        merged.add_file(file, str(file))
    merged.add_variables(variables)
    settings = merged.validated()
    if settings is None or merged.problems:
        raise _error(merged.problems)
    return settings


def _user_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environ.get("ASKANCE_CONFIG"):
        return Path(named)
    return Path(USER_FILE) if Path(USER_FILE).exists() else None


@dataclass(slots=True)
class _Merged:
    """The last value given for each dotted key, where it came from, and all that was wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add_file(self, path: Path, name: str) -> None:
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
        except OSError as error:
            self.problems.append(f"the settings file {name} cannot be read: {error.strerror or error}")
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            self.problems.append(f"the settings file {name} is not YAML: {_yaml_problem(error)}")
        else:
            self._add_node(root, "", name)

    def _add_node(self, node: yaml.Node | None, prefix: str, name: str) -> None:
        """Take the keys of the file, or of one section (`prefix` ends with a dot). Empty ones say nothing."""
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return
        if not isinstance(node, yaml.MappingNode):
            what = prefix.rstrip(".") or "the file"
            self.problems.append(f"{what} ({_at(name, node)}) must hold keys with values, one a line")
            return
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = prefix + (key_node.value if isinstance(key_node, yaml.ScalarNode) else "?")
            if key in seen:
                self.problems.append(f"{key} stands twice ({_at(name, key_node)}); keep one")
            seen.add(key)
            self._add_key(key, value_node, name, _at(name, key_node))

    def _add_key(self, key: str, node: yaml.Node, name: str, source: str) -> None:
        if key in SECTIONS:
            self._add_node(node, f"{key}.", name)
        elif key in KEYS:
            try:
                self._put(key, _scalar(node), source)
            except (yaml.YAMLError, ValueError) as error:
                self.problems.append(f"{key} ({source}) cannot be read: {_yaml_problem(error)}")
        else:
            self.problems.append(f"unknown setting {key} ({source}); did you mean {nearest_of(key, KEYS)}?")

    def add_variables(self, environ: Mapping[str, str]) -> None:
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
                continue
            key = variable.removeprefix(PREFIX).lower().replace(DELIMITER, ".")
            text = environ[variable]
            if variable != _variable(key) or key not in KEYS:
                self.problems.append(_unknown_variable(variable, key))
            elif text:
                self._put(key, None if text == "null" else text, f"variable {variable}")

    def _put(self, key: str, value: object, source: str) -> None:
        self.values[key] = value
        self.sources[key] = source

    def validated(self) -> Settings | None:
        """The settings, or None and what is wrong with the values."""
        tree: dict[str, Any] = {section: {} for section in SECTIONS}
        for key, value in self.values.items():
            section, _, name = key.rpartition(".")
            (tree[section] if section else tree)[name] = value
        try:
            return Settings(**tree)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                self.problems.extend(self._explained(details))
            return None

    def _explained(self, details: ErrorDetails) -> Iterator[str]:
        if details["type"] == "contradiction":
            for keys, rule in details["ctx"]["found"]:
                given = " and ".join(f"{key} is {shown(self.values[key])} ({self.sources[key]})" for key in keys)
                yield f"{given}; {rule}"
            return
        key = ".".join(str(part) for part in details["loc"][:2])
        if details["type"] == "missing":
            yield f"{key} is missing from configs/default.yaml; install Askance again"
            return
        yield f"{key} is {shown(self.values[key])} ({self.sources[key]}); expected {expected(details['msg'])}"


def _error(problems: list[str]) -> SettingsError:
    several = "\n  - ".join([f"{len(problems)} settings are wrong:", *problems]) + "\n"
    return SettingsError(
        f"{problems[0]}." if len(problems) == 1 else several,
        hint="configs/default.yaml lists every key with its unit and its default.",
        problems=problems,
    )


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", DELIMITER)


def _unknown_variable(variable: str, key: str) -> str:
    nearest = nearest_of(key, [*KEYS, *(other.removeprefix(PREFIX).lower() for other in OTHER_VARIABLES)])
    meant = f"{_variable(nearest)} ({nearest})" if nearest in KEYS else _variable(nearest)
    return f"unknown setting {key} (variable {variable}); did you mean {meant}?"


def _scalar(node: yaml.Node) -> object:
    """The value of a node. Raises ValueError for a list or a mapping: no setting is one."""
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("it must be a single value")
    return yaml.constructor.SafeConstructor().construct_object(node)


def _at(name: str, node: yaml.Node) -> str:
    return f"{name}:{node.start_mark.line + 1}"


def _yaml_problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).splitlines()[0]
