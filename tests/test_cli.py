"""The command line: what a mistake gets is one line that says what to do, and exit status 2."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.service.running import ASKANCE


def askance(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASKANCE_")}
    return subprocess.run(
        [*ASKANCE, *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2, no traceback, and each of `words` in what was said."""
    said = done.stderr + "\n" + done.stdout
    assert done.returncode == 2, said
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


def test_an_unknown_setting_names_the_nearest(tmp_path):
    """A typo in askance.yaml is refused with the key and the one that was meant."""
    (tmp_path / "askance.yaml").write_text("server:\n  prot: 9000\n")
    refused(askance(tmp_path, "up"), "server.prot", "server.port", "askance.yaml")


def test_an_unknown_variable_names_the_nearest(tmp_path):
    """A typo in the environment is refused just so."""
    refused(askance(tmp_path, "up", ASKANCE_SERVER__PROT="9000"), "ASKANCE_SERVER__PROT", "ASKANCE_SERVER__PORT")


def test_a_taken_port_says_how_to_choose_another(tmp_path):
    """Nothing is started, and nothing but the empty data folder is written."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(askance(tmp_path, "up", "--port", str(port)), f"port {port}", "--port")
    assert not (tmp_path / ".askance" / "askance.db").exists()


@pytest.mark.parametrize("name", ["nothing.pt", "yolo11n.pt"], ids=["a file", "a known name"])
def test_missing_weights_say_what_to_do(tmp_path, name):
    """A file that is not here is never fetched in silence."""
    refused(askance(tmp_path, "models", "add", name, "--project", "p"), name)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    """Text is not weights."""
    (tmp_path / "w.pt").write_text("hello")
    refused(askance(tmp_path, "models", "add", "w.pt", "--project", "p"), "w.pt")


@pytest.mark.parametrize("layout", ["voc", "coco", "yolo", "askance"])
def test_a_folder_that_is_no_data_set_says_what_was_looked_for(tmp_path, layout):
    """Missing, a file, or empty: each says what the format needs. For a name that is wrong nothing is made."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for folder in ("missing", "file"):
        refused(askance(tmp_path, "import", folder, "--format", layout, "--project", "p"), folder)
    assert not (tmp_path / ".askance").exists()
    refused(askance(tmp_path, "import", "empty", "--format", layout, "--project", "p"), "empty")


def test_a_recipe_is_checked_without_a_service(tmp_path):
    """Every error with its place, each on a line; a sound one in a line; what cannot be read says so."""
    (tmp_path / "bad.yaml").write_text(
        "labels: [a]\nrules: [{kind: count, label: b, min: 3, max: 1}]\n" + "links: [{name: l, from: [c], to: [a]}]"
    )
    refused(
        askance(tmp_path, "recipe", "check", "bad.yaml"),
        "\nrules[0].label: there is no label 'b'",
        "\nrules[0].min: 3 is more than max (1)",
        "\nlinks[0].from: there is no label 'c'",
    )
    refused(askance(tmp_path, "recipe", "check", "none.yaml"), "none.yaml cannot be read", "configs/recipes/")
    (tmp_path / "bad.yaml").write_text("labels: [")
    refused(askance(tmp_path, "recipe", "check", "bad.yaml"), "bad.yaml: cannot be read")
    (tmp_path / "good.yaml").write_text("labels: [a, b]")
    refused(askance(tmp_path, "recipe", "check", "good.yaml", "--rename", "a"), "--rename OLD=NEW")
    done = askance(tmp_path, "recipe", "check", "good.yaml")
    assert (done.returncode, done.stdout) == (0, "2 labels, 0 types of links, 0 rules\n")


def test_a_command_without_a_service_says_how_to_start_one(tmp_path):
    """No token, then no answer."""
    refused(askance(tmp_path, "models", "list", "--project", "p"), "askance up")
    away = {"ASKANCE_TOKEN": "ask_x", "ASKANCE_URL": "http://127.0.0.1:9"}
    refused(askance(tmp_path, "cycle", "run", "--project", "p", **away), "askance up")


def test_an_export_of_nothing_is_refused(tmp_path):
    """An unknown project, and a target folder that holds something already."""
    refused(askance(tmp_path, "export", "out", "--format", "coco", "--project", "nope"), "nope")
    assert not (tmp_path / "out").exists()
