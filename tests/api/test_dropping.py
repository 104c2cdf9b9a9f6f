"""Images that somebody wants gone: removed at once, refused from then on, with who and why in the history."""

import pytest

from loop.domain.identity import digest_of
from tests.api.conftest import Service, files_of_images, picture
from tests.api.test_review import BOX, leased, submit

ITEMS = "/v1/projects/shapes/items"


def drop(service: Service, digest: str, role: str = "operator", reason: str = "asked for by its owner"):
    return service.call("DELETE", f"{ITEMS}/{digest}", role, params={"reason": reason})


@pytest.fixture
def answered(service: Service) -> str:
    """The digest of an image that people have answered."""
    digest = service.predict(picture(0)).json()["item_digest"]
    (task,) = leased(service)
    assert submit(service, task, [BOX]).status_code == 200
    return digest


def test_its_bytes_are_gone_and_who_asked_is_told(service: Service, answered: str) -> None:
    """Its answers and its history stay; again, it changes nothing."""
    assert files_of_images(service) == [answered]
    assert drop(service, answered).status_code == drop(service, answered).status_code == 204
    assert files_of_images(service) == []
    assert service.call("GET", f"{ITEMS}/{answered}/image").status_code == 404
    events = service.call("GET", "/v1/projects/shapes/events?kind=item.dropped").json()["events"]
    assert [(one["actor"], one["body"]) for one in events] == [
        ("operator", {"item_digest": answered, "reason": "asked for by its owner"})
    ]
    assert "item.dropped" in str(service.call("GET", f"{ITEMS}/{answered}/history").json())


def test_it_does_not_come_back(service: Service, answered: str) -> None:
    """Neither by a prediction nor by an upload; others come as before."""
    drop(service, answered)
    refused = service.predict(picture(0))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert service.call("POST", ITEMS, content=picture(0)).status_code == 409
    assert service.predict(picture(1)).status_code == 200
    assert answered not in files_of_images(service)
    assert digest_of(picture(1)) in files_of_images(service)


def test_nobody_drops_what_people_work_on_or_without_a_reason(service: Service) -> None:
    """And only operators do."""
    digest = service.predict(picture(0)).json()["item_digest"]
    assert drop(service, digest).status_code == 409
    assert drop(service, digest, reason="").status_code == drop(service, digest, reason=" ").status_code == 422
    assert drop(service, "0" * 64).status_code == 404
    for role in ("producer", "reviewer"):
        assert drop(service, digest, role).status_code == 403
    assert files_of_images(service) == [digest]
