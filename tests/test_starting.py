"""What `askance up` refuses before it starts anything."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loop.domain.errors import AskanceError, Conflict, PortInUse, SettingsError
from loop.settings import load_settings
from serving.app import only_one, running
from serving.backends.runtimes import RUNTIMES
from serving.transport import free_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def refused(data_dir: Path, **variables: object) -> AskanceError:
    """What the start is refused with, having made nothing but its lock."""
    environ = {"ASKANCE_DATA_DIR": str(data_dir), "ASKANCE_SERVER__PORT": str(free_ports(1)[0])}
    settings = load_settings(environ={**environ, **{name: str(value) for name, value in variables.items()}})
    with pytest.raises(AskanceError) as caught, running(settings):
        pass
    assert not data_dir.exists() or {path.name for path in data_dir.iterdir()} <= {"up.lock"}
    return caught.value


def test_a_port_that_another_program_has_is_named_with_how_to_choose_another(tmp_path: Path, taken: int) -> None:
    error = refused(tmp_path / "data", ASKANCE_SERVER__PORT=taken)
    assert isinstance(error, PortInUse)
    assert str(taken) in str(error) and "askance up --port" in error.hint


def test_a_second_service_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with only_one(tmp_path / "data"):
        error = refused(tmp_path / "data")
    assert isinstance(error, Conflict)
    assert "running on" in str(error) and "ASKANCE_DATA_DIR" in error.hint


def test_a_runtime_that_is_not_installed_is_refused_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the first model, when the service is up already."""
    monkeypatch.setitem(RUNTIMES, "tensorrt", replace(RUNTIMES["tensorrt"], module="no_such_package"))
    error = refused(tmp_path / "data", ASKANCE_SERVING__RUNTIME="tensorrt")
    assert isinstance(error, SettingsError)
    assert "not installed" in str(error) and "pip install" in error.hint


def test_a_precision_that_the_runtime_does_not_have_is_refused_with_those_it_has(tmp_path: Path) -> None:
    error = refused(tmp_path / "data", ASKANCE_SERVING__RUNTIME="onnx", ASKANCE_SERVING__PRECISION="bf16")
    assert isinstance(error, SettingsError)
    assert "onnx fp32/int8" in error.hint
