#!/usr/bin/env bash
# Makes the environment in folder $1: Python packages, the built page, and, as root, system packages.
# Safe to run again. `make setup` skips it where nothing that it depends on has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

say() { printf 'setup: %s\n' "$*" >&2; }

find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3 python; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_updated=
apt_install() {
    can_install || return 1
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "$apt_updated" ]; then
        apt-get -o Acquire::http::Timeout=20 update -qq </dev/null >/dev/null 2>&1 || true
        apt_updated=1
    fi
    say "installing $*"
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null 2>&1
}

has_library() { ldconfig -p 2>/dev/null | grep -qF "$1"; }
has_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
has_postgres() { command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

system_packages() {
    # OpenCV, which ultralytics reads training images with, links these two.
    if command -v ldconfig >/dev/null; then
        has_library libGL.so.1 || apt_install libgl1 || say "libGL.so.1 is missing: training needs it (apt-get install libgl1)"
        has_library libglib-2.0.so.0 || apt_install libglib2.0-0 ||
            say "libglib-2.0.so.0 is missing: training needs it (apt-get install libglib2.0-0)"
    fi
    has_chromium >/dev/null || apt_install chromium ||
        say "no Chromium: the tests of the page in a browser will be skipped (apt-get install chromium)"
    has_postgres >/dev/null || apt_install postgresql ||
        say "no PostgreSQL: the tests of the store on it will be skipped (apt-get install postgresql)"
}

# Of pyproject.toml, one a line. Askance itself comes last, so that its page is built beside its dependencies.
requirements() {
    "$venv/bin/python" - "$1" <<'PYTHON'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    document = tomllib.load(file)
project = document["project"]
print(*{
    "of_building": document["build-system"]["requires"],
    "of_all": project["dependencies"] + project["optional-dependencies"]["dev"],
}[sys.argv[1]], sep="\n")
PYTHON
}

# Without compiling all that it installs, most of which nobody imports.
pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --no-compile "$@" </dev/null && return
    say "the installation failed; pip's last lines above say why. Run make setup again."
    exit 1
}

# Compiles what the modules named import, for Python does it once: else each of the processes that start together would.
import_once() {
    local module
    for module in "$@"; do printf 'import %s\n' "$module"; done |
        env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" - >/dev/null 2>&1 || true
}

if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python) || {
        say "Python 3.11 or newer is needed, and none of python3.11, python3.12, python3.13, python3 is one."
        say "Install it (Debian 12: apt-get install python3.11 python3.11-venv) and run make setup again."
        exit 1
    }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv || {
        say "$python cannot make virtual environments: apt-get install python3-venv"
        exit 1
    }
    say "making $venv with $("$python" --version)"
    "$python" -m venv "$venv"
fi

# What goes on beside pip, which keeps one processor busy and the network half, is waited for however this ends.
trap wait EXIT

system_packages &

say "installing Askance and building its page (the first time takes some minutes: torch is large)"
requirements of_building >"$venv/.requirements-building"
requirements of_all >"$venv/.requirements"
pip_install -r "$venv/.requirements-building"
"$venv/bin/python" -c 'from hatchling.build import get_requires_for_build_editable as asked; print(*asked(), sep="\n")' \
    >>"$venv/.requirements"
"$venv/bin/python" -c 'from pathlib import Path; from hatch_build import build_page; build_page(Path.cwd() / "serving/web")' &
page=$!
pip_install -r "$venv/.requirements"
wait "$page" || {
    say "the page could not be built; the lines above say why. Run make setup again."
    exit 1
}
pip_install --no-build-isolation --no-deps -e .
import_once ray.serve mlflow sqlalchemy alembic matplotlib.pyplot &
import_once ultralytics.engine.trainer torchvision onnxruntime openvino umap
wait
say "done"
