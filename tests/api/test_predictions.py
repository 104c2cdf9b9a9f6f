"""Inference over HTTP: what callers get, what is kept, what bad input gets."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from loop.domain.truth import Shape
from tests.api.conftest import files_of_images, picture
from tests.contract.records import a_truth, an_item


def problem(response, status: int, code: str) -> dict:
    """The body of a problem+json answer, checked: status, stable type, a detail and what to do."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"/problems/{code}"
    assert body["detail"]
    assert body["hint"]
    return body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_gets_boxes_model_decision_and_id(service, kind):
    """JPEG, PNG and WebP are answered with detections, model version, decision with reasons and risk, and an id."""
    body = service.predict(picture(kind=kind)).json()
    assert body["id"].startswith("pred_")
    assert (body["width"], body["height"]) == (64, 48)
    assert body["model_id"].startswith("model_")
    assert body["decision"]["action"] == "review"
    assert 0.0 <= body["decision"]["risk"] <= 1.0
    assert body["decision"]["reasons"]
    assert body["task_id"].startswith("task_")
    for detection in body["detections"]:
        assert detection["label"] in ("circle", "square", "bar")
        assert 0.0 <= detection["margin"] <= detection["score"] + 5e-5


def test_a_form_with_one_file_is_an_image_too(service):
    """curl -F image=@file works like --data-binary."""
    response = service.call(
        "POST", "/v1/projects/shapes/predictions", "producer", files={"image": ("a.png", picture(), "image/png")}
    )
    assert response.status_code == 200, response.text


def test_what_is_routed_becomes_exactly_one_task(service):
    """Each risky prediction has one task; the queue counts them."""
    answers = [service.predict(picture(seed)).json() for seed in range(3)]
    assert len({answer["task_id"] for answer in answers}) == 3
    summary = service.call("GET", "/v1/projects/shapes/summary").json()
    assert (summary["predictions"], summary["routed"], summary["tasks"]["open"]) == (3, 3, 3)


def test_what_is_not_risky_becomes_no_task(service):
    """At threshold 1 and audit rate 0 everything is accepted, with the reason."""
    changed = service.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 0.0})
    assert changed.json()["version"] == 2
    body = service.predict(picture()).json()
    assert (body["decision"]["action"], body["task_id"]) == ("accept", None)
    assert body["decision"]["policy_version"] == 2
    assert [reason["code"] for reason in body["decision"]["reasons"]] == ["risk-below-threshold"]


def test_the_audit_lot_stores_its_probability(service):
    """At audit rate 1 the accepted ones go to people too, with inclusion probability 1 and stage audit."""
    service.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 1.0})
    decision = service.predict(picture()).json()["decision"]
    assert (decision["stage"], decision["inclusion_probability"], decision["audit_drawn"]) == ("audit", 1.0, True)


def test_a_prediction_can_be_read_again(service):
    """What was answered is what is stored."""
    answered = service.predict(picture()).json()
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{answered['id']}", "producer").json()
    assert {name: stored[name] for name in answered} == answered
    assert (stored["task_state"], stored["corrections"], stored["truth"]) == ("open", None, None)


def test_predictions_are_paged_newest_first(service):
    """Keyset pages hold every prediction once."""
    ids = [service.predict(picture(seed)).json()["id"] for seed in range(5)]
    seen, after = [], None
    while True:
        page = service.call(
            "GET", "/v1/projects/shapes/predictions", params={"limit": 2} | ({"after": after} if after else {})
        ).json()
        seen += [p["id"] for p in page["predictions"]]
        if (after := page["next"]) is None:
            break
    assert seen == ids[::-1]


def test_a_retry_with_the_same_key_creates_nothing_new(service):
    """The same Idempotency-Key gives the first answer back, and says so."""
    key = {"Idempotency-Key": "abc"}
    first = service.predict(picture(), headers=key)
    again = service.predict(picture(), headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert service.call("GET", "/v1/projects/shapes/summary").json()["predictions"] == 1


def test_a_key_belongs_to_one_request(service):
    """The same key with another image is refused."""
    key = {"Idempotency-Key": "abc"}
    service.predict(picture(0), headers=key)
    problem(service.predict(picture(1), headers=key), 422, "idempotency-mismatch")


def test_a_key_belongs_to_one_token(service):
    """Two callers may use the same key; each gets an answer of its own."""
    key = {"Idempotency-Key": "abc"}
    one = service.predict(picture(), role="producer", headers=key).json()
    other = service.predict(picture(), role="operator", headers=key).json()
    assert one["id"] != other["id"]


def test_a_failed_request_frees_its_key(service):
    """A caller who sent rubbish under a key may send the right image under it."""
    key = {"Idempotency-Key": "abc"}
    problem(service.predict(b"rubbish", headers=key), 400, "bad-image")
    # The request differs, so it is a new request under a free key, not a replay.
    assert service.predict(picture(), headers=key).status_code == 200


def test_concurrent_retries_create_one_prediction(service):
    """Twenty calls at once with one key: one row; the others get its answer or are told to wait."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.predict(picture(), headers={"Idempotency-Key": "same"}), range(20)))
    assert {a.status_code for a in answers} <= {200, 409}
    assert len({a.json()["id"] for a in answers if a.status_code == 200}) == 1
    assert service.call("GET", "/v1/projects/shapes/summary").json()["predictions"] == 1


def bomb(side: int) -> bytes:
    """A valid PNG of side x side grey pixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compressobj()
    line = b"\0" + b"\x80" * ((side + 7) // 8)
    data = b"".join(rows.compress(line) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "bad-image"),
        (b"hello, this is not an image", 400, "bad-image"),
        (picture(kind="PNG")[:-200], 400, "bad-image"),
        (picture(kind="JPEG")[:300], 400, "bad-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 400, "bad-image"),
        (bomb(30_000), 413, "too-large"),
    ],
    ids=["empty body", "not an image", "truncated PNG", "truncated JPEG", "SVG", "30,000 x 30,000 PNG"],
)
def test_a_bad_image_is_a_clear_4xx_and_leaves_nothing(service, content, status, code):
    """Hostile or broken images are the caller's problem+json; no item, prediction or task comes of them."""
    problem(service.predict(content), status, code)
    assert service.call("GET", "/v1/projects/shapes/summary").json()["predictions"] == 0
    assert service.call("GET", "/v1/projects/shapes/items").json()["items"] == []
    assert files_of_images(service) == []


def test_too_many_bytes_are_refused(service):
    """More than limits.max_image_bytes is 413, declared or streamed."""
    limit = service.services.settings.limits.max_image_bytes
    problem(service.predict(b"\0" * (limit + 1)), 413, "too-large")
    problem(service.predict(iter([b"\0" * 1_000_000] * (limit // 1_000_000 + 2))), 413, "too-large")


def test_an_unknown_project_says_which_exist(service):
    """404 names the projects there are."""
    response = service.call("POST", "/v1/projects/nope/predictions", "producer", content=picture())
    assert "shapes" in str(problem(response, 404, "not-found"))


def test_a_project_without_a_model_says_what_to_do(service):
    """409 with the command that adds a model, and no time after which it would go: it is no outage."""
    service.services.projects.create("empty", ("a",))
    response = service.call("POST", "/v1/projects/empty/predictions", "producer", content=picture())
    assert "askance models add" in problem(response, 409, "no-champion")["hint"]
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("secret", [None, "", "ask_wrong"], ids=["no token", "empty", "wrong"])
def test_without_a_valid_token_nothing_is_answered(service, secret):
    """401 with what to send."""
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    response = service.client.post("/v1/projects/shapes/predictions", content=picture(), headers=headers)
    problem(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_model_that_is_gone_is_not_the_callers_fault(service):
    """Where the champion does not answer, 503 with Retry-After, and nothing is written."""
    champion = service.call("GET", "/v1/projects/shapes").json()["champion_id"]
    service.inferencer.gone = [champion]
    problem(service.predict(picture()), 503, "model-gone")
    assert service.call("GET", "/v1/projects/shapes/summary").json()["predictions"] == 0


def test_neighbours_are_the_images_that_look_alike(service):
    """The embedding of the same pass finds a copy of the image before all others."""
    digests = [service.predict(picture(seed)).json()["item_digest"] for seed in range(6)]
    service.predict(picture(0, kind="WEBP"))
    found = service.call("GET", f"/v1/projects/shapes/items/{digests[0]}/neighbours", params={"k": 3}).json()
    assert len(found["neighbours"]) == 3
    assert found["neighbours"][0]["similarity"] >= found["neighbours"][1]["similarity"]
    assert digests[0] not in {n["item_digest"] for n in found["neighbours"]}


def test_a_prediction_has_the_rarity_of_what_is_seen_in_it(service):
    """Of three labels, two were never given: each detection of one of those counts whole."""
    with service.services.store.begin() as tx:
        tx.items.add(an_item(project_id="shapes"))
        tx.truths.add(replace(a_truth(project_id="shapes"), shapes=(Shape("circle", (0.0, 0.0, 1.0, 1.0)),)))
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": 0.0001}).is_success
    answer = service.predict(picture()).json()
    rare = sum(detection["label"] != "circle" for detection in answer["detections"])
    assert rare
    assert (answer["signals"]["largest_rarity"], answer["signals"]["sum_rarity"]) == (1.0, rare)


def test_who_sends_nothing_is_told_how_to_in_the_page_first(service):
    """Most who see it are at the page."""
    for path in ("items", "predictions"):
        hint = service.call("POST", f"/v1/projects/shapes/{path}", content=b"").json()["hint"]
        assert hint.startswith("In the page: Items, Add images.")
