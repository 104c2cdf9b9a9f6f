"""Webhooks on the wire: signed as Standard Webhooks says, posted to an address that was looked at first.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

An operator names the URL, so what it leads to is not trusted (server-side request forgery). The host is looked up once
for each post, every address of it must be public, and the connection goes to one of the very addresses that were looked
at; the certificate is checked against the host's name. Redirects are not followed and proxies of the environment not
used. No connection is kept: one address may stand for several hosts.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import httpx
from standardwebhooks import Webhook

from loop.domain.outgoing.addresses import is_public
from loop.domain.outgoing.webhooks import Answer, Endpoint, private_refused, valid_secrets
from loop.domain.ports import Clock

_USER_AGENT = "Askance-Webhooks/1"
# Of an answer's body, for the person who looks for what is wrong; the rest is not read, nor waited for.
_SAID = 200  # characters
_SAID_SECONDS = 1.0
# A host may have addresses that cannot be reached from here, such as those of IPv6.
_MOST_ADDRESSES = 4
# Look-ups cannot be cancelled: those of hosts whose name server is silent must not keep others waiting.
_LOOKUPS = 128


class _NotSent(Exception):
    """Why nothing was posted, in words."""


class HttpSender:
    """Implements `loop.domain.ports.Sender`, for any number of event loops."""

    def __init__(self, *, allow_private: bool, timeout_s: float, clock: Clock) -> None:
        """timeout_s: from the look-up to the status, all in all."""
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._clock = clock
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="webhook-lookup")  # begins without threads

    async def send(self, endpoint: Endpoint, message_id: str, body: str) -> Answer:
        begun = time.perf_counter()
        try:
            status, retry_after, said = await self._posted(endpoint, message_id, body)
        except TimeoutError:
            return _failed(begun, f"It did not answer within {self._timeout_s:g} s.")
        except _NotSent as refused:
            return _failed(begun, str(refused))
        except httpx.InvalidURL as wrong:
            return _failed(begun, f"The URL cannot be used: {_plain(str(wrong))}.")
        except (httpx.HTTPError, OSError, ValueError) as broken:
            return _failed(begun, f"The connection failed: {_plain(str(broken)) or type(broken).__name__}.")
        return Answer(
            status=status,
            error="" if 200 <= status < 300 else f"It answered {status}. {said}".strip(),
            milliseconds=_since(begun),
            said=said,
            retry_after_s=_seconds(retry_after),
        )

    async def _posted(self, endpoint: Endpoint, message_id: str, body: str) -> tuple[int, str, str]:
        """Status, the header Retry-After, and the beginning of the body."""
        async with asyncio.timeout(self._timeout_s) as deadline:
            url = httpx.URL(endpoint.url)
            addresses = await self._addresses(url)
            timeout = httpx.Timeout(self._timeout_s, connect=self._timeout_s / len(addresses))
            headers = {**self._headers(endpoint, message_id, body), "host": url.netloc.decode()}
            async with httpx.AsyncClient(verify=self._certificates, trust_env=False, timeout=timeout) as client:
                response = await _first_reached(
                    client,
                    [
                        client.build_request(
                            "POST",
                            url.copy_with(host=address),
                            content=body.encode(),
                            headers=headers,
                            extensions={"sni_hostname": url.raw_host.decode()},
                        )
                        for address in addresses
                    ],
                )
                deadline.reschedule(None)  # the status is what counts
                try:
                    return response.status_code, response.headers.get("retry-after", ""), await _said(response)
                finally:
                    await response.aclose()

    def _headers(self, endpoint: Endpoint, message_id: str, body: str) -> dict[str, str]:
        now = self._clock()
        secrets = valid_secrets(endpoint, now)
        return {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "connection": "close",
            "accept-encoding": "identity",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(Webhook(secret.value).sign(message_id, now, body) for secret in secrets),
        }

    async def _addresses(self, url: httpx.URL) -> Sequence[str]:
        """Some of the host's. Raises _NotSent where there are none, or where one of all may not be connected to."""
        host = url.raw_host.decode()
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._lookups, lambda: socket.getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError) as error:
            raise _NotSent(f"The host {host} was not found: {_plain(str(error))}.") from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise _NotSent(str(private_refused(host)))  # not where it leads: that is the network's own
        return addresses[:_MOST_ADDRESSES]

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


async def _first_reached(client: httpx.AsyncClient, requests: Sequence[httpx.Request]) -> httpx.Response:
    """The answer to the first of the requests that finds somebody to connect to."""
    for request in requests[:-1]:
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return await client.send(requests[-1], stream=True)


async def _said(response: httpx.Response) -> str:
    try:
        async with asyncio.timeout(_SAID_SECONDS):
            async for chunk in response.aiter_raw():
                return _plain(chunk[: 4 * _SAID].decode("utf-8", "replace"))[:_SAID]
    except (TimeoutError, httpx.HTTPError):
        pass
    return ""


def _failed(begun: float, error: str) -> Answer:
    return Answer(status=None, error=error, milliseconds=_since(begun))


def _since(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)


def _seconds(retry_after: str) -> float | None:
    """Of the header, where it is a number; dates are not looked at."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else None


def _plain(text: str) -> str:
    """One printable line."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
