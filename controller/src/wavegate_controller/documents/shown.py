"""What the API gives, as models: the schemas of the OpenAPI document. The tests hold every answer to them."""

from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from wavegate_controller.documents.configuration import AnyObject
from wavegate_controller.documents.freeze import FreezeWindowDocument
from wavegate_controller.documents.gates import AnyGateDocument
from wavegate_controller.documents.plans import PlanDocument
from wavegate_controller.documents.targeting import PrerequisiteDocument, RuleDocument
from wavegate_controller.domain.alerting import AlertAction, AlertOutcome
from wavegate_controller.domain.answers import Source
from wavegate_controller.domain.configuration import Action
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.difference import Cause
from wavegate_controller.domain.foresight.dry_run import DryRun
from wavegate_controller.domain.foresight.dry_run import Outcome as DryRunOutcome
from wavegate_controller.domain.foresight.findings import Rule, Severity
from wavegate_controller.domain.guardrail import Interval, MetricKind, Outcome, Reason, Totals
from wavegate_controller.domain.review import IncidentKind
from wavegate_controller.domain.rollout import PauseReason, State
from wavegate_controller.domain.staleness import StaleReason
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind


class Shown(BaseModel):
    """Base of all answers: every field is always there, and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Item = TypeVar("Item", bound=BaseModel)


class VerdictShown(Shown):
    """What a gate said at one look."""

    gate: str = Field(description="Its name in the plan.")
    kind: VerdictKind
    reason: str = Field(description="One word; the same in log, metric and page.")
    sentence: str
    value: float | None = Field(description="The number that was judged.")
    limit: float | None = Field(description="What it was held against.")
    figures: dict[str, float] = Field(description="Further numbers, in base units.")
    query: str = Field(description="PromQL, or webhook, that was asked.")


class DecisionShown(Shown):
    """One decision with its evidence."""

    id: int
    rollout: str
    at: datetime
    actor: str = Field(description="A person's or token's name, or `wavegate` for the reconciler.")
    event: Event
    reason: DecisionReason
    sentence: str
    comment: str
    state_before: State
    state: State
    wave: int | None = Field(description="Its number, from 1 on.")
    percent: float
    revision: int = Field(description="Of the ruleset in force after it.")
    verdicts: list[VerdictShown]
    would: Event | None = Field(description="What would have happened without a dry run; `tick` would have held.")
    review: str | None = Field(description="Digest of the review that was signed; null where none was.")


class ForecastShown(Shown):
    """What a gate still needs, at the traffic of this wave, if the candidate is as good as stable."""

    bad_outcomes: int | None
    remaining_seconds: float | None
    visible_regression: float | None


class ComparedShown(Shown):
    """One metric of the comparison, each number beside its limit."""

    name: str
    kind: MetricKind
    waited_for: bool
    in_wave: Totals
    in_all: Totals
    unit: float
    regression: float
    early: float
    early_margin: float
    final: float | None
    final_margin: float
    ceiling: float | None
    design_effect: float | None
    live_cohorts: int | None
    interval: Interval | None = Field(description="Of the ratio of candidate to stable.")
    forecast: ForecastShown | None


class GuardrailShown(Shown):
    """What the comparison of candidate and stable says."""

    outcome: Outcome
    reason: Reason
    cause: str | None
    evidence: float
    evidence_limit: float
    suspicion: float
    gate_limit: float
    ceiling_limit: float
    mismatch: float
    mismatch_limit: float
    last_gate: bool
    metrics: list[ComparedShown]


class WaveShown(Shown):
    """The wave that a rollout is in."""

    number: int
    of: int
    percent: float
    since: datetime
    baked_at: datetime = Field(description="When it may be left upwards, time that nobody watched not counted.")
    final_bake_since: datetime | None = Field(description="Since when it is watched after its last wave.")
    overdue_at: datetime | None = Field(description="When its time limit ends.")


class ApprovalShown(Shown):
    """One approver's yes."""

    by: str
    at: datetime
    comment: str


class ApprovalsShown(Shown):
    """What a wave that waits needs, and what it has."""

    needed: int
    given: list[ApprovalShown]


class PinShown(Shown):
    """A human's hold: nothing automatic moves the rollout."""

    by: str
    at: datetime
    reason: str
    breached_at: datetime | None = Field(description="Since when the gates are breached under it.")


class DeliveredRevisionShown(Shown):
    """How far a revision has come."""

    revision: int
    since: datetime = Field(description="When it was published.")
    delivered: int = Field(description="Clients that use it, or did before the next revision came.")
    of: int = Field(description="Clients that are connected, or were when the next revision came.")
    gone: int = Field(description="Clients that used it and are connected no more; counted up to ten thousand.")
    slowest_seconds: float | None = Field(description="Until the last of those that were connected used it.")
    sentence: str


class FindingShown(Shown):
    """What lint found in a gate."""

    subject: str = Field(description="Whose gate it is: a rollout, or an object of a configuration.")
    gate: str
    rule: Rule
    severity: Severity
    found: str
    why: str = Field(description="Why it matters.")
    mend: str = Field(description="What to do.")
    suppressed: str | None = Field(description="The reason why the plan allows it.")


class RolloutShown(Shown):
    """A rollout, why it is where it is, and what may be asked of it now."""

    id: str = Field(description="Flag key and a running number, such as `ai-summaries:2`.")
    flag: str
    environment: str
    stable: str
    candidate: str
    state: State
    pause_reason: PauseReason | None
    percent: float = Field(description="Share of the users that get the candidate, while the flag is enabled.")
    hold_out: float
    flag_enabled: bool
    aa: bool = Field(description="Both variants have the same value: nobody is served anything new.")
    wave: WaveShown | None
    approvals: ApprovalsShown | None = Field(description="While it awaits approval.")
    pin: PinShown | None
    possible: list[Event]
    created_by: str
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    next_look_at: datetime | None
    version: int
    latest_decision: DecisionShown | None = Field(description="Holds included.")
    moved_by: DecisionShown | None = Field(description="The newest decision that changed something.")
    guardrail: GuardrailShown | None = Field(description="Where one rollout is asked for and gates compare.")
    delivery: DeliveredRevisionShown | None = Field(
        description="How far the revision in force has come, where one rollout is asked for."
    )
    dry_run: DryRun | None = Field(
        description="Whose dry run keeps everything automatic from moving it; null where it acts."
    )
    template: str | None = Field(description="Name and version of the template that its plan is a copy of.")
    plan: PlanDocument


class StartedShown(RolloutShown):
    """A rollout that was started."""

    findings: list[FindingShown] = Field(description="What lint found in its gates, and let pass.")


class LintShown(Shown):
    """What lint finds in the gates of a rollout now."""

    rollout: str
    findings: list[FindingShown] = Field(description="The worst first; what the plan allows last.")
    clean: list[str] = Field(description="The gates that nothing was found about.")


class StopShown(Shown):
    """Who stopped a flag."""

    by: str
    at: datetime
    reason: str


class ShownPilot(Shown):
    """The few who get the candidate before any percentage."""

    variant: str
    keys: list[str] = Field(default_factory=list)
    condition: dict[str, Any] | None = Field(default=None, alias="if")
    limit: int | None = None
    opted_out: list[str] = Field(default_factory=list)
    since: datetime = Field(description="When these people were chosen.")


class FlagShown(Shown):
    """A flag with its newest rollout."""

    key: str
    environment: str
    description: str
    enabled: bool
    variants: dict[str, Any]
    default_variant: str
    salt: str | None
    bucket_by: str | None
    generation: Literal["v2", "v3"]
    created_at: datetime
    updated_at: datetime
    version: int
    stopped: StopShown | None = Field(description="Who disabled it; null while it is enabled.")
    archived_at: datetime | None = Field(description="Since when it is out of the ruleset.")
    prerequisites: list[PrerequisiteDocument]
    deny: list[str]
    allow: dict[str, list[str]]
    rules: list[RuleDocument]
    pilot: ShownPilot | None
    stale: Literal["keep", "default"]
    rollout: RolloutShown | None


class StaleReasonShown(Shown):
    """Why a flag has done its work."""

    reason: StaleReason
    since: datetime
    sentence: str


class StaleFlagShown(Shown):
    """A flag that has done its work."""

    flag: str
    description: str
    reasons: list[StaleReasonShown]


class StaleReportShown(Shown):
    """All of them."""

    items: list[StaleFlagShown]
    notice: str | None = Field(description="Why nobody could say which flags are evaluated.")


class SegmentShown(Shown):
    """A named condition."""

    key: str
    environment: str
    description: str
    condition: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int


class TemplateShown(Shown):
    """One version of a plan with a name."""

    name: str
    environment: str
    version: int
    description: str
    plan: PlanDocument
    created_by: str
    created_at: datetime


class CalendarShown(Shown):
    """When nothing raises exposure."""

    environment: str
    freeze_windows: list[FreezeWindowDocument]
    updated_by: str
    updated_at: datetime | None
    version: int = Field(description="0 where there never was one.")


class AgainShown(Shown):
    """A decision made again."""

    event: Event
    reason: DecisionReason
    sentence: str
    verdicts: list[VerdictShown]


class ExplanationShown(Shown):
    """A decision beside what comes out of its evidence now."""

    decision: DecisionShown
    again: AgainShown | None
    agrees: bool | None = Field(description="Whether both are the same; null where a person decided.")
    guardrail: GuardrailShown | None


class BurnShown(Shown):
    """How fast all requests of the flag use up an objective's error budget: 1 is as fast as it may last."""

    objective: float = Field(description="The share of the requests that is to end well.")
    stable: float = Field(description="If stable served all of them.")
    next: float = Field(description="In the next wave.")
    low: float | None = Field(description="End of a 95 % interval; null where the variance is not known.")
    high: float | None


class MoreUsersShown(Shown):
    """How many get the candidate."""

    seen: float = Field(description="So far. Each process of an app counts its own.")
    more: float = Field(description="In the next wave.")
    low: float = Field(description="End of a 95 % interval.")
    high: float


class ExtraShown(Shown):
    """What one gate counts more of than if stable served the same requests, an hour."""

    gate: str
    what: str
    now: float
    next: float
    low: float | None = Field(description="End of a 95 % interval; null where the variance is not known.")
    high: float | None
    budget: float | None
    over: bool = Field(description="Whether the next wave may take more than its budget.")
    burn: BurnShown | None = Field(description="Where the plan has an objective for the gate.")


class NextWaveShown(Shown):
    """The next wave, an hour of it, going by this one; nulls where none follows or nothing was counted."""

    rollout: str
    percent: float | None
    requests: float | None = Field(description="That the candidate serves in an hour now.")
    next_requests: float | None
    low_requests: float | None = Field(description="End of a 95 % interval, at the traffic of this wave.")
    high_requests: float | None
    users: MoreUsersShown | None = Field(description="Null where the metrics server has not counted them.")
    extras: list[ExtraShown]


class ArmsShown(Shown):
    """How many there were in this wave."""

    candidate: int
    stable: int
    share: float | None = Field(description="The candidate's.")


class GateCalibrationShown(Shown):
    """One gate that compares."""

    gate: str
    design_effect: float | None = Field(description="By how much outcomes come in clumps.")
    evidence: float | None = Field(description="As odds, that the candidate is worse, though it is the same.")


class OverlapShown(Shown):
    """Another flag whose users are split at the same time."""

    flag: str
    share: float = Field(description="Of the users in one half, who are in the other flag's half, too; about 0.5.")
    chi_square: float


class AlarmsShown(Shown):
    """How often A/A rollouts of the environment were stopped by a gate."""

    ended: int
    false_alarms: int
    at_least: float | None = Field(description="Lower end of the rate, with 95 % confidence.")
    at_most: float | None = Field(description="Upper end.")
    promised: float


class CalibrationShown(Shown):
    """What an A/A rollout shows."""

    rollout: str
    state: State
    planned_share: float | None
    users: ArmsShown | None = Field(description="Null where the metrics server has not counted them.")
    requests: ArmsShown
    sample_ratio_evidence: float | None = Field(description="As odds, that users are not split as planned.")
    gates: list[GateCalibrationShown]
    beside: list[OverlapShown]
    alarms: AlarmsShown
    fails: list[str] = Field(description="What is not as it should be, beyond chance.")


class WishShown(Shown):
    """What a dry run would have done, or what was done."""

    decision: int
    at: datetime
    event: Event
    actor: str
    reason: DecisionReason
    sentence: str
    comment: str


class ComparedMoveShown(Shown):
    """One thing that a dry run would have done, that somebody did, or both."""

    outcome: DryRunOutcome
    wave: int | None
    would: WishShown | None = Field(description="Null where the dry run would have held.")
    did: WishShown | None = Field(description="Null where nobody has done anything.")
    lag_seconds: float | None = Field(description="How much later it was done than it would have been.")


class ComparisonShown(Shown):
    """What a dry run would have done, beside what was done, in the order of time."""

    rollout: str
    outcomes: dict[DryRunOutcome, int]
    compared: list[ComparedMoveShown]


class PresetShown(Shown):
    """Ready-made gates."""

    preset: str
    source: str
    summary: str
    needs: list[str]
    takes: list[str]
    example: dict[str, Any]
    gates: list[AnyGateDocument]


class ClientShown(Shown):
    """One connected process of an app."""

    instance: str
    sdk: str
    app: str
    revision: int | None = Field(description="That it uses; null until it said so.")
    held_seconds: float = Field(description="For how long it has used that.")
    streaming: bool = Field(description="Whether changes are pushed to it; else it asks for them.")


class StatusShown(Shown):
    """What this controller serves."""

    environment: str
    revision: int = Field(description="Of the ruleset in force.")
    published_at: datetime | None
    version: str = Field(description="Of the controller.")
    notice: str | None = Field(description="What to know before relying on the source of metrics.")


class HealthShown(Shown):
    """It works."""

    status: Literal["ok"]


class FieldChangeShown(Shown):
    """One field that would change, or was."""

    field: str
    applied: Any = Field(description="What was applied last.")
    live: Any = Field(description="What it is now.")
    wanted: Any = Field(description="What it becomes.")
    cause: Cause = Field(description="Who changed it: the document, somebody by another way (`drift`), or both.")


class ChangeShown(Shown):
    """What would be done to one object, or was."""

    kind: str
    environment: str
    name: str
    action: Action
    fields: list[FieldChangeShown]
    blocked: str | None = Field(description="Why it is not possible now, and what would have to happen.")
    remark: str = Field(description="What to know although nothing is to be done.")
    findings: list[FindingShown] = Field(
        description="What lint found in the gates of a rollout that is made or started; an error keeps it from that."
    )


class OutcomeShown(Shown):
    """What applying would do, or did."""

    applied: bool
    fingerprint: str = Field(description="Of all changes; the same until somebody changes something else.")
    changes: list[ChangeShown]


class ConfigurationShown(Shown):
    """An environment as documents."""

    documents: list[AnyObject]


class AnyShown(BaseModel):
    """A document that another standard describes."""

    model_config = ConfigDict(extra="allow", frozen=True)


class AuditEntryShown(Shown):
    """One thing that was done. `hash` is the SHA-256 of the canonical JSON of all other fields."""

    sequence: int = Field(description="From 1 on, without gaps.")
    at: str
    actor: str = Field(description="A person's or token's name, or `wavegate` for the controller itself.")
    actor_kind: str
    action: str = Field(description="Such as `rollout.promote`.")
    subject: str = Field(description="What it was done to: a flag's key, a rollout's id.")
    environment: str = Field(description="Empty for what belongs to none.")
    reason: str = Field(description="In the actor's words.")
    before: Any
    after: Any
    evidence: Any = Field(description="What it was decided on.")
    previous: str = Field(description="Hash of the entry before.")
    hash: str


class ChainHeadShown(Shown):
    """Where a chain ends."""

    sequence: int
    hash: str


class AuditStretchShown(Shown):
    """Some entries, oldest first, and where the chain ended in the same moment."""

    items: list[AuditEntryShown]
    head: ChainHeadShown | None = Field(description="Null when somebody has removed it.")


class ChannelShown(Shown):
    """Where messages go."""

    name: str
    environment: str = Field(description="Whose messages; `*` for those of all.")
    type: Literal["service", "webhook"]
    address: str = Field(description="Without what is secret in it.")
    problem: str | None = Field(default=None, description="Why nothing can be sent there, and what to do.")
    signed: bool
    actions: list[str] = Field(description="Which; with none, all.")
    least: Literal["info", "warning", "critical"]
    created_by: str
    created_at: datetime


class MessageShown(Shown):
    """What is told."""

    environment: str
    action: str
    subject: str
    flag: str
    severity: Literal["info", "warning", "critical"]
    actor: str
    title: str
    text: str
    links: dict[str, str]


class DeliveryShown(Shown):
    """A message on its way to one channel."""

    id: int
    message_id: str = Field(description="The same at each attempt; what a webhook has as `webhook-id`.")
    channel: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    error: str
    message: MessageShown


class AlertShown(Shown):
    """An alert that was reported, and what came of it."""

    fingerprint: str
    starts_at: datetime
    status: Literal["firing", "resolved"]
    alert: str = Field(description="Name of its rule.")
    environment: str
    flag: str = Field(description="Empty where no label names one.")
    action: AlertAction | None = Field(description="What it was to do.")
    outcome: AlertOutcome
    detail: str
    received_at: datetime
    is_new: bool = Field(description="False for what had been reported before, and then did nothing again.")


class AlertsTaken(Shown):
    """What came of each alert of a report."""

    alerts: list[AlertShown]


class FeedbackShown(Shown):
    """What one person said; whose it is stands nowhere."""

    id: int
    flag: str
    variant: str
    rollout: str | None = Field(description="That was under way.")
    wave: int | None = Field(description="That was served, from 1 on.")
    thumbs_up: bool
    comment: str = Field(description="Text as it was typed; it may look like HTML, and is none.")
    is_erased: bool = Field(description="Whether its comment was taken away.")
    source: Source = Field(description="Who brought it; the thumbs of an `app` are in its own counters.")
    at: datetime


class ReviewedWaveShown(Shown):
    """One time in a wave."""

    number: int
    of: int
    percent: float = Field(description="Of the users.")
    since: datetime
    until: datetime | None = Field(description="When it was left; null while it is not.")


class ReviewedGateShown(Shown):
    """What a gate said last, its value beside its limit."""

    name: str
    rule: str = Field(description="What would stop the rollout, and what lets it go on.")
    verdict: VerdictKind | None = Field(description="Null before the first look.")
    reason: str | None
    sentence: str
    value: float | None
    limit: float | None
    candidate: float | None = Field(description="Counted for each request of the candidate, in `unit`.")
    stable: float | None
    unit: str
    figures: dict[str, float]


class IncidentShown(Shown):
    """What happened in a wave."""

    kind: IncidentKind
    since: datetime
    until: datetime | None = Field(description="Null while it lasts, and for what takes no time.")
    sentence: str
    by: str


class ThumbsShown(Shown):
    """Thumbs in this wave, whoever counted them, and the requests that they are among."""

    variant: str
    up: float
    down: float
    requests: float


class AnswersShown(Shown):
    """Answers that are kept one by one; the thumbs that apps count themselves are in their counters."""

    variant: str
    up: int
    down: int


class CommentShown(Shown):
    """What a person said in this wave."""

    id: int
    at: datetime
    variant: str
    thumbs_up: bool
    comment: str = Field(description="Text as it was typed; it may look like HTML, and is none.")
    is_erased: bool = Field(description="Whether the words were taken away, or are no longer kept.")


class CostShown(Shown):
    """What was counted so far in this wave."""

    gate: str
    what: str
    candidate: float = Field(description="All that the candidate took.")
    more: float | None = Field(description="Than stable would have taken for the same requests.")


class SignedReviewShown(Shown):
    """A decision about a wave, and its signature."""

    decision: int
    at: datetime
    actor: str
    event: Event
    sentence: str
    comment: str
    review: str | None = Field(description="Digest of what they had before them.")
    was_read: bool = Field(description="Whether they have named it.")


class ReviewShown(Shown):
    """A wave as whoever decides about the next one sees it."""

    rollout: str
    flag: str
    environment: str
    candidate: str
    stable: str
    state: State
    wave: ReviewedWaveShown
    is_open: bool = Field(description="Whether the rollout is in that wave.")
    plan: PlanDocument
    gates: list[ReviewedGateShown]
    judged_at: datetime | None = Field(description="When the gates said so.")
    judged_by: int | None = Field(description="Id of the decision that they said so for.")
    incidents: list[IncidentShown] = Field(description="Oldest first.")
    thumbs: list[ThumbsShown] = Field(description="By variant; empty where the metrics server does not say.")
    answers: list[AnswersShown]
    comments: list[CommentShown] = Field(description="The newest hundred, the newest first.")
    further_comments: int
    costs: list[CostShown]
    next: NextWaveShown | None = Field(description="An hour of the next wave; null where nothing can be said.")
    approvals: ApprovalsShown | None
    decided: list[SignedReviewShown] = Field(description="Oldest first.")
    digest: str = Field(description="By which it is signed: `review` of an approval.")
    at: datetime = Field(description="When it was read.")
    is_kept: bool = Field(description="Whether it is shown as it was signed, not as it is.")
