"""Who may call: tokens of people and programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from loop.domain.access import Permission, Role, Token, require, valid
from loop.domain.errors import Conflict
from loop.domain.identity import digest_of, new_id
from loop.domain.ports import INSTALLATION, Clock, Entropy, Event, Store


@dataclass(frozen=True, slots=True)
class Tokens:
    store: Store
    clock: Clock
    entropy: Entropy

    def create(
        self, name: str, role: Role, project_id: str | None, *, actor: str = "service", again: bool = False
    ) -> tuple[Token, str]:
        """A token and its secret, which is shown once and kept only as a digest. again: also where the name is taken.

        Raises Conflict where a token of this name is valid in a project that this one is for: the history tells people
        and programs by their names.
        """
        secret = "ask_" + self.entropy(24).hex()
        now = self.clock()
        token = Token(
            id=new_id("tok", now, self.entropy(10)),
            name=name,
            role=role,
            secret_digest=digest_of(secret.encode()),
            project_id=project_id,
            created_at=now,
        )
        with self.store.begin() as tx:
            if project_id is not None:
                tx.projects.get(project_id)
            tx.tokens.add(token)
            # Since `add` nobody else makes a token until this transaction ends; before, another may have had the name.
            if not again:
                _require_name_free(token, tx.tokens.all())
            tx.events.add(_token_event("token.created", token, actor, now))
        return token, secret

    def seen_by(self, operator: Token) -> list[Token]:
        """Oldest first, the revoked ones too; for an operator of one project, those of that project."""
        with self.store.read() as tx:
            return [token for token in tx.tokens.all() if operator.project_id in (None, token.project_id)]

    def revoke(self, operator: Token, token_id: str) -> None:
        """Its secret counts no more; of a token that was revoked before, nothing changes.

        Raises NotFound, and Forbidden for a token that is not of the operator's project.
        """
        now = self.clock()
        with self.store.begin() as tx:
            token = tx.tokens.get(token_id)
            require(operator, Permission.OPERATE, token.project_id)
            if tx.tokens.revoke(token_id, now):
                tx.events.add(_token_event("token.revoked", token, operator.name, now))

    def authenticate(self, secret: str) -> Token:
        """Whose secret this is. Raises Unauthenticated."""
        with self.store.read() as tx:
            return valid(tx.tokens.by_secret(digest_of(secret.encode())))


def _require_name_free(token: Token, known: Sequence[Token]) -> None:
    for one in known:
        together = one.project_id == token.project_id or None in (one.project_id, token.project_id)
        if one.id != token.id and one.name == token.name and one.revoked_at is None and together:
            where = "all projects" if one.project_id is None else one.project_id
            raise Conflict(
                f"there is a {one.role} token {token.name!r} for {where} already: {one.id}.",
                hint=f"Take another name, or end that one first: askance token revoke {one.id}.",
                token=one.id,
            )


def _token_event(kind: str, token: Token, actor: str, now: datetime) -> Event:
    """In the history of its project; a token for all projects is of the whole installation's."""
    body: dict[str, object] = {"token_id": token.id, "name": token.name, "role": token.role}
    return Event(kind, token.project_id or INSTALLATION, actor, body, now)
