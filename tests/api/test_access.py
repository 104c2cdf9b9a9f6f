"""Default deny: who may call what."""

import pytest
from fastapi.routing import APIRoute

from serving.api.app import create_app
from serving.app import operator_token
from tests.api.conftest import picture
from tests.api.test_predictions import problem

# Routes that anybody with a valid token may call: they answer about the caller only, or check the permission
# once they know the project.
OPEN_TO_ANY_TOKEN = {
    "/v1/me",
    "/v1/formats",
    "/v1/strategies",
    "/v1/projects",
    "/v1/tokens",
    "/v1/tasks/{task_id}/heartbeat",
    "/v1/tasks/{task_id}/draft",
    "/v1/tasks/{task_id}/submit",
    "/v1/tasks/{task_id}/skip",
    "/v1/tasks/{task_id}/accept",
    "/v1/tasks/{task_id}/return",
    "/v1/tasks/{task_id}/release",
    "/v1/tasks/{task_id}/check",
    "/v1/tasks/{task_id}/actions/{name}",
}
WITHOUT_TOKEN = {"/healthz", "/readyz", "/metrics"}


def operations(service) -> list[tuple[str, str]]:
    document = service.client.app.openapi()
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


def filled(path: str, project: str = "shapes") -> str:
    names = {
        "project_id": project,
        "digest": "d" * 64,
        "reviewer_id": "x",
        "prediction_id": "x",
        "task_id": "x",
        "model_id": "x",
    }
    return path.format_map(
        names
        | {"endpoint_id": "x", "message_id": "x"}
        | {"annotation_id": "x", "selection_id": "x", "cycle_id": "x", "token_id": "x", "rollout_id": "x", "number": 0}
        | {"version": 1, "name": "x", "call_id": "x", "comment_id": "x", "group_id": "x", "lot_id": "x", "other": "x"}
        | {"format": "coco"}
    )


def test_no_route_answers_without_a_token(service):
    """Every operation but health and metrics is 401 for anonymous callers and for revoked tokens."""
    secret = service.call("POST", "/v1/tokens", json={"name": "gone", "role": "operator"}).json()
    service.call("DELETE", f"/v1/tokens/{secret['id']}")
    service.tokens["revoked"] = secret["secret"]
    for method, path in operations(service):
        if path not in WITHOUT_TOKEN:
            for role in (None, "revoked"):
                assert service.call(method, filled(path), role).status_code == 401, (method, path, role)


def test_every_route_names_a_permission(service):
    """A route that forgot its permission does not land."""

    def permissions(dependant) -> set:
        own = {getattr(dependant.call, "permission", None)} - {None}
        return own.union(*(permissions(d) for d in dependant.dependencies))

    routes = [route for route in _routes(create_app(service.services)) if route.path not in WITHOUT_TOKEN]
    assert len(routes) > 25
    for route in routes:
        assert permissions(route.dependant) or route.path in OPEN_TO_ANY_TOKEN, route.path


def _routes(app) -> list[APIRoute]:
    found: list[APIRoute] = []

    def walk(routes) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                found.append(route)
            elif hasattr(route, "routes"):
                walk(route.routes)
            elif hasattr(route, "original_router"):
                walk(route.original_router.routes)

    walk(app.routes)
    return found


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("reviewer", "POST", "/v1/projects/shapes/predictions"),
        ("producer", "POST", "/v1/projects/shapes/tasks/lease"),
        ("reviewer", "POST", "/v1/projects/shapes/cycles"),
        ("producer", "POST", "/v1/projects/shapes/models/rollback"),
        ("reviewer", "GET", "/v1/projects/shapes/events"),
        ("reviewer", "POST", "/v1/projects"),
        ("producer", "GET", "/v1/tokens"),
    ],
)
def test_a_role_may_do_its_own_work_only(service, role, method, path):
    """403 says which permission is missing."""
    body = {"id": "x", "labels": ["a"]} if path == "/v1/projects" else {}
    problem(service.call(method, path, role, json=body), 403, "forbidden")


def test_a_producer_may_not_review(service):
    """Task routes know the project only from the task, and check all the same."""
    task = service.predict(picture()).json()["task_id"]
    problem(service.call("POST", f"/v1/tasks/{task}/release", "producer", json={"epoch": 1}), 403, "forbidden")


def test_a_token_of_one_project_stays_there(service):
    """It sees and does nothing elsewhere, and an operator of one project cannot make a wider token."""
    service.services.projects.create("other", ("a",))
    made = service.call("POST", "/v1/tokens", json={"name": "o", "role": "operator", "project_id": "other"}).json()
    service.tokens["other"] = made["secret"]
    assert [p["id"] for p in service.call("GET", "/v1/projects", "other").json()] == ["other"]
    problem(service.call("GET", "/v1/projects/shapes/items", "other"), 403, "forbidden")
    wider = {"name": "w", "role": "operator"}
    problem(service.call("POST", "/v1/tokens", "other", json=wider), 403, "forbidden")
    own = {"name": "r", "role": "reviewer", "project_id": "other"}
    assert service.call("POST", "/v1/tokens", "other", json=own).status_code == 201


def test_secrets_are_kept_as_digests_only(service):
    """The database never holds what a caller sends as a token."""
    listed = service.call("GET", "/v1/tokens").text
    for secret in service.tokens.values():
        assert secret not in listed
        assert secret.encode() not in (service.services.settings.data_dir / "askance.db").read_bytes()


def test_audits_are_blind(service):
    """A reviewer's token shows no decision: neither by the prediction, nor by the list, nor by the item."""
    answer = service.predict(picture()).json()
    problem(service.call("GET", f"/v1/projects/shapes/predictions/{answer['id']}", "reviewer"), 403, "forbidden")
    problem(service.call("GET", "/v1/projects/shapes/predictions", "reviewer"), 403, "forbidden")
    path = f"/v1/projects/shapes/items/{answer['item_digest']}"
    assert service.call("GET", path, "reviewer").json()["prediction"] is None
    assert service.call("GET", path, "producer").json()["prediction"]["id"] == answer["id"]


def test_a_huge_body_is_refused_before_it_is_kept(service):
    """More JSON than any call needs is 413, with a token or without."""
    for role in ("operator", None):
        body = iter([b" " * 1_000_000] * 6)
        problem(service.call("POST", "/v1/projects", role, content=body), 413, "too-large")


def test_a_lost_operator_token_is_made_anew(service):
    """An empty file, a revoked token or another database: the next start writes a token that works."""
    settings = service.services.settings
    first = operator_token(settings, service.services)
    assert operator_token(settings, service.services) == first
    (settings.data_dir / "operator.token").write_text("")
    second = operator_token(settings, service.services)
    assert second != first
    assert service.services.tokens.authenticate(second).role == "operator"
    assert (settings.data_dir / "operator.token").stat().st_mode & 0o777 == 0o600


def test_a_name_is_taken_while_its_token_counts(service):
    """Where both would be for one project; the refusal names the token that has it, and how to end that one."""
    service.services.projects.create("other", ("a",))

    def asked(project: str | None):
        body = {"name": "ann", "role": "reviewer", "project_id": project}
        return service.call("POST", "/v1/tokens", json=body)

    first = asked("shapes").json()["id"]
    assert asked("other").status_code == 201
    for project in ("shapes", None):
        refused = problem(asked(project), 409, "conflict")
        assert refused["ids"]["token"] == first and f"token revoke {first}" in refused["hint"]
    assert service.call("DELETE", f"/v1/tokens/{first}").status_code == 204
    assert asked("shapes").status_code == 201


def test_an_operator_of_one_project_sees_and_ends_its_tokens_only(service):
    """Those of others are refused, those for all projects too."""
    service.services.projects.create("other", ("a",))
    tokens = [
        service.call("POST", "/v1/tokens", json={"name": name, "role": role, "project_id": project}).json()
        for name, role, project in (("o", "operator", "other"), ("r", "reviewer", "other"), ("s", "reviewer", "shapes"))
    ]
    service.tokens["other"] = tokens[0]["secret"]
    assert [one["name"] for one in service.call("GET", "/v1/tokens", "other").json()] == ["o", "r"]
    everywhere = service.call("GET", "/v1/tokens").json()[0]["id"]
    for foreign in (tokens[2]["id"], everywhere):
        problem(service.call("DELETE", f"/v1/tokens/{foreign}", "other"), 403, "forbidden")
    assert service.call("DELETE", f"/v1/tokens/{tokens[1]['id']}", "other").status_code == 204
    problem(service.call("GET", "/v1/events", "other"), 403, "forbidden")


def test_the_history_says_who_let_whom_in(service):
    """That of the token's project, or of the installation; a token that is revoked twice is told once."""
    for project, path in (("shapes", "/v1/projects/shapes/events"), (None, "/v1/events")):
        body = {"name": "ann" if project else "bob", "role": "reviewer", "project_id": project}
        made = service.call("POST", "/v1/tokens", json=body).json()
        for _ in range(2):
            assert service.call("DELETE", f"/v1/tokens/{made['id']}").status_code == 204
        events = service.call("GET", path, params={"limit": 1000}).json()["events"]
        told = [event for event in events if event["body"].get("token_id") == made["id"]]
        assert [(event["kind"], event["actor"]) for event in told] == [
            ("token.created", "operator"),
            ("token.revoked", "operator"),
        ]
        assert told[0]["body"] == {"token_id": made["id"], "name": body["name"], "role": "reviewer"}
    problem(service.call("DELETE", "/v1/tokens/tok_none"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "sent", "field"),
    [
        ("POST", "/v1/tokens", {"json": {"name": "ann", "role": "king"}}, "role"),
        (
            "PATCH",
            "/v1/projects/shapes/policy",
            {"json": {"workflow": {"lots": {"size": "many"}}}},
            "workflow.lots.size",
        ),
        ("GET", "/v1/projects/shapes/events", {"params": {"limit": "many"}}, "limit"),
        ("POST", "/v1/tokens", {"content": b"{"}, "the body"),
    ],
    ids=["a field", "one inside", "a parameter", "no JSON"],
)
def test_what_is_wrong_in_a_call_is_named(service, method, path, sent, field):
    """As who sent it knows it."""
    assert problem(service.call(method, path, **sent), 422, "invalid")["hint"].startswith(f"Correct {field}. ")
