"""Projects with the versions of their recipes and policies, tokens, and what gateways keep of both."""

from datetime import datetime
from typing import Protocol

from loop.domain.access import Token
from loop.domain.project import Project, Recipe
from loop.domain.routing import Policy


class Projects(Protocol):
    def add(self, project: Project) -> None:
        """Raises Conflict where the id is taken."""
        ...

    def get(self, project_id: str) -> Project:
        """Raises NotFound, naming the projects that exist."""
        ...

    def all(self) -> list[Project]: ...
    def save_policy(self, project_id: str, policy: Policy) -> None:
        """Keeps the old versions. Raises Conflict where this version exists."""
        ...

    def save_recipe(self, project_id: str, recipe: Recipe) -> None:
        """Keeps the old versions. Raises Conflict where this version exists. Until this transaction ends, nobody else
        adds a recipe, a submission or an item to the project; who waited sees this one."""
        ...

    def recipe(self, project_id: str, version: int) -> Recipe:
        """Raises NotFound."""
        ...

    def recipes(self, project_id: str) -> list[Recipe]:
        """Every version, the newest first."""
        ...

    def hold(self, project_id: str) -> None:
        """Until this transaction ends, no other one that holds it goes on from here. Who does not hold it is not kept
        from anything."""
        ...

    def move_champion(self, project_id: str, *, expected: str | None, to: str) -> bool:
        """Compare and swap the champion pointer; False where it was not `expected`."""
        ...


class Tokens(Protocol):
    def add(self, token: Token) -> None: ...
    def by_secret(self, secret_digest: str) -> Token | None:
        """The token, revoked or not."""
        ...

    def all(self) -> list[Token]: ...
    def get(self, token_id: str) -> Token: ...
    def revoke(self, token_id: str, now: datetime) -> bool:
        """Whether it was valid until now. Raises NotFound."""
        ...


class Configuration(Protocol):
    """What a gateway may keep in memory (projects, models, tokens and rollouts), and what waits for the reconcile loop
    (promotions, cycles and annotations that are new, and maps that are asked for)."""

    def revision(self) -> int:
        """Raised by every transaction that writes any of these, together with what it writes.

        Who reads it, and these in the same or a later transaction, has all that was written up to it. Equal
        revisions mean that nothing was written in between.
        """
        ...
