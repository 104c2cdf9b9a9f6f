"""What stands in an address: options that a route does not have, and numbers that no database has."""

import json
from collections.abc import Iterator

import pytest

from serving.api.openapi import document

HUGE = 10**30


def integers() -> Iterator[tuple[str, str]]:
    """(route, name) of each number that callers give in an address."""
    for path, methods in json.loads(document())["paths"].items():
        for method, operation in methods.items():
            for given in operation.get("parameters", ()):
                kinds = given["schema"].get("anyOf", [given["schema"]])
                if any(kind.get("type") == "integer" and "maximum" not in kind for kind in kinds):
                    yield f"{method} {path}", given["name"]


def test_each_number_in_an_address_has_a_largest_value():
    """Beyond, the database would fail."""
    assert list(integers()) == []


@pytest.mark.parametrize(
    "path", ["events?after={}", "guarantee/thresholds?before={}", "guarantee/thresholds/{}", "reviews?after={}"]
)
def test_a_number_that_nothing_has_is_refused(service, path):
    answer = service.call("GET", f"/v1/projects/shapes/{path.format(HUGE)}")
    assert answer.status_code == 422, answer.text


def test_an_option_that_a_route_does_not_have_is_refused(service):
    """Else a misspelt `wait` would be an answer that nobody has waited for."""
    answer = service.call("POST", "/v1/projects/shapes/predictions", params={"wiat": "3"}, content=b"x")
    assert answer.status_code == 422
    assert answer.json()["detail"] == "there is no option 'wiat' here."
    assert answer.json()["hint"] == "Did you mean wait?"
    none = service.call("GET", "/v1/projects/shapes", params={"x": "1"})
    assert "takes none" in none.json()["hint"]
