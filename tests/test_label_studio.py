"""What the bridge to Label Studio makes of addresses, tokens, interfaces and answers, without a server."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Conflict, Invalid, NotFound, SettingsError, Unavailable
from loop.domain.outgoing.label_studio import Annotation, checked_server, require_controls, the_answer
from loop.domain.recipes.ontology import Attribute, AttributeType, Label
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Geometry
from loop.exchange.label_studio import answer_read, controls_of, recipe_config
from loop.label_studio.server import HttpLabelStudio
from tests.label_studio import region

RECIPE = Recipe(
    1,
    (
        Label("car", "#e69f00", "1", attributes=(Attribute("parked", AttributeType.BOOLEAN),)),
        Label("lane", "#56b4e9", "2", geometry=Geometry.POLYGON),
        Label("a <b>", "#009e73", "3", geometry=Geometry.POINT),
    ),
)
NAMES = ["type", "id", "value", "x", "points", "rectanglelabels", "from_id", "to_id", "labels", "from_name"]
LEGACY = "e7527cde93dad58f74ed3808022dc1a27912b475"
PERSONAL = "eyJhbGciOi.eyJ0b2tlb.c2ln"


# --- the interface ------------------------------------------------------------------------------------


def test_the_interface_of_a_recipe_has_all_its_controls() -> None:
    """What is generated is what is asked for, whatever characters names have."""
    controls = controls_of(recipe_config(RECIPE))
    assert controls == {
        "label": {"car"},
        "polygon": {"lane"},
        "point": {"a <b>"},
        "parked@car": {"true", "false"},
    }
    require_controls(controls, controls, "Street")


@pytest.mark.parametrize("missing", ["label", "car"])
def test_an_interface_that_lacks_something_is_refused(missing: str) -> None:
    """A control, or a label of it; more than is needed does no harm."""
    wanted = {"label": frozenset({"car"})}
    there = {} if missing == "label" else {"label": frozenset({"dog"}), "more": frozenset({"x"})}
    with pytest.raises(Conflict, match=missing):
        require_controls(wanted, there, "Street")
    require_controls(wanted, {"label": frozenset({"car", "dog"}), "more": frozenset()}, "Street")


@pytest.mark.parametrize("xml", ["", "<View>", "<!DOCTYPE a [<!ENTITY b 'c'>]><View/>", "\ud800"])
def test_an_interface_that_is_no_xml_is_refused(xml: str) -> None:
    """So is one with a DOCTYPE: nothing of it is expanded."""
    with pytest.raises((Invalid, UnicodeError)):
        controls_of(xml)


# --- answers --------------------------------------------------------------------------------------------


def test_attributes_are_typed_by_the_recipe() -> None:
    """Label Studio knows only text; `parked` is a truth value here."""
    said = {"id": "box0", "type": "choices", "from_name": "parked@car", "value": {"choices": ["true"]}}
    (shape,), lost = answer_read([region("car", 25, 50, 50, 25), said], RECIPE, 200, 100)
    assert (shape.box, shape.attributes, lost) == ((50.0, 50.0, 150.0, 75.0), {"parked": True}, [])


def test_places_are_of_our_image_whatever_size_the_browser_saw() -> None:
    """A page that showed the image turned or scaled says other sides; the percent are what counts."""
    one = region("car", 0, 0, 100, 100, original_width=9, original_height=5)
    (shape,), _ = answer_read([one], RECIPE, 200, 100)
    assert shape.box == (0.0, 0.0, 200.0, 100.0)


@given(
    st.lists(
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats()
            | st.text(max_size=5)
            | st.sampled_from(["rectanglelabels", "car", "relation", "choices"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "id", "value", "x", "points", "rectanglelabels", "from_id"]), inner
                )
            ),
            max_leaves=12,
        ),
        max_size=4,
    )
)
def test_whatever_is_answered_is_kept_or_told(result: list[object]) -> None:
    """Of rubbish there is a shape or a reason for each result that is a record; and never an exception."""
    shapes, lost = answer_read(result, RECIPE, 64, 48)
    records = [one for one in result if isinstance(one, dict)]
    assert len(shapes) + len(lost) >= min(len(records), 1)


ANNOTATIONS = st.builds(
    Annotation,
    id=st.integers(0, 9),
    author=st.just(""),
    result=st.just(()),
    cancelled=st.booleans(),
    ground_truth=st.booleans(),
)


@given(st.lists(ANNOTATIONS, max_size=5, unique_by=lambda one: one.id))
def test_a_skip_counts_only_where_nobody_answered(said: list[Annotation]) -> None:
    """And an answer that is marked as ground truth before all others."""
    chosen = the_answer(said)
    assert (chosen is None) == (not said)
    if chosen is not None:
        assert chosen.cancelled == all(one.cancelled for one in said)
        marked = [one for one in said if one.ground_truth and not one.cancelled]
        assert not marked or chosen in marked


# --- the address -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://label-studio.example.org",
        "https://localhost:8080",
        "https://127.0.0.1",
        "https://10.1.2.3",
        "https://[::ffff:192.168.0.1]",
        "https://169.254.169.254",
        "ftp://example.org",
        "https://user:password@example.org",
        "https://example.org/?a=b",
        "https://example.org:port",
        "https://",
        "no address",
    ],
)  # fmt: skip
def test_what_the_service_may_not_speak_to(url: str) -> None:
    """As with webhooks: https, and nothing inside the machine or a private network."""
    with pytest.raises(SettingsError):
        checked_server(url, allow_private=False)


def test_a_network_of_ones_own_is_allowed_by_setting() -> None:
    """Then http will do; a slash at the end is none."""
    assert checked_server("http://10.1.2.3:8080/ls/", allow_private=True) == "http://10.1.2.3:8080/ls"
    assert checked_server("https://example.org/", allow_private=False) == "https://example.org"


def test_a_name_that_leads_inside_is_refused_when_it_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the name says, all its addresses must be public."""
    found = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("192.168.0.9", 443))]
    monkeypatch.setattr("loop.label_studio.server.socket.getaddrinfo", lambda *_args, **_more: found)
    with pytest.raises(SettingsError, match="private"):
        HttpLabelStudio("https://label-studio.example.org", LEGACY, False, 5.0).project("Street", "<View/>")


@pytest.mark.parametrize(("url", "token"), [("", LEGACY), ("https://example.org", "")])
def test_without_address_or_token_nothing_is_asked(url: str, token: str) -> None:
    """It says which setting is missing."""
    with pytest.raises(SettingsError, match="is not set"):
        HttpLabelStudio(url, token, False, 5.0).project("Street", "<View/>")


# --- the wire ----------------------------------------------------------------------------------------


@contextmanager
def answering(answers: dict[str, list[tuple[int, object]]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server that gives the next answer of a path, the last one again and again; what it was asked, and how."""
    asked: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append((path, self.headers.get("authorization") or ""))
            listed = answers[path]
            status, body = listed.pop(0) if len(listed) > 1 else listed[0]
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET  # noqa: N815 - as the base class calls them

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_legacy_token_is_sent_as_it_is() -> None:
    """In the header that Label Studio reads it from."""
    with answering({"/api/tasks/7/": [(200, {"annotations": []})]}) as (url, asked):
        assert HttpLabelStudio(url, LEGACY, True, 5.0).annotations(7) == []
    assert asked == [("/api/tasks/7/", f"Token {LEGACY}")]


def test_a_personal_token_is_changed_for_short_lived_ones() -> None:
    """Once, and again when the short-lived one ran out; the personal one goes to no other route."""
    answers = {
        "/api/token/refresh": [(200, {"access": "one"}), (200, {"access": "two"})],
        "/api/tasks/7/": [(200, {"annotations": []}), (401, {}), (200, {"annotations": []})],
    }
    with answering(answers) as (url, asked):
        server = HttpLabelStudio(url, PERSONAL, True, 5.0)
        assert [server.annotations(7), server.annotations(7)] == [[], []]
    assert [how for path, how in asked if path.startswith("/api/tasks")] == ["Bearer one", "Bearer one", "Bearer two"]
    assert [path for path, _ in asked].count("/api/token/refresh") == 2
    assert PERSONAL not in repr(asked)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (302, {}, Unavailable),
        (400, {"detail": "bad"}, Invalid),
        (401, {}, SettingsError),
        (403, {}, SettingsError),
        (404, {}, NotFound),
        (500, {}, Unavailable),
        (200, b"<html>", Unavailable),
        (200, [], Unavailable),
        (200, {"results": [{"title": "Street"}]}, Unavailable),
    ],
)
def test_what_is_no_answer_is_told(status: int, body: object, error: type[Exception]) -> None:
    """By what the operator can do; redirects are not followed, and the token is in no message."""
    with answering({"/api/projects/": [(status, body)]}) as (url, asked), pytest.raises(error) as told:
        HttpLabelStudio(url, LEGACY, True, 5.0).project("Street", "<View/>")
    assert [path for path, _ in asked] == ["/api/projects/"]
    assert LEGACY not in str(told.value)


def test_two_projects_of_one_title_are_told() -> None:
    """None of them is guessed."""
    two = {"results": [{"id": 1, "title": "Street"}, {"id": 2, "title": "Street"}, {"id": 3, "title": "Street 2"}]}
    with answering({"/api/projects/": [(200, two)]}) as (url, _), pytest.raises(Conflict, match="2 projects"):
        HttpLabelStudio(url, LEGACY, True, 5.0).project("Street", "<View/>")


def test_nobody_there_is_told() -> None:
    """A server that is down is no traceback."""
    with pytest.raises(Unavailable, match="cannot be reached"):
        HttpLabelStudio("http://127.0.0.1:9", LEGACY, True, 5.0).find(1, "key")
