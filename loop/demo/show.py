"""`askance demo`: the service, a project of made scenes with the seed model, the scripted loop, and the table."""

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TextIO

from rich.console import Console

from askance.client import Client
from loop.demo.run import Plan, Users, run_demo, table, write_scenes
from loop.domain.access import Role
from loop.exchange.importer import import_dataset
from loop.settings import Settings
from loop.wiring import Services
from serving.app import operator_token, running
from serving.images import inspect_image

PROJECT = "digits"


def show(settings: Settings, url: str, *, seed: int, leave: bool, as_json: bool) -> None:
    """Run the demonstration on the service of `settings`, started here; stay up afterwards unless `leave`.

    State goes where the service keeps it, in a project of its own, so that `askance up` goes on with it.
    """
    console = Console(stderr=as_json)
    out = _kept_to_ourselves() if as_json else sys.stdout
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _interrupted(stop))
    console.print("starting Ray, Ray Serve and the page …")
    with running(settings) as services:
        secret = operator_token(settings, services)
        console.print(f"[bold green]the page[/]  {url}/#token={secret}", soft_wrap=True)
        with Client(url, secret) as operator:
            plan = Plan()
            project = _prepared(services, operator, seed, plan)
            with _users(operator, url, project) as users:
                result = run_demo(users, console, project=project, seed=seed, plan=plan)
        console.print(table(result))
        if as_json:
            out.write(json.dumps(result.to_json()) + "\n")
            out.flush()
        if not leave:
            console.print(f"\nThe service stays up: correct some yourself at {url}/#token={secret}", soft_wrap=True)
            console.print("Ctrl-C ends it; `askance up` goes on with the same state.")
            stop.wait()


def _interrupted(stop: threading.Event) -> None:
    """During the scripted loop an interrupt ends the program; after it, the wait."""
    if stop.is_set():
        os._exit(130)
    stop.set()
    raise KeyboardInterrupt


def _prepared(services: Services, operator: Client, seed: int, plan: Plan) -> str:
    """A new project with its training and golden scenes and the seed model serving."""
    known = {project.id for project in operator.projects()}
    project = next(name for name in (PROJECT, *(f"{PROJECT}-{n}" for n in range(2, 10_000))) if name not in known)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "first-scenes"  # where its images then come from
        folder.mkdir()
        write_scenes(folder, seed=seed, plan=plan)
        import_dataset(
            services.store,
            services.blobs,
            services.projects,
            project_id=project,
            format="yolo",
            folder=folder,
            inspect_image=lambda content: inspect_image(content, max_pixels=services.settings.limits.max_image_pixels),
            clock=services.clock,
        )
    operator.add_model(project, files("loop.demo").joinpath("seed.safetensors").read_bytes())
    operator.await_champion(project)
    return project


@contextmanager
def _users(operator: Client, url: str, project: str) -> Iterator[Users]:
    producer = operator.create_token("demo camera", Role.PRODUCER, project)
    reviewer = operator.create_token("scripted reviewer", Role.REVIEWER, project)
    with Client(url, producer.secret) as sends, Client(url, reviewer.secret) as reviews:
        yield Users(sends, reviews, operator)


def _kept_to_ourselves() -> TextIO:
    """Standard output. Whatever else is printed there, as Ray does with its daemons' last words, goes to standard
    error from now on, so that a program that reads the output finds one JSON object."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out
