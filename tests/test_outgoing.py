"""Webhooks on the wire, against a real receiver that misbehaves: what is posted, where to, and what came of it."""

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook, WebhookVerificationError

from loop.domain.outgoing.webhooks import Answer, Endpoint, rotated, secret_from
from loop.webhooks import outgoing
from loop.webhooks.outgoing import HttpSender
from tests.receivers import DRIP, GARBAGE, HANG, RESET, STALL, Conduct, Received, Receiver, receiver

BODY = '{"type":"ping","data":{"name":"\\u00e9"}}'
SECRET = secret_from(bytes(range(32)))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as running:
        running.secret = SECRET.value
        yield running


def an_endpoint(url: str) -> Endpoint:
    return Endpoint(
        id="hook_1",
        project_id=None,
        url=url,
        types=(),
        description="",
        secrets=(SECRET,),
        created_by="ada",
        created_at=now(),
    )


def send(to: Receiver | str | Endpoint, *, allow_private: bool = True, timeout_s: float = 5.0) -> Answer:
    url = to.url if isinstance(to, Receiver) else to
    endpoint = url if isinstance(url, Endpoint) else an_endpoint(url)
    sender = HttpSender(allow_private=allow_private, timeout_s=timeout_s, clock=now)
    return asyncio.run(sender.send(endpoint, "msg_1", BODY))


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A name service that gives these addresses, each list once and the last one for ever; what it is asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", getaddrinfo)
    return asked


# --- what is posted ----------------------------------------------------------------------------------


def test_a_post_is_signed_as_standard_webhooks_says(there: Receiver) -> None:
    """HMAC-SHA256 of id.timestamp.body under the bytes of the secret; the library accepts it, and so does who counts
    by hand."""
    answer = send(there)
    assert (answer.status, answer.error, answer.ok) == (204, "", True)
    (got,) = there.accepted
    assert there.forged == []
    assert (got.path, got.body, got.id) == ("/hook?key=1", BODY, "msg_1")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{there.port}"
    assert abs(int(got.headers["webhook-timestamp"]) - now().timestamp()) < 60
    signed = f"msg_1.{got.headers['webhook-timestamp']}.{BODY}".encode()
    expected = base64.b64encode(hmac.new(bytes(range(32)), signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


def test_while_a_secret_is_replaced_both_sign(there: Receiver) -> None:
    """A receiver that knows either one accepts it, and one with a third does not."""
    new = secret_from(b"n" * 32)
    endpoint = rotated(an_endpoint(there.url), new, now())
    assert send(endpoint).ok
    (got,) = there.received
    for secret in (SECRET, new):
        assert Webhook(secret.value).verify(got.body, got.headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_from(b"3" * 32).value).verify(got.body, got.headers)
    ended = replace(endpoint, secrets=(new, replace(SECRET, until=now())))
    assert send(ended).status == 401


@pytest.mark.parametrize(("seconds", "believed"), [(-400, False), (-200, True), (200, True), (400, False)])
def test_receivers_believe_a_clock_that_is_wrong_by_less_than_five_minutes(
    there: Receiver, seconds: float, believed: bool
) -> None:
    """What is refused for its time is an attempt that failed; the next one, by a clock that is right, is believed."""
    wrong = HttpSender(allow_private=True, timeout_s=5.0, clock=lambda: now() + timedelta(seconds=seconds))
    assert asyncio.run(wrong.send(an_endpoint(there.url), "msg_1", BODY)).ok is believed
    assert send(there).ok


def signed_with(secret: str, *, age: float = 0.0) -> dict[str, str]:
    at = now() - timedelta(seconds=age)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, BODY),
    }


FORGERIES: dict[str, Callable[[Received], Received]] = {
    "another body": lambda got: replace(got, body=got.body.replace("ping", "pong")),
    "another id": lambda got: replace(got, headers={**got.headers, "webhook-id": "msg_2"}),
    "a later time": lambda got: replace(
        got, headers={**got.headers, "webhook-timestamp": str(int(got.headers["webhook-timestamp"]) + 1)}
    ),
    "another secret": lambda got: replace(got, headers=signed_with(secret_from(b"x" * 32).value)),
    "sent again after six minutes": lambda got: replace(got, headers=signed_with(SECRET.value, age=360)),
    "from the future": lambda got: replace(got, headers=signed_with(SECRET.value, age=-360)),
    "no signature": lambda got: replace(got, headers={**got.headers, "webhook-signature": ""}),
    "a signature of nothing": lambda got: replace(got, headers={**got.headers, "webhook-signature": "v1,"}),
    "another version": lambda got: replace(
        got, headers={**got.headers, "webhook-signature": got.headers["webhook-signature"].replace("v1", "v2")}
    ),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_forgeries_are_not_accepted(there: Receiver, how: str) -> None:
    """Whoever verifies with the library and the secret believes nothing that was changed, made up or kept."""
    send(there)
    forged = FORGERIES[how](there.received[0])
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET.value).verify(forged.body, forged.headers)


# --- what came of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conduct", "status", "words"),
    [
        (500, 500, "It answered 500. the receiver  says <so>"),
        (301, 301, "It answered 301"),
        (307, 307, "It answered 307"),
        (410, 410, "It answered 410"),
        (429, 429, "It answered 429"),
        (199 + 1, 200, ""),
        (299, 299, ""),
        (RESET, None, "The connection failed"),
        (GARBAGE, None, "The connection failed"),
        (HANG, None, "It did not answer within 0.5 s."),
        (DRIP, None, "It did not answer within 0.5 s."),
    ],
)
def test_anything_but_2xx_is_a_failure_in_words(
    there: Receiver, conduct: Conduct, status: int | None, words: str
) -> None:
    """Also an answer that comes byte by byte for ever; redirects are not followed."""
    there.conduct = lambda _request, _before: conduct
    there.headers = {"location": f"http://127.0.0.1:{there.port}/elsewhere", "retry-after": "120"}
    answer = send(there, timeout_s=0.5)
    assert (answer.status, answer.ok) == (status, words == "")
    assert answer.error.startswith(words) and answer.error.isprintable()
    assert len(there.received) == 1
    assert answer.retry_after_s == (120.0 if status else None)


def test_only_the_beginning_of_an_answer_is_read() -> None:
    """A receiver that never ends its body costs nothing, and its status counts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def pour() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                try:
                    while True:
                        connection.sendall(b"1000\r\n" + b"z" * 4096 + b"\r\n")
                except OSError:
                    return

        pouring = threading.Thread(target=pour, daemon=True)
        pouring.start()
        answer = send(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        pouring.join(timeout=20)
    assert answer.ok and answer.said == "z" * 200
    assert not pouring.is_alive()


def test_a_status_counts_though_the_body_never_comes(there: Receiver) -> None:
    there.conduct = lambda _request, _before: STALL
    assert send(there, timeout_s=0.5).status == 200


def test_nobody_there_is_a_failure_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").error.startswith("The connection failed")
    assert "was not found" in send("https://no-such-host.invalid/").error
    assert send("https://0177.0.0.1/").error.startswith("The URL cannot be used")


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "٣", "12345678901", ""])
def test_other_ways_to_ask_for_a_retry_are_not_looked_at(there: Receiver, asked: str) -> None:
    there.conduct = lambda _request, _before: 503
    there.headers = {"retry-after": asked.encode("utf-8").decode("latin-1")}
    assert send(there).retry_after_s is None


# --- where to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_nothing_inside_is_connected_to(there: Receiver, host: str) -> None:
    """However the address is written; the answer says which setting would allow it."""
    answer = send(there.url.replace("127.0.0.1", host), allow_private=False)
    assert answer.status is None and "webhooks.allow_private" in answer.error
    assert there.received == []


def test_a_host_with_one_address_inside_is_refused(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["8.8.8.8", "127.0.0.1"])
    answer = send(f"http://hook.test:{there.port}/", allow_private=False)
    assert "hook.test lies inside" in answer.error and "127.0.0.1" not in answer.error
    assert there.received == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads inside when it is asked again (DNS rebinding) leads nowhere: it is asked once."""
    asked = names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    monkeypatch.setattr(outgoing, "is_public", lambda address: address == "127.0.0.2")  # nobody listens there
    answer = send(f"http://hook.test:{there.port}/", allow_private=False)
    assert answer.error.startswith("The connection failed")
    assert asked == ["hook.test"] and there.received == []


def test_an_address_that_cannot_be_reached_is_passed_over(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of IPv6 where there is none; the receiver sees the name that it was called by."""
    names(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    assert send(f"http://hook.test:{there.port}/x").ok
    assert there.accepted[0].headers["host"] == f"hook.test:{there.port}"


def test_proxies_of_the_environment_are_not_used(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One would connect to addresses that nobody looked at."""
    with receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(there).ok
        assert proxy.received == []


# --- https -----------------------------------------------------------------------------------------------


def test_the_certificate_must_be_of_the_hosts_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the connection goes to an address: another host's certificate, or one of nobody, is refused."""
    made = a_certificate(tmp_path, "hook.test")
    names(monkeypatch, ["127.0.0.1"])
    with https_receiver(made) as port:
        assert "certificate" in send(f"https://hook.test:{port}/").error.lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        assert send(f"https://hook.test:{port}/").status == 204
        assert "other.test" in send(f"https://other.test:{port}/").error


def a_certificate(folder: Path, name: str) -> Path:
    """Key and self-signed certificate in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _read_request(connection: socket.socket) -> None:
    """All of it: who hangs up before is taken for a broken connection, though it has answered."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]):
        body += connection.recv(65_536)


class https_receiver:  # noqa: N801 - a context manager
    """Answers 204 to whoever trusts it; gives its port."""

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listening.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=20)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    _read_request(connection)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                plain.close()
