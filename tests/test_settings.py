"""The settings: one loader, one place for defaults, and errors that say what to change."""

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from loop.domain.errors import SettingsError
from loop.domain.routing import Durability, Policy, Retain
from loop.settings import DEFAULTS, KEYS, OTHER_VARIABLES, Settings, load_settings

UserFile = Callable[[str], Path]


@pytest.fixture
def user_file(tmp_path: Path) -> UserFile:
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(path: Path | None = None, environ: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What the loader says is wrong, one entry a problem."""
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ)
    assert caught.value.hint
    assert "Traceback" not in str(caught.value)
    found = caught.value.ids["problems"]
    assert isinstance(found, list)
    assert all(problem in str(caught.value) for problem in found)
    return found


# --- the file of defaults ------------------------------------------------------------------------


def test_defaults_name_every_setting_and_nothing_else() -> None:
    """configs/default.yaml holds exactly the keys of the typed model."""
    tree = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    named = {
        f"{name}.{inner}" if inner else name
        for name, value in tree.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert named == set(KEYS)


def test_defaults_stand_in_one_place() -> None:
    """The typed model repeats no default: every field of it is required."""
    kinds = [Settings, *(info.annotation for info in Settings.model_fields.values())]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    optional = [
        f"{model.__name__}.{name}"
        for model in models
        for name, info in model.model_fields.items()
        if not info.is_required()
    ]
    assert len(models) > 1
    assert optional == []


def documented(text: str) -> dict[str, str]:
    """Each leaf key of a settings file and the comment that stands right above it."""
    found: dict[str, str] = {}
    section, comment = "", ""
    for line in text.splitlines():
        if match := re.match(r"\s*# ?(.*)", line):
            comment = f"{comment} {match[1]}".strip()
            continue
        if match := re.match(r"(\s*)(\w+):(.*)", line):
            indent, name, value = match.groups()
            section = section if indent else name
            if value.strip():
                found[f"{section}.{name}" if indent else name] = comment
        comment = ""
    return found


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_is_documented(key: str) -> None:
    """Right above each key stands a comment: its unit in brackets, and the reason for its value."""
    comment = documented(DEFAULTS.read_text(encoding="utf-8")).get(key, "")
    assert re.match(r"\[[^\]]+\] \S.{30,}", comment), f"{key} is documented by {comment!r}"


def test_an_undocumented_setting_is_noticed() -> None:
    """The check above fails for a key without a comment of its own."""
    text = "# A section.\nserver:\n  # [TCP port] Where the API and the page answer.\n  port: 1\n  host: a\n"
    assert documented(text)["server.host"] == ""
    assert documented(text)["server.port"].startswith("[TCP port]")


# --- what wins -----------------------------------------------------------------------------------


def test_defaults_load_alone() -> None:
    """Without a file and without variables the defaults are the settings."""
    loaded = load_settings(environ={})
    assert (loaded.server.host, loaded.server.port) == ("127.0.0.1", 8000)
    assert loaded.limits.max_image_pixels == 40_000_000
    assert loaded.training.image_size is None


def test_variable_wins_over_file_wins_over_default(user_file: UserFile) -> None:
    """A variable overrides the user's file, the file overrides the defaults, key by key."""
    path = user_file("server:\n  port: 8100\n  host: 0.0.0.0\n")
    loaded = load_settings(path, {"ASKANCE_SERVER__PORT": "8200"})
    assert loaded.server.port == 8200
    assert loaded.server.host == "0.0.0.0"
    assert loaded.serving.max_batch_size == 8


def test_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    """./askance.yaml is the user's file where none is named."""
    (tmp_path / "askance.yaml").write_text("server: {port: 8300}\n")
    assert load_settings(environ={}).server.port == 8300


def test_named_file_replaces_the_one_in_the_working_directory(tmp_path: Path, user_file: UserFile) -> None:
    """ASKANCE_CONFIG replaces ./askance.yaml, an explicit path replaces both."""
    (tmp_path / "askance.yaml").write_text("server: {port: 8300, host: ::1}\n")
    named = user_file("server: {port: 8400}\n")
    explicit = tmp_path / "explicit.yaml"
    explicit.write_text("server: {port: 8500}\n")
    environ = {"ASKANCE_CONFIG": str(named)}
    assert load_settings(environ=environ).server.port == 8400
    assert load_settings(environ=environ).server.host == "127.0.0.1"
    assert load_settings(explicit, environ).server.port == 8500


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "server:\n", "server:\n  # port: 1\nlimits: {}\n"])
def test_empty_files_and_sections_change_nothing(user_file: UserFile, text: str) -> None:
    """A file or section with everything commented out is no error."""
    assert load_settings(user_file(text), {}) == load_settings(environ={})


def test_empty_variable_counts_as_not_set() -> None:
    """ASKANCE_SERVER__PORT= leaves the port as it is."""
    assert load_settings(environ={"ASKANCE_SERVER__PORT": ""}).server.port == 8000


def test_null_variable_takes_back_what_the_file_set(user_file: UserFile) -> None:
    """`null` in a variable means the derived value, as in YAML."""
    path = user_file("training: {image_size: 320}\n")
    assert load_settings(path, {}).training.image_size == 320
    assert load_settings(path, {"ASKANCE_TRAINING__IMAGE_SIZE": "null"}).training.image_size is None


def test_known_variables_that_are_no_settings_pass() -> None:
    """The token, the service's address and the test switches are not settings."""
    environ = {name: "x" for name in OTHER_VARIABLES if name != "ASKANCE_CONFIG"}
    assert load_settings(environ=environ) == load_settings(environ={})


def test_other_peoples_variables_are_left_alone() -> None:
    """Only names that begin with ASKANCE_ are read."""
    environ = {"PORT": "1", "SERVER__PORT": "2", "XASKANCE_SERVER__PORT": "3"}
    assert load_settings(environ=environ).server.port == 8000


def test_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `environ` the process's own variables count."""
    monkeypatch.setenv("ASKANCE_SERVER__PORT", "8765")
    assert load_settings().server.port == 8765


# --- what the settings give ------------------------------------------------------------------------


def test_state_lies_under_data_dir(tmp_path: Path) -> None:
    """Database, blobs, runs and artifacts derive from data_dir, which is made absolute."""
    loaded = load_settings(environ={"ASKANCE_DATA_DIR": "state"})
    assert loaded.data_dir == tmp_path / "state"
    assert loaded.database_url == f"sqlite:///{tmp_path}/state/askance.db"
    assert loaded.blobs_url == f"{tmp_path}/state/blobs"
    assert loaded.mlflow_tracking_uri == f"sqlite:///{tmp_path}/state/mlflow.db"
    assert loaded.mlflow_artifact_root == f"{tmp_path}/state/mlflow-artifacts"


def test_given_places_replace_the_derived_ones(tmp_path: Path) -> None:
    """A URL is taken as it is, a folder is made absolute."""
    loaded = load_settings(
        environ={
            "ASKANCE_DATABASE__URL": "postgresql+psycopg://u:p@h/d",
            "ASKANCE_BLOBS__URL": "s3://bucket/askance",
            "ASKANCE_MLFLOW__TRACKING_URI": "http://localhost:5000",
            "ASKANCE_MLFLOW__ARTIFACT_ROOT": "artifacts",
        }
    )
    assert loaded.database_url == "postgresql+psycopg://u:p@h/d"
    assert loaded.blobs_url == "s3://bucket/askance"
    assert loaded.mlflow_tracking_uri == "http://localhost:5000"
    assert loaded.mlflow_artifact_root == f"{tmp_path}/artifacts"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_urls_name_the_installed_driver(scheme: str) -> None:
    """The short forms that people paste lead to psycopg."""
    loaded = load_settings(environ={"ASKANCE_DATABASE__URL": f"{scheme}://u@h/d"})
    assert loaded.database_url == "postgresql+psycopg://u@h/d"


def test_new_projects_get_the_policy() -> None:
    """settings.policy becomes the first version of a project's policy."""
    loaded = load_settings(environ={"ASKANCE_POLICY__AUDIT_RATE": "0.1"})
    assert loaded.policy.as_policy() == Policy(
        version=1, threshold=0.5, audit_rate=0.1, score_threshold=0.25, failure_iou=0.5, lease_seconds=120,
        retain=Retain.ALL, retain_rate=0.1, durability=Durability.BEFORE_ANSWER,
    )  # fmt: skip


def test_retries_are_one_pause_or_several(user_file: UserFile) -> None:
    """A number stands for itself; spaces do no harm."""
    assert load_settings(user_file("webhooks:\n  retries_s: 5\n"), {}).webhooks.retries_s == (5.0,)
    several = load_settings(environ={"ASKANCE_WEBHOOKS__RETRIES_S": "0.5, 60,3600"})
    assert several.webhooks.retries_s == (0.5, 60.0, 3600.0)


def test_settings_are_frozen_and_travel() -> None:
    """Nothing changes them after the start, and worker processes get them whole."""
    loaded = load_settings(environ={})
    with pytest.raises(ValueError, match="frozen"):
        loaded.server.port = 1
    with pytest.raises(ValueError, match="frozen"):
        loaded.server = loaded.server
    assert pickle.loads(pickle.dumps(loaded)) == loaded


# --- unknown keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "line", "nearest"),
    [
        ("server:\n  prot: 1\n", "server.prot", 2, "server.port"),
        ("\nsevrer:\n  port: 1\n", "sevrer", 2, "server."),
        ("port: 1\n", "port", 1, "server.port"),
        ("serving:\n  threshold: 0.5\n", "serving.threshold", 2, "policy.threshold"),
        ("gate:\n  mode: superior\n  Margin: 0.5\n", "gate.Margin", 3, "gate.margin"),
        ("data-dir: x\n", "data-dir", 1, "data_dir"),
        ("server: {[1, 2]: 3}\n", "server.?", 1, "server."),
    ],
)
def test_unknown_key_in_a_file(user_file: UserFile, text: str, key: str, line: int, nearest: str) -> None:
    """An unknown key is named in full, with file and line and the nearest valid key."""
    (problem,) = problems(user_file(text))
    assert f"unknown setting {key} " in problem
    assert f"mine.yaml:{line})" in problem
    assert f"did you mean {nearest}" in problem


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("ASKANCE_SERVER__PROT", "ASKANCE_SERVER__PORT (server.port)"),
        ("ASKANCE_SERVER_PORT", "ASKANCE_SERVER__PORT (server.port)"),
        ("ASKANCE_PORT", "ASKANCE_SERVER__PORT (server.port)"),
        ("ASKANCE_server__port", "ASKANCE_SERVER__PORT (server.port)"),
        ("ASKANCE_TOKN", "ASKANCE_TOKEN"),
        ("ASKANCE_SERVER", "ASKANCE_SERVER__"),
        ("ASKANCE_", "ASKANCE_"),
    ],
)
def test_unknown_variable(variable: str, nearest: str) -> None:
    """An unknown variable is named, with the nearest valid variable."""
    (problem,) = problems(environ={variable: "1"})
    assert problem.startswith("unknown setting ")
    assert f"variable {variable})" in problem
    assert f"did you mean {nearest}" in problem


@settings(deadline=None)
@given(key=st.sampled_from(KEYS), at=st.integers(0, 100), letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
def test_one_wrong_letter_leads_back_to_the_key(key: str, at: int, letter: str) -> None:
    """A key with one letter doubled or slipped in is answered with a key that this letter makes of it, mostly the only
    one (num_cgpus may be num_cpus or num_gpus)."""
    at %= len(key) + 1
    wrong = f"{key[:at]}{letter}{key[at:]}"
    variable = "ASKANCE_" + wrong.upper().replace(".", "__")
    (problem,) = problems(environ={variable: "1"})
    meant = {wrong[:place] + wrong[place + 1 :] for place in range(len(wrong))} & set(KEYS)
    assert key in meant and any(f"({one})?" in problem for one in meant)


# --- wrong values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("server.port", "abc", "a valid integer"),
        ("server.port", "0", "a number greater than or equal to 1"),
        ("server.port", "65536", "a number less than or equal to 65535"),
        ("server.port", "80.5", "a valid integer"),
        ("limits.max_image_pixels", "100000000", "a number less than or equal to 89478485"),
        ("policy.threshold", "1.5", "a number less than or equal to 1"),
        ("policy.audit_rate", "-0.1", "a number greater than or equal to 0"),
        ("policy.failure_iou", "0", "a number greater than 0"),
        ("serving.num_cpus", "nan", "a finite number"),
        ("serving.num_cpus", "inf", "a finite number"),
        ("serving.device", "gpu", "pattern"),
        ("serving.max_batch_size", "null", "a valid integer"),
        ("training.image_size", "100", "a multiple of 32"),
        ("training.optimizer", "Adamw", "'AdamW'"),
        ("training.val_share", "1", "a number less than 1"),
        ("training.base", "yolo11n.pt", "(.yaml)"),
        ("training.base", "resnet50", "fasterrcnn_resnet50_fpn"),
        ("webhooks.allow_private", "maybe", "a valid boolean"),
        ("webhooks.timeout_s", "61", "a number less than or equal to 60"),
        ("webhooks.retries_s", "5,soon", "1 to 20 numbers of seconds up to a week"),
        ("webhooks.retries_s", "5,0", "1 to 20 numbers of seconds up to a week"),
        ("webhooks.retries_s", "nan", "1 to 20 numbers of seconds up to a week"),
        ("webhooks.retries_s", ",".join("1" * 21), "1 to 20 numbers of seconds up to a week"),
        ("webhooks.retries_s", "604801", "1 to 20 numbers of seconds up to a week"),
        ("gate.mode", "best", "'superior' or 'non_inferior'"),
        ("gate.confidence", "1", "a number less than 1"),
        ("database.url", "mysql://h/d", "sqlite:/// or postgresql://"),
        ("data_dir", "a?b", "without ?, # and %"),
        ("data_dir", "~no-such-user-here/x", "home folder"),
        ("mlflow.prefix", "a b", "pattern"),
    ],
)
def test_wrong_value_says_key_value_source_and_what_was_expected(key: str, value: str, expected: str) -> None:
    """A value out of type or range is answered with all four."""
    variable = "ASKANCE_" + key.upper().replace(".", "__")
    (problem,) = problems(environ={variable: value})
    shown = "None" if value == "null" else repr(value)
    assert problem.startswith(f"{key} is {shown} (variable {variable}); expected ")
    assert expected in problem


@pytest.mark.parametrize("text", ["yes", "true", "[1]", "{a: 1}", "2024-01-01", "!!python/name:os.system"])
def test_yaml_of_another_type_is_no_number(user_file: UserFile, text: str) -> None:
    """YAML's booleans, lists, dates and tags are not taken for numbers."""
    (problem,) = problems(user_file(f"server:\n  port: {text}\n"))
    assert problem.startswith("server.port ")
    assert "mine.yaml:2)" in problem


def test_wrong_value_in_a_file_names_the_line(user_file: UserFile) -> None:
    """The source of a value in a file is file:line."""
    (problem,) = problems(user_file("# mine\nserver:\n  port: many\n"))
    assert re.fullmatch(r"server\.port is 'many' \(.*mine\.yaml:3\); expected a valid integer", problem)


def test_password_of_a_url_is_not_shown() -> None:
    """Neither an error nor a repr shows the password of the database."""
    (problem,) = problems(environ={"ASKANCE_DATABASE__URL": "mysql://me:hunter2@h/d"})
    assert "hunter2" not in problem
    assert "mysql://me:***@h/d" in problem
    loaded = load_settings(environ={"ASKANCE_DATABASE__URL": "postgresql://me:hunter2@h/d"})
    assert "hunter2" not in repr(loaded)


@pytest.mark.parametrize(
    ("environ", "keys"),
    [
        ({"SERVING__SCORE_FLOOR": "0.3"}, ["serving.score_floor", "policy.score_threshold"]),
        ({"SERVING__CALLS_IN_FLIGHT": "65"}, ["serving.calls_in_flight", "serving.max_ongoing_requests"]),
        (
            {"SERVING__MIN_REPLICAS": "3", "SERVING__MAX_REPLICAS": "2"},
            ["serving.min_replicas", "serving.max_replicas"],
        ),
        (
            {"SERVING__BATCH_WAIT_MS": "2000", "LIMITS__REQUEST_TIMEOUT_S": "1"},
            ["serving.batch_wait_ms", "limits.request_timeout_s"],
        ),
        ({"SERVING__TIMEOUT_S": "31"}, ["serving.timeout_s", "limits.request_timeout_s"]),
        (
            {"SERVING__TIMEOUT_S": "1", "SERVING__BATCH_WAIT_MS": "1000"},
            ["serving.batch_wait_ms", "serving.timeout_s"],
        ),
        (
            {"SERVING__SHARED_REPLICAS": "2", "SERVING__MAX_REPLICAS": "3"},
            ["serving.shared_replicas", "serving.max_replicas"],
        ),
        ({"SELECTION__REFERENCE_LIMIT": "9"}, ["selection.neighbours", "selection.reference_limit"]),
    ],
)
def test_contradicting_values_are_named_together(environ: dict[str, str], keys: list[str]) -> None:
    """Two values that cannot both be are refused, each with its source."""
    (problem,) = problems(environ={f"ASKANCE_{name}": value for name, value in environ.items()})
    assert all(f"{key} is " in problem for key in keys)


def test_all_problems_are_listed_at_once(user_file: UserFile) -> None:
    """One start shows everything that must be changed."""
    path = user_file("server:\n  prot: 1\n  port: many\ngate:\n  mode: best\n")
    found = problems(path, {"ASKANCE_POLICY__THRESHOLD": "2", "ASKANCE_NONSENSE": "1"})
    assert len(found) == 5


# --- unusable files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: [\n", "is not YAML: line"),
        ("a: 1\n---\nb: 2\n", "is not YAML"),
        ("- 1\n- 2\n", "must hold keys with values"),
        ("just words\n", "must hold keys with values"),
        ("server: 8000\n", "server ("),
        ("server:\n  port: 1\n  port: 2\n", "server.port stands twice"),
        ("server: \x00\n", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        ("server: *nobody\n", "is not YAML"),
    ],
    ids=["syntax", "two documents", "list", "text", "scalar section", "duplicate", "nul", "deep", "alias"],
)
def test_unusable_file_is_one_clear_problem(user_file: UserFile, text: str, said: str) -> None:
    """What is wrong with a file is said in a line, never by a traceback."""
    (problem,) = problems(user_file(text))
    assert said in problem
    assert "mine.yaml" in problem


def test_missing_file_is_said(tmp_path: Path) -> None:
    """A named file must exist, by whichever way it was named."""
    missing = tmp_path / "none.yaml"
    assert problems(missing) == [f"the settings file {missing} cannot be read: No such file or directory"]
    assert problems(environ={"ASKANCE_CONFIG": str(missing)}) == problems(missing)


def test_folder_and_bytes_are_no_settings_files(tmp_path: Path) -> None:
    """Neither a folder nor a binary file is a traceback."""
    assert "cannot be read" in problems(tmp_path)[0]
    binary = tmp_path / "image.yaml"
    binary.write_bytes(bytes(range(256)))
    assert "is not YAML" in problems(binary)[0]


@settings(deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No content of a settings file raises anything but SettingsError."""
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_settings(path, {})
    except SettingsError as error:
        assert error.ids["problems"]
