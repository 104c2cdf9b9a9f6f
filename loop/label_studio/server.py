"""Label Studio on the wire: the few routes of its API that the bridge needs (https://api.labelstud.io).

Its own SDK speaks the same routes; it is not used since it brings pandas, opencv, lxml, nltk and code generators of
bounded versions (docs/dependencies.md).

As with webhooks the host is looked up for each call, every address of it must be public unless the settings say
otherwise, and the connection goes to one of the very addresses that were looked at. Redirects are not followed and
proxies of the environment not used. The token is sent in a header, and never logged, told or kept elsewhere.
"""

import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from loop.domain.errors import AskanceError, Conflict, Invalid, NotFound, SettingsError, Unavailable
from loop.domain.outgoing.addresses import is_public
from loop.domain.outgoing.label_studio import (
    KEY,
    Annotation,
    RemoteProject,
    RemoteTask,
    checked_server,
    is_refresh_token,
    private_server,
)

PAGE = 50  # tasks
_BY_NUMBER = json.dumps({"ordering": ["tasks:id"]})
_SAID = 300  # characters of an answer, for the person who looks for what is wrong
_MOST_BYTES = 64 * 2**20  # of one answer


@dataclass(slots=True)
class HttpLabelStudio:
    """Implements `loop.domain.ports.LabelStudio`. url, token: "" where none is set. Safe for several threads."""

    url: str
    token: str = field(repr=False)
    allow_private: bool
    timeout_s: float
    _access: str = field(default="", repr=False)
    _client: httpx.Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        if not self.url or not self.token:
            missing = "label_studio.url" if not self.url else "label_studio.token"
            raise SettingsError(
                f"{missing} is not set, so there is no Label Studio to speak to.",
                hint="Set ASKANCE_LABEL_STUDIO__URL and ASKANCE_LABEL_STUDIO__TOKEN (docs/label-studio.md), "
                "and start the service again.",
            )
        return checked_server(self.url, allow_private=self.allow_private)

    def project(self, title: str, interface: str) -> RemoteProject:
        answer = self._json("GET", "/api/projects/", params={"title": title, "page_size": PAGE})
        found = [one for one in _listed(answer, "results") if one.get("title") == title]
        if len(found) > 1:
            raise Conflict(
                f"Label Studio has {len(found)} projects called {title!r}.",
                hint="Give all but one another title there, or push to another title.",
            )
        made = found[0] if found else self._json(
            "POST", "/api/projects/", body={"title": title, "label_config": interface}
        )  # fmt: skip
        return RemoteProject(_number(made, "id"), str(made.get("label_config") or ""))

    def upload(self, place: int, name: str, content: bytes, *, again: bool) -> str:
        if again:
            there = self._json("GET", f"/api/projects/{place}/file-uploads", params={"all": "true"})
            for one in there if isinstance(there, list) else ():
                if str(one.get("file", "")).endswith(f"-{name}"):
                    return f"/data/{one['file']}"
        answer = self._json(
            "POST",
            f"/api/projects/{place}/import",
            params={"commit_to_project": "false"},
            files={"file": (name, content, "application/octet-stream")},
        )
        (uploaded,) = answer.get("file_upload_ids") or [None]
        file = self._json("GET", f"/api/import/file-upload/{uploaded}")
        return f"/data/{file['file']}"

    def send(self, place: int, body: Mapping[str, object]) -> int | None:
        answer = self._json(
            "POST", f"/api/projects/{place}/import", params={"return_task_ids": "true"}, body=[dict(body)]
        )
        made = answer.get("task_ids") or []
        return int(made[0]) if made else None

    def find(self, place: int, key: str) -> list[int]:
        condition = {"filter": f"filter:tasks:data.{KEY}", "operator": "equal", "type": "String", "value": key}
        query = json.dumps({"filters": {"conjunction": "and", "items": [condition]}})
        answer = self._json("GET", "/api/tasks/", params={"project": place, "query": query, "fields": "task_only"})
        return sorted(_number(one, "id") for one in _listed(answer, "tasks") if _key(one) == key)

    def tasks(self, place: int, page: int) -> tuple[list[RemoteTask], bool]:
        asked = {"project": place, "page": page, "page_size": PAGE, "fields": "task_only", "query": _BY_NUMBER}
        try:
            answer = self._json("GET", "/api/tasks/", params=asked)
        except NotFound as error:
            if page == 1:
                raise NotFound(
                    f"Label Studio has no project {place} that the token may see.",
                    hint="Where it was deleted, call its tasks back: askance label-studio release --all.",
                ) from error
            return [], True  # there is no such page any more
        listed = _listed(answer, "tasks")
        return [_remote(one) for one in listed], page * PAGE >= int(answer.get("total") or 0) or not listed

    def annotations(self, remote: int) -> list[Annotation] | None:
        try:
            body = self._json("GET", f"/api/tasks/{remote}/")
        except NotFound:
            return None
        return [_annotation(one) for one in _listed(body, "annotations")]

    def delete(self, remote: int) -> None:
        try:
            self._asked("DELETE", f"/api/tasks/{remote}/")
        except NotFound:
            return

    # --- calls ------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, **request: Any) -> Any:
        response = self._asked(method, path, **request)
        try:
            return response.json()
        except ValueError as error:
            raise _not_as_expected(method, path, "it sent no JSON") from error

    def _asked(self, method: str, path: str, *, body: object = None, **request: Any) -> httpx.Response:
        """Raises NotFound, Invalid, SettingsError, Unavailable; an access token that ran out is renewed once."""
        if body is not None:
            request["json"] = body
        response = self._sent(method, path, headers=self._authorization(renew=False), **request)
        if response.status_code == 401 and is_refresh_token(self.token):
            response = self._sent(method, path, headers=self._authorization(renew=True), **request)
        if response.status_code < 300:
            return response
        raise _refusal(method, path, response)

    def _authorization(self, *, renew: bool) -> dict[str, str]:
        self.address  # noqa: B018 - raises where nothing is set
        if not is_refresh_token(self.token):
            return {"Authorization": f"Token {self.token}"}
        with self._lock:
            if renew or not self._access:
                response = self._sent("POST", "/api/token/refresh", json={"refresh": self.token})
                if response.status_code != 200:
                    raise _refusal("POST", "/api/token/refresh", response)
                self._access = str(response.json().get("access"))
            return {"Authorization": f"Bearer {self._access}"}

    def _sent(self, method: str, path: str, **request: Any) -> httpx.Response:
        """With the whole body, which is bounded: it is held in memory."""
        content = bytearray()
        try:
            with self._connected().stream(method, f"{self.address}{path}", **request) as response:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > _MOST_BYTES:
                        raise _not_as_expected(method, path, f"more than {_MOST_BYTES // 2**20} MB")
            return httpx.Response(response.status_code, content=bytes(content))
        except AskanceError:
            raise
        except httpx.TimeoutException as slow:
            raise Unavailable(
                f"Label Studio did not answer {method} {path} within {self.timeout_s:g} s.",
                hint="Try again; what was begun is finished by the next call.",
            ) from slow
        except (httpx.HTTPError, OSError) as broken:
            raise Unavailable(
                f"Label Studio cannot be reached: {broken}.", hint="Check label_studio.url, and that it runs."
            ) from broken

    def _connected(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(
                transport=_LookedAt(self.allow_private),
                timeout=self.timeout_s,
                headers={"user-agent": "Askance-Label-Studio/1"},
            )
        return self._client


class _LookedAt(httpx.BaseTransport):
    """Connects to an address of the host that was looked at; the certificate is checked against the host's name."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        # Connections are not kept: one address may stand for several hosts.
        self._inner = httpx.HTTPTransport(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode()
        found = socket.getaddrinfo(host, request.url.port or request.url.scheme, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise private_server(host)
        request.extensions = {**request.extensions, "sni_hostname": host}
        return self._first_reached(request, addresses)

    def _first_reached(self, request: httpx.Request, addresses: list[str]) -> httpx.Response:
        url = request.url
        for address in addresses[:-1]:
            request.url = url.copy_with(host=address)
            try:
                return self._inner.handle_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        request.url = url.copy_with(host=addresses[-1])
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def _refusal(method: str, path: str, response: httpx.Response) -> AskanceError:
    said = "".join(one if one.isprintable() else " " for one in response.text[:_SAID])
    if response.status_code == 404:
        return NotFound(f"Label Studio has no {path}.", hint="It was deleted there, or the token may not see it.")
    if response.status_code in (401, 403):
        return SettingsError(
            f"Label Studio refuses the token for {method} {path} ({response.status_code}).",
            hint="Set label_studio.token to a personal access token, or to a legacy token where the organization "
            "allows these, of somebody who may manage projects there.",
        )
    if response.status_code in (400, 413, 422):
        return Invalid(f"Label Studio does not take it: {said}", hint="Check the project's labelling interface there.")
    return _not_as_expected(method, path, f"{response.status_code} {said}".strip())


def _not_as_expected(method: str, path: str, what: str) -> Unavailable:
    return Unavailable(
        f"Label Studio did not answer {method} {path} as expected: {what}.",
        hint="Check label_studio.url, and Label Studio's own log; then try again.",
    )


# --- what it says -------------------------------------------------------------------------------


def _listed(answer: object, name: str) -> list[dict[str, Any]]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise _not_as_expected("GET", name, f"no list of {name}")
    return [one for one in found if isinstance(one, dict)]


def _number(body: object, name: str) -> int:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, int):
        raise _not_as_expected("GET", name, f"no number as {name}")
    return found


def _remote(one: Mapping[str, Any]) -> RemoteTask:
    answers = int(one.get("total_annotations") or 0) + int(one.get("cancelled_annotations") or 0)
    return RemoteTask(id=_number(one, "id"), key=_key(one), changed=str(one.get("updated_at")), answers=answers)


def _key(task: Mapping[str, Any]) -> str:
    data = task.get("data")
    return str(data.get(KEY) or "") if isinstance(data, dict) else ""


def _annotation(body: Mapping[str, Any]) -> Annotation:
    author, seconds, result = body.get("completed_by"), body.get("lead_time"), body.get("result")
    email = author.get("email") if isinstance(author, dict) else author
    spent = isinstance(seconds, int | float) and 0 <= seconds < 10**8
    return Annotation(
        id=_number(body, "id"),
        author=str(email or ""),
        result=result if isinstance(result, list) else [],
        cancelled=bool(body.get("was_cancelled")),
        ground_truth=bool(body.get("ground_truth")),
        seconds=float(seconds) if spent and seconds is not None else None,
    )
