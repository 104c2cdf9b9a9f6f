"""Cycles and their progress."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select, update

from loop.domain.cycle import Cycle
from loop.domain.errors import Conflict, CycleRunning
from loop.domain.policy.slice_rules import SliceRule
from loop.domain.policy.triggers import TriggerRules, rules_from_json, rules_to_json
from loop.store.configuration import raise_revision
from loop.store.schema import UNFINISHED_CYCLE, cycles, slices, triggers
from loop.store.statements import columns, first, inserted, newest_first, not_found, one, replaced

# What a cycle is from its first row on, and what is written by `recorded`, while somebody works on it.
_FIXED = frozenset({"id", "project_id", "actor", "reason", "recipe", "created_at", "mlflow_run_id"})


class SqlCycles:
    """Implements `loop.domain.ports.Cycles`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, cycle: Cycle) -> None:
        raise_revision(self._connection)
        if inserted(self._connection, cycles, columns(cycle)):
            return
        running = self._connection.execute(
            select(cycles.c.id).where(cycles.c.project_id == cycle.project_id, UNFINISHED_CYCLE)
        ).scalar()
        raise CycleRunning(
            f"project {cycle.project_id!r} has the unfinished cycle {running}.",
            hint="Wait until it has ended (askance cycle list).",
            project=cycle.project_id,
            cycle=running,
        )

    def get(self, project_id: str, cycle_id: str) -> Cycle:
        """Raises NotFound."""
        return Cycle(**one(self._connection, cycles, "cycle", project_id=project_id, id=cycle_id)._mapping)

    def unfinished(self) -> list[Cycle]:
        rows = self._connection.execute(
            select(cycles).where(UNFINISHED_CYCLE).order_by(cycles.c.created_at, cycles.c.id)
        )
        return [Cycle(**row._mapping) for row in rows]

    def ended(self, cycle_ids: Collection[str]) -> list[Cycle]:
        rows = self._connection.execute(select(cycles).where(cycles.c.id.in_(cycle_ids)))
        return [cycle for row in rows if (cycle := Cycle(**row._mapping)).state.finished]

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Cycle]:
        """Newest first; `after` is a cycle id."""
        rows = newest_first(self._connection, cycles, key=cycles.c.id, project_id=project_id, after=after, limit=limit)
        return [Cycle(**row._mapping) for row in rows]

    def froze(self, project_id: str, snapshot_digest: str) -> list[Cycle]:
        rows = self._connection.execute(
            select(cycles)
            .where(cycles.c.project_id == project_id, cycles.c.snapshot_digest == snapshot_digest)
            .order_by(cycles.c.created_at.desc(), cycles.c.id.desc())
        )
        return [Cycle(**row._mapping) for row in rows]

    def count_judged(self, project_id: str, evaluation_set: str) -> int:
        of_project = select(cycles.c.evaluation, cycles.c.decision).where(cycles.c.project_id == project_id)
        rows = self._connection.execute(of_project)
        return sum(bool(decision) and evaluation.get("set") == evaluation_set for evaluation, decision in rows)

    def triggers(self, project_id: str) -> TriggerRules:
        row = first(self._connection, triggers, project_id=project_id)
        return TriggerRules() if row is None else rules_from_json(row.rules)

    def save_triggers(self, project_id: str, rules: TriggerRules) -> None:
        replaced(self._connection, triggers, {"project_id": project_id, "rules": rules_to_json(rules)})

    def slices(self, project_id: str) -> tuple[SliceRule, ...]:
        row = first(self._connection, slices, project_id=project_id)
        return () if row is None else tuple(SliceRule(view, margin) for view, margin in sorted(row.margins.items()))

    def save_slices(self, project_id: str, rules: Sequence[SliceRule]) -> None:
        margins = {rule.view: rule.margin for rule in rules}
        replaced(self._connection, slices, {"project_id": project_id, "margins": margins})

    def save(self, cycle: Cycle) -> None:
        """Write how far an unfinished cycle is; actor, reason and recipe never change, and its run is written by
        `recorded`.

        Raises Conflict where it has ended, NotFound.
        """
        progress = {name: value for name, value in columns(cycle).items() if name not in _FIXED}
        done = self._connection.execute(
            update(cycles)
            .where(cycles.c.project_id == cycle.project_id, cycles.c.id == cycle.id, UNFINISHED_CYCLE)
            .values(**progress)
        )
        if done.rowcount == 0:
            stored = self.get(cycle.project_id, cycle.id)
            raise Conflict(f"cycle {stored.id} is {stored.state}.", hint="Start another cycle.", cycle=stored.id)

    def recorded(self, project_id: str, cycle_id: str, mlflow_run_id: str) -> None:
        """Write which run MLflow has of it, also where it has ended. Raises NotFound."""
        done = self._connection.execute(
            update(cycles)
            .where(cycles.c.project_id == project_id, cycles.c.id == cycle_id)
            .values(mlflow_run_id=mlflow_run_id)
        )
        if done.rowcount == 0:
            raise not_found("cycle", project_id=project_id, id=cycle_id)
