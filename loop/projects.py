"""Projects and their policies."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from loop.domain.policy.function_uses import FunctionUse, checked_uses, use_to_json
from loop.domain.policy.gate import gate_of
from loop.domain.policy.promises import audit_rates_of, changed_guarantee, require_kept
from loop.domain.policy.quality_rules import QualityPolicy, quality_of_document
from loop.domain.policy.queue_rules import QueueRules, checked_rules, require_known, rules_of
from loop.domain.policy.workflow import changed_workflow
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project, Recipe, checked_slug, labels_named
from loop.domain.routing import Policy


@dataclass(frozen=True, slots=True)
class Projects:
    """default_policy: what a new project begins with. functions: the custom ones that policies may name."""

    store: Store
    default_policy: Policy
    clock: Clock
    functions: Callable[[], Collection[str]] = frozenset

    def create(self, project_id: str, labels: tuple[str, ...] = (), *, recipe: Recipe | None = None) -> Project:
        """A new project without a model. recipe: instead of plain boxes with these labels. Raises Conflict where the id
        is taken."""
        project = Project(
            id=checked_slug(project_id),
            recipe=recipe or Recipe(version=1, labels=labels_named(labels), guidelines=""),
            policy=self.default_policy,
            champion_id=None,
            created_at=self.clock(),
        )
        with self.store.begin() as tx:
            tx.projects.add(project)
        return project

    def change_policy(
        self,
        project_id: str,
        actor: str,
        queue_changes: Mapping[str, Any] | None = None,
        workflow_changes: Mapping[str, Any] | None = None,
        quality_changes: Mapping[str, Mapping[str, Any]] | None = None,
        functions: Sequence[FunctionUse] | None = None,
        gate_changes: Mapping[str, Any] | None = None,
        guarantee_changes: Mapping[str, Any] | None = None,
        audit_rates: Mapping[str, Any] | None = None,
        **changes: float | int | str,
    ) -> Policy:
        """The policy with `changes` under the next version; decisions made before keep theirs. queue_changes: of the
        queue's rules, as plain values (`rules_of`). workflow_changes: as of `changed_workflow`. quality_changes: of
        `QualityPolicy`, by its parts. functions: in place of the present ones. gate_changes: of the rules for calls
        that wait. guarantee_changes: of `GuaranteeRules`. audit_rates: of `AuditRates`. Raises Invalid."""
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            old = project.policy
            queue = _changed_rules(tx, old.queue, queue_changes or {})
            workflow = changed_workflow(old.workflow, workflow_changes or {})
            quality = _changed_quality(old.quality, quality_changes or {})
            uses = old.functions if functions is None else self._checked_uses(project, functions)
            policy = replace(
                old, version=old.version + 1, queue=queue, workflow=workflow, quality=quality, functions=uses,
                gate=gate_of({**asdict(old.gate), **(gate_changes or {})}),
                guarantee=changed_guarantee(old.guarantee, guarantee_changes or {}),
                audit_rates=audit_rates_of({**asdict(old.audit_rates), **(audit_rates or {})}),
                **changes,  # type: ignore[arg-type]
            )  # fmt: skip
            require_kept(policy.guarantee, policy.audit_rates, policy.audit_rate, project.recipe.label_names)
            tx.projects.save_policy(project_id, policy)
            parts = {
                "queue": queue_changes, "workflow": workflow_changes, "quality": quality_changes, "gate": gate_changes,
                "guarantee": guarantee_changes, "audit_rates": audit_rates,
            }  # fmt: skip
            body: dict[str, object] = {
                "version": policy.version,
                # What is given as it was is no change: evidence of a promise begins anew with some.
                **{name: value for name, value in changes.items() if getattr(old, name) != value},
                **{name: part for name, part in parts.items() if part},
            }
            if functions is not None:
                body["functions"] = [use_to_json(use) for use in uses]
            tx.events.add(Event("policy.changed", project_id, actor, body, self.clock()))
        return policy

    def _checked_uses(self, project: Project, uses: Sequence[FunctionUse]) -> tuple[FunctionUse, ...]:
        keys = {label.key: f"the label {label.name}" for label in project.recipe.labels if label.key}
        return checked_uses(uses, installed=self.functions(), label_keys=keys)


def _changed_rules(tx: Transaction, old: QueueRules, changes: Mapping[str, Any]) -> QueueRules:
    if not changes:
        return old
    rules = checked_rules(rules_of({**asdict(old), **changes}))
    people = tx.people.all().values()
    require_known(
        rules,
        groups=frozenset(group for person in people for group in person.groups),
        skills=frozenset(skill for person in people for skill in person.skills),
    )
    return rules


def _changed_quality(old: QualityPolicy, changes: Mapping[str, Mapping[str, Any]]) -> QualityPolicy:
    present = asdict(old)
    return quality_of_document({part: {**values, **changes.get(part, {})} for part, values in present.items()})
