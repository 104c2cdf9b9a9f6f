"""Projects, the people and programs that may use them, and the models that serve them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from loop.domain.access import Permission, Role, Token, require, valid
from loop.domain.canary import CanaryRules, checked_canary_rules
from loop.domain.errors import Conflict, Invalid
from loop.domain.function_uses import FunctionUse, checked_uses, use_to_json
from loop.domain.gate import gate_of
from loop.domain.identity import digest_of, new_id
from loop.domain.model import ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.ports import INSTALLATION, Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project, Recipe, checked_slug, labels_named
from loop.domain.promises import audit_rates_of, changed_guarantee, require_kept
from loop.domain.quality_rules import QualityPolicy, quality_of_document
from loop.domain.queue_rules import QueueRules, checked_rules, require_known, rules_of
from loop.domain.rollout import Rollout, RolloutKind, RolloutLimits, RolloutState, checked_share
from loop.domain.routing import Policy
from loop.domain.workflow import changed_workflow

# Reads what a file of weights says of itself; raises BadWeights.
HeadReader = Callable[[bytes], ModelHead]

# The serving options of a model after a change, from those it has; raises Invalid.
OptionsChange = Callable[[Mapping[str, object]], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Administration:
    store: Store
    blobs: Blobs
    default_policy: Policy
    read_head: HeadReader
    clock: Clock
    entropy: Entropy
    functions: Callable[[], Collection[str]] = frozenset  # that policies may name

    # --- projects ---------------------------------------------------------------------------------

    def create_project(self, project_id: str, labels: tuple[str, ...] = (), *, recipe: Recipe | None = None) -> Project:
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

    # --- tokens -----------------------------------------------------------------------------------

    def create_token(
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

    def tokens(self, operator: Token) -> list[Token]:
        """Oldest first, the revoked ones too; for an operator of one project, those of that project."""
        with self.store.read() as tx:
            return [token for token in tx.tokens.all() if operator.project_id in (None, token.project_id)]

    def revoke_token(self, operator: Token, token_id: str) -> None:
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

    # --- models -----------------------------------------------------------------------------------

    def register_model(
        self, project_id: str, weights: bytes, actor: str, *, base: bool = False
    ) -> tuple[ModelVersion, Promotion | None]:
        """Keep weights as a model version; a project's first model is asked to serve at once. base: only for training
        to start from, as long as the project has no champion; its labels may be any.

        The same weights again give the same version back. Raises BadWeights, and Invalid for a label that
        the project does not have.
        """
        head = self.read_head(weights)
        digest = self.blobs.put(weights)
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            if not base:
                require_known_labels(project, head)
            model = tx.models.by_digest(project_id, digest)
            if model is None:
                model = self._version_of(project_id, digest, head, base=base)
                tx.models.add(model)
                tx.events.add(Event("model.registered", project_id, actor, {"model_id": model.id}, self.clock()))
            first = not base and project.champion_id is None and not _queued(tx, project_id)
            if not first:
                return model, None
            return model, self._queue(tx, project, model, PromotionKind.FIRST, actor, "the project's first model")

    def override(self, project_id: str, model_id: str, actor: str, reason: str) -> Promotion:
        """A named person makes a version champion without the gate; the reason is kept."""
        return self._ask(project_id, model_id, PromotionKind.OVERRIDE, actor, reason)

    def rollback(self, project_id: str, actor: str, reason: str) -> Promotion:
        """Back to the champion before the present one. Raises Conflict where there was none."""
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            previous = previous_champion(tx.promotions.of_project(project_id), project.champion_id)
            model = tx.models.get(project_id, previous)
            return self._queue(tx, project, model, PromotionKind.ROLLBACK, actor, reason)

    def promote_candidate(
        self, project_id: str, model_id: str, cycle_id: str, *, judged_against: str | None
    ) -> Promotion:
        """The gate was passed. Asked again for the same cycle (after a restart), gives the same promotion.

        Raises Conflict where the champion is not the one that the candidate was judged against.
        """
        with self.store.begin() as tx:
            earlier = [p for p in tx.promotions.of_project(project_id) if p.actor == cycle_id]
            if earlier:
                return earlier[0]
            project = tx.projects.get(project_id)
            if project.champion_id != judged_against:
                raise Conflict(
                    "the champion changed while the candidate was trained against the one before.",
                    hint="Run a cycle against the present champion.",
                    champion=project.champion_id,
                )
            model = tx.models.get(project_id, model_id)
            return self._queue(tx, project, model, PromotionKind.GATE, cycle_id, "passed the promotion gate")

    def configure_model(
        self, project_id: str, model_id: str, actor: str, change: OptionsChange
    ) -> tuple[ModelVersion, Promotion | None]:
        """Give a model other serving options. For the champion they are asked for, as a promotion of the kind
        RECONFIGURE, and become its own once it serves with them; another model simply keeps them until it serves.

        Raises Conflict while the model is on its way to serve or serves beside the champion.
        """
        with self.store.begin() as tx:
            model = tx.models.get(project_id, model_id)
            serving = dict(change(model.serving))
            if serving == model.serving:
                return model, None
            project = tx.projects.get(project_id)
            if model.id == project.champion_id:
                asked = self._promotion(project, model, PromotionKind.RECONFIGURE, actor, "other serving options")
                return model, self._enqueue(tx, replace(asked, serving=serving))
            tx.models.configure(project_id, model_id, serving)
            _require_at_rest(tx, project_id, model_id)
            body = {"model_id": model_id, "serving": serving}
            tx.events.add(Event("model.configured", project_id, actor, body, self.clock()))
            return replace(model, serving=serving), None

    # --- models beside the champion ---------------------------------------------------------------

    def start_rollout(
        self,
        project_id: str,
        model_id: str,
        *,
        kind: RolloutKind,
        share: float,
        limits: RolloutLimits,
        actor: str,
        reason: str,
        judging: CanaryRules | None = None,
        cycle_id: str | None = None,
    ) -> Rollout:
        """Ask for a model to take `share` of the predictions, in (0, 1], beside the champion. judging: how a canary is
        judged by what people answer; what is expected of it is what is known of the champion.

        Raises Invalid for the share, the rules or a model with foreign labels, NotFound, and Conflict where the project
        has no champion, the model is the champion, or a rollout of this kind is unfinished.
        """
        now = self.clock()
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            model = tx.models.get(project_id, model_id)
            require_known_labels(project, model.head, tx.projects.recipes(project_id))
            rollout = Rollout(
                id=new_id("rollout", now, self.entropy(10)),
                project_id=project_id,
                kind=kind,
                model_id=model.id,
                champion_id=_champion_beside(project, model, kind),
                share=checked_share(share),
                state=RolloutState.QUEUED,
                actor=actor,
                reason=reason,
                limits=limits,
                created_at=now,
                judging=None if judging is None else _expecting(tx, project, judging, kind, share),
                cycle_id=cycle_id,
            )
            tx.rollouts.add(rollout)
            # Since `add` the champion stays until this transaction ends; before, another may have moved it.
            if tx.projects.get(project_id).champion_id != rollout.champion_id:
                raise Conflict("the champion changed at this moment.", hint="Ask again.", project=project_id)
            tx.events.add(rollout_event("rollout.queued", rollout, actor, now, reason=reason))
        return rollout

    def end_rollout(self, project_id: str, rollout_id: str, actor: str, reason: str) -> Rollout:
        """A named person ends a rollout. Raises NotFound, and Conflict where it has ended."""
        with self.store.begin() as tx:
            rollout = tx.rollouts.get(project_id, rollout_id)
            ended = finish_rollout(tx, rollout, RolloutState.ENDED, reason, actor, self.clock())
            if ended is None:
                rollout = tx.rollouts.get(project_id, rollout_id)
                raise Conflict(
                    f"the {rollout.kind} {rollout.id} is {rollout.state.replace('_', ' ')} already.",
                    hint="Nothing to do.",
                    rollout=rollout.id,
                )
            return ended

    def roll_back_rollout(self, project_id: str, rollout_id: str, why: str) -> Rollout:
        """Take a rollout back because it broke its limits (loop/domain/traffic.py). Of several callers one does it;
        for the others, and for a rollout that has ended otherwise, nothing changes. Gives the rollout as it is then.
        """
        with self.store.read() as tx:
            rollout = tx.rollouts.get(project_id, rollout_id)
        if rollout.state.finished:
            return rollout
        with self.store.begin() as tx:
            done = finish_rollout(tx, rollout, RolloutState.ROLLED_BACK, why, "service", self.clock())
            return done or tx.rollouts.get(project_id, rollout_id)

    def _ask(self, project_id: str, model_id: str, kind: PromotionKind, actor: str, reason: str) -> Promotion:
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            return self._queue(tx, project, tx.models.get(project_id, model_id), kind, actor, reason)

    def _queue(
        self, tx: Transaction, project: Project, model: ModelVersion, kind: PromotionKind, actor: str, reason: str
    ) -> Promotion:
        if model.id == project.champion_id:
            raise Conflict(f"{model.id} is the champion already.", hint="Nothing to do.", model=model.id)
        return self._enqueue(tx, self._promotion(project, model, kind, actor, reason))

    def _enqueue(self, tx: Transaction, promotion: Promotion) -> Promotion:
        # Added first: from then on nobody else's can be, until this transaction ends.
        tx.promotions.add(promotion)
        if waiting := [other for other in _queued(tx, promotion.project_id) if other.id != promotion.id]:
            raise Conflict(
                f"a promotion of {waiting[0].model_id} is under way.",
                hint="Wait until it is done, then ask again.",
                promotion=waiting[0].id,
            )
        return promotion

    def _promotion(
        self, project: Project, model: ModelVersion, kind: PromotionKind, actor: str, reason: str
    ) -> Promotion:
        return Promotion(
            id=new_id("promo", self.clock(), self.entropy(10)),
            project_id=project.id,
            model_id=model.id,
            previous_id=project.champion_id,
            kind=kind,
            actor=actor,
            reason=reason,
            state=PromotionState.QUEUED,
            error="",
            created_at=self.clock(),
        )

    def _version_of(self, project_id: str, digest: str, head: ModelHead, *, base: bool) -> ModelVersion:
        now = self.clock()
        return ModelVersion(
            id=new_id("model", now, self.entropy(10)),
            project_id=project_id,
            digest=digest,
            head=head,
            origin="registered",
            cycle_id=None,
            reference_key=None,
            created_at=now,
            notes={"base": True} if base else {},
        )


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


def previous_champion(history: list[Promotion], champion_id: str | None) -> str:
    """Whom the present champion replaced when it was promoted; `history` is newest first. Rollbacks do not count, so
    that rolling back twice goes back twice. Raises Conflict where nobody was replaced."""
    staying = (PromotionKind.ROLLBACK, PromotionKind.RECONFIGURE)
    for promotion in history:
        came = promotion.state is PromotionState.ACTIVE and promotion.kind not in staying
        if came and promotion.model_id == champion_id and promotion.previous_id is not None:
            return promotion.previous_id
    raise Conflict("there is no earlier champion to go back to.", hint="Promote a version by name instead.")


def finish_rollout(
    tx: Transaction, rollout: Rollout, state: RolloutState, why: str, actor: str, now: datetime
) -> Rollout | None:
    """The rollout in its last `state`, with an event; None where it was finished already (nothing is written)."""
    done = replace(rollout, state=state, error=why, finished_at=now)
    unfinished = (known for known in RolloutState if not known.finished)
    if not any(tx.rollouts.save(done, expected=known) for known in unfinished):
        return None
    tx.events.add(rollout_event(f"rollout.{state}", rollout, actor, now, why=why))
    return done


def rollout_event(kind: str, rollout: Rollout, actor: str, now: datetime, **more: object) -> Event:
    body = {"rollout_id": rollout.id, "kind": rollout.kind, "model_id": rollout.model_id, "share": rollout.share}
    return Event(kind, rollout.project_id, actor, {**body, **more}, now)


def _champion_beside(project: Project, model: ModelVersion, kind: RolloutKind) -> str:
    if project.champion_id is None:
        raise Conflict(
            f"{project.id} has no champion that a {kind} could run beside.",
            hint="Promote a model first: askance models promote.",
            project=project.id,
        )
    if project.champion_id == model.id:
        raise Conflict(
            f"{model.id} is the champion: it answers everything already.",
            hint="Name another version (askance models list).",
            model=model.id,
        )
    return project.champion_id


def _expecting(tx: Transaction, project: Project, judging: CanaryRules, kind: RolloutKind, share: float) -> CanaryRules:
    """The rules with the champion's failure rate as it is known by now, which is before the canary has answered."""
    if kind is not RolloutKind.CANARY:
        raise Invalid("a shadow is not judged by answers.", hint="Nobody gets its answers: start a canary for that.")
    if share >= 1.0:
        raise Invalid(
            "a canary that takes all predictions leaves none to compare it with.",
            hint="Give a share below 1, or say that it is not to be judged.",
        )
    rates = (one.failure_rate for one in tx.production_figures.all() if one.project_id == project.id)
    known = next((rate for rate in rates if rate is not None), judging.expected)
    return checked_canary_rules(replace(judging, expected=known))


def _require_at_rest(tx: Transaction, project_id: str, model_id: str) -> None:
    """Raises Conflict for a model that serves, or is on its way to. What has just become so fails by itself when it
    is settled, since its options are not those it was deployed with."""
    beside = [r for r in tx.rollouts.unfinished() if (r.project_id, r.model_id) == (project_id, model_id)]
    if beside:
        raise Conflict(
            f"{model_id} runs as a {beside[0].kind}.",
            hint=f"End it first: askance models end {beside[0].kind}.",
            rollout=beside[0].id,
        )
    if any(promotion.model_id == model_id for promotion in _queued(tx, project_id)):
        raise Conflict(f"a promotion of {model_id} is under way.", hint="Wait until it is done, then ask again.")
    if tx.projects.get(project_id).champion_id == model_id:
        raise Conflict(f"{model_id} became the champion at this moment.", hint="Ask again.", model=model_id)


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


def _queued(tx: Transaction, project_id: str) -> list[Promotion]:
    return [p for p in tx.promotions.queued() if p.project_id == project_id]


def require_known_labels(project: Project, head: ModelHead, recipes: Sequence[Recipe] = ()) -> None:
    """Raises Invalid for a model that predicts what the project has no label for. recipes: other versions that count:
    a model that was registered once may serve again, whatever was removed since."""
    allowed = (project.recipe, *recipes)
    unknown = [label for label in head.labels if all(one.detected_as(label) is None for one in allowed)]
    if unknown:
        raise Invalid(
            f"the model predicts {', '.join(repr(x) for x in unknown[:5])}, which {project.id} has no label for.",
            hint=f"Labels of the project that a detector can predict: {', '.join(project.recipe.detected)}. "
            "Register the model in a project of its own, or rename its labels.",
            labels=unknown,
        )
