"""Rollouts: the models beside the champions, which the serving process works off."""

from sqlalchemy import Connection, select, update

from loop.domain.errors import Conflict
from loop.domain.rollouts.canary import CanaryStanding
from loop.domain.rollouts.rollout import Rollout, RolloutState, ShadowAnswer
from loop.store.configuration import raise_revision
from loop.store.schema import UNFINISHED_ROLLOUT, rollouts, shadow_answers
from loop.store.statements import columns, inserted, one


class SqlRollouts:
    """Implements `loop.domain.ports.Rollouts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, rollout: Rollout) -> None:
        """Raises Conflict where the project has an unfinished one of this kind, naming it."""
        raise_revision(self._connection)
        if inserted(self._connection, rollouts, columns(rollout)):
            return
        running = self._connection.execute(
            select(rollouts).where(
                rollouts.c.project_id == rollout.project_id, rollouts.c.kind == rollout.kind, UNFINISHED_ROLLOUT
            )
        ).first()
        known = Rollout(**running._mapping) if running else rollout
        raise Conflict(
            f"project {rollout.project_id!r} has a {rollout.kind} already: {known.model_id} ({known.state}).",
            hint=f"End it first: askance models end {rollout.kind}.",
            project=rollout.project_id,
            rollout=known.id,
        )

    def get(self, project_id: str, rollout_id: str) -> Rollout:
        """Raises NotFound."""
        return Rollout(**one(self._connection, rollouts, "rollout", project_id=project_id, id=rollout_id)._mapping)

    def unfinished(self) -> list[Rollout]:
        rows = self._connection.execute(
            select(rollouts).where(UNFINISHED_ROLLOUT).order_by(rollouts.c.created_at, rollouts.c.id)
        )
        return [Rollout(**row._mapping) for row in rows]

    def of_project(self, project_id: str) -> list[Rollout]:
        rows = self._connection.execute(
            select(rollouts)
            .where(rollouts.c.project_id == project_id)
            .order_by(rollouts.c.created_at.desc(), rollouts.c.id.desc())
        )
        return [Rollout(**row._mapping) for row in rows]

    def save(self, rollout: Rollout, *, expected: RolloutState) -> bool:
        """Of callers with the same `expected` one gets True. False for an unknown rollout."""
        raise_revision(self._connection)
        done = self._connection.execute(
            update(rollouts)
            .where(
                rollouts.c.project_id == rollout.project_id, rollouts.c.id == rollout.id, rollouts.c.state == expected
            )
            .values(
                state=rollout.state,
                error=rollout.error,
                finished_at=rollout.finished_at,
                active_at=rollout.active_at,
            )
        )
        return done.rowcount == 1

    def stands(self, rollout_id: str, standing: CanaryStanding) -> None:
        # Nothing that gateways follow: they need not read their configuration again.
        self._connection.execute(update(rollouts).where(rollouts.c.id == rollout_id).values(standing=standing))

    def add_shadow_answer(self, answer: ShadowAnswer) -> None:
        """Raises Conflict where this shadow has answered for this prediction."""
        if not inserted(self._connection, shadow_answers, columns(answer)):
            raise Conflict("the shadow has answered already.", hint="Keep the first.", prediction=answer.prediction_id)

    def shadow_answers(self, rollout_id: str, *, after: str, limit: int) -> list[ShadowAnswer]:
        rows = self._connection.execute(
            select(shadow_answers)
            .where(shadow_answers.c.rollout_id == rollout_id, shadow_answers.c.prediction_id > after)
            .order_by(shadow_answers.c.prediction_id)
            .limit(limit)
        )
        return [ShadowAnswer(**row._mapping) for row in rows]
