"""Projects with their recipes and policies, and the champion pointer.

Every transaction begins with a project and few change one: what was read stays for later transactions, which ask for
the revision of the configuration only. A revision is shared between transactions once it is committed, so that one
that is rolled back leaves nothing.
"""

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, select, update

from loop.domain.errors import Conflict, NotFound
from loop.domain.project import Project, Recipe
from loop.domain.routing import Policy
from loop.store.configuration import REVISION, raise_revision, revision_in
from loop.store.schema import policies, projects, recipes
from loop.store.statements import columns, first, inserted

# A project with its current recipe and policy, in one query.
_CURRENT = (
    select(
        projects.c.id,
        projects.c.champion_id,
        projects.c.created_at,
        *(recipes.c[field.name].label(f"recipe_{field.name}") for field in fields(Recipe)),
        *(policies.c[field.name].label(f"policy_{field.name}") for field in fields(Policy)),
    )
    .join(recipes, and_(recipes.c.project_id == projects.c.id, recipes.c.version == projects.c.recipe_version))
    .join(policies, and_(policies.c.project_id == projects.c.id, policies.c.version == projects.c.policy_version))
)
# One statement, so that both are of one moment.
_CURRENT_OF = _CURRENT.add_columns(REVISION.scalar_subquery().label("revision")).where(
    projects.c.id == bindparam("project_id")
)

# By id, with the revision at which they were read.
KeptProjects = dict[str, tuple[int, Project]]


class SqlProjects:
    """Implements `loop.domain.ports.Projects`. kept: of all transactions of this database."""

    def __init__(self, connection: Connection, kept: KeptProjects) -> None:
        self._connection = connection
        self._kept = kept
        self._read: KeptProjects = {}  # what this transaction decides by

    def add(self, project: Project) -> None:
        raise_revision(self._connection)
        row = {
            "id": project.id,
            "recipe_version": project.recipe.version,
            "policy_version": project.policy.version,
            "champion_id": project.champion_id,
            "created_at": project.created_at,
        }
        if not inserted(self._connection, projects, row):
            raise Conflict(
                f"there is a project {project.id!r} already.", hint="Choose another name.", project=project.id
            )
        for table, record in ((recipes, project.recipe), (policies, project.policy)):
            self._connection.execute(insert(table).values(project_id=project.id, **columns(record)))

    def get(self, project_id: str) -> Project:
        kept = self._read.get(project_id) or self._kept.get(project_id)
        if kept is not None and kept[0] == revision_in(self._connection):
            self._read[project_id] = kept
            return kept[1]
        row = self._connection.execute(_CURRENT_OF, {"project_id": project_id}).first()
        if row is None:
            raise self._unknown(project_id)
        project = _project(row)
        if row.revision is not None:
            self._read[project_id] = row.revision, project
        return project

    def seen(self, project_id: str) -> Project:
        """As this transaction decided by it: not asked for again, whatever others have committed meanwhile."""
        read = self._read.get(project_id)
        return self.get(project_id) if read is None else read[1]

    def committed(self) -> None:
        """What this transaction saw is what others see."""
        self._kept |= self._read

    def hold(self, project_id: str) -> None:
        # As strong as it can be without keeping away rows that refer to the project.
        self._connection.execute(
            select(projects.c.id).where(projects.c.id == project_id).with_for_update(key_share=True)
        )

    def all(self) -> list[Project]:
        """In the order of the ids."""
        return [_project(row) for row in self._connection.execute(_CURRENT.order_by(projects.c.id))]

    def save_policy(self, project_id: str, policy: Policy) -> None:
        """Raises NotFound for the project, Conflict where it has a policy of this version."""
        self._changing(project_id)
        self._locked(project_id)
        if not inserted(self._connection, policies, {"project_id": project_id, **columns(policy)}):
            raise _taken("policy", project_id, policy.version)
        self._point(project_id, policy_version=policy.version)

    def save_recipe(self, project_id: str, recipe: Recipe) -> None:
        """Keeps the old versions. Raises NotFound for the project, Conflict where it has this version."""
        self._changing(project_id)
        self._locked(project_id)
        if not inserted(self._connection, recipes, {"project_id": project_id, **columns(recipe)}):
            raise _taken("recipe", project_id, recipe.version)
        self._point(project_id, recipe_version=recipe.version)

    def recipe(self, project_id: str, version: int) -> Recipe:
        row = first(self._connection, recipes, project_id=project_id, version=version)
        if row is None:
            newest = self.get(project_id).recipe.version
            raise NotFound(
                f"project {project_id!r} has no version {version} of its recipe.",
                hint=f"The newest is {newest}.",
                project=project_id,
                version=version,
            )
        return _recipe(row)

    def recipes(self, project_id: str) -> list[Recipe]:
        rows = self._connection.execute(
            select(recipes).where(recipes.c.project_id == project_id).order_by(recipes.c.version.desc())
        )
        return [_recipe(row) for row in rows]

    def move_champion(self, project_id: str, *, expected: str | None, to: str) -> bool:
        """Compare and swap; of callers with the same `expected` one gets True. False for an unknown project."""
        self._changing(project_id)
        # One statement: PostgreSQL checks the condition again on the row that a rival has just committed.
        moved = self._connection.execute(
            update(projects)
            .where(projects.c.id == project_id, projects.c.champion_id.is_not_distinct_from(expected))
            .values(champion_id=to)
        )
        return moved.rowcount == 1

    def _changing(self, project_id: str) -> None:
        raise_revision(self._connection)
        self._read.pop(project_id, None)

    def _locked(self, project_id: str) -> None:
        """Versions of one project are given out one after the other."""
        locked = select(projects.c.id).where(projects.c.id == project_id).with_for_update()
        if self._connection.execute(locked).first() is None:
            raise self._unknown(project_id)

    def _point(self, project_id: str, **version: int) -> None:
        self._connection.execute(update(projects).where(projects.c.id == project_id).values(**version))

    def _unknown(self, project_id: str) -> NotFound:
        known = self._connection.execute(select(projects.c.id).order_by(projects.c.id)).scalars().all()
        hint = f"There is: {', '.join(known)}." if known else "There is none yet: askance project create."
        return NotFound(f"there is no project {project_id!r}.", hint=hint, project=project_id)


def _project(row: Row[Any]) -> Project:
    values = row._mapping
    return Project(
        id=row.id,
        recipe=Recipe(**{field.name: values[f"recipe_{field.name}"] for field in fields(Recipe)}),
        policy=Policy(**{field.name: values[f"policy_{field.name}"] for field in fields(Policy)}),
        champion_id=row.champion_id,
        created_at=row.created_at,
    )


def _recipe(row: Row[Any]) -> Recipe:
    return Recipe(**{field.name: row._mapping[field.name] for field in fields(Recipe)})


def _taken(what: str, project_id: str, version: int) -> Conflict:
    return Conflict(
        f"project {project_id!r} has version {version} of its {what} already.",
        hint="Read the project again and save the change as its next version.",
        project=project_id,
        version=version,
    )
