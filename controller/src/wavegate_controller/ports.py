"""What the services need from the world: small protocols, fulfilled by the packages above and by fakes in tests."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from wavegate_controller.domain.access import Roles
from wavegate_controller.domain.account import DeviceLogin, Link, Session, User
from wavegate_controller.domain.alerting import Alert, AlertRecord
from wavegate_controller.domain.answers import FeedbackAnswer
from wavegate_controller.domain.audit import AuditFilter, Entry, Head, Note
from wavegate_controller.domain.catalog import Calendar, Segment, Template
from wavegate_controller.domain.claim import Claim
from wavegate_controller.domain.configuration import Applied, Name
from wavegate_controller.domain.counts import CounterSelector
from wavegate_controller.domain.credential import Credential, Kind
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.delivery import ConnectedClient, DeliveredRevision, FleetNews
from wavegate_controller.domain.drill import Drill
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.foresight.relabelling import Relabel
from wavegate_controller.domain.measurement import Answer, Broken, Cursor, Judgement, Labelled, Measurement, Series
from wavegate_controller.domain.notification import (
    Backlog,
    Channel,
    ChannelKind,
    Delivery,
    DeliveryState,
    Failure,
    Message,
)
from wavegate_controller.domain.outline import Outline
from wavegate_controller.domain.passport import Passport, Stage
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.receipt import Progress, Receipt
from wavegate_controller.domain.record import DecisionRecord, Hold
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.domain.tally import Tally
from wavegate_controller.domain.throttle import Failures


class Clock(Protocol):
    """Where the time comes from; a service asks once per use-case."""

    def now(self) -> datetime:
        """Aware UTC time."""
        ...


class MetricProvider(Protocol):
    """One source of metrics. Never raises: what it cannot answer is Broken, with the reason."""

    @property
    def notice(self) -> str | None:
        """What people must know about this source before they rely on it, for every page; None for a full one."""
        ...

    def query(self, promql: str, *, at: datetime) -> Answer:
        """One number at one time."""
        ...

    def check(self, promql: str) -> Broken | None:
        """The server's refusal of a query that it cannot parse; None when it accepts it or cannot be asked."""
        ...

    def alert_rule(self, name: str) -> Broken | None:
        """Why an alert of this name could not fire although it should; None when a healthy rule would raise it."""
        ...

    def samples(self, selector: CounterSelector, *, at: datetime, lookback: timedelta) -> tuple[Series, ...] | Broken:
        """Raw samples of the last `lookback` before `at`; series without a sample there are left out.

        An answer that is more than can be read is Broken with `too_large`: ask for less.
        """
        ...


class MetricHistory(MetricProvider, Protocol):
    """A source of metrics that remembers, and shows all it has. Never raises either."""

    def vector(self, promql: str, *, at: datetime) -> tuple[Labelled, ...] | Broken:
        """All series of a query at one time."""
        ...

    def values(self, promql: str, *, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...] | Broken:
        """All series of a query at the times from start to end, NaN included; `too_large`: ask for less."""
        ...

    def kind_of(self, metric: str) -> str | None:
        """What a metric is known to be, such as counter or gauge; None where nothing is known."""
        ...


class Past(Protocol):
    """A source of metrics as it would have answered at looks that are known beforehand.

    What cannot be had now is no outage of then: it is raised as `HistoryLost`.
    """

    @property
    def looks(self) -> Sequence[datetime]:
        """When it is looked at, rising."""
        ...

    @property
    def relabel(self) -> Relabel | None:
        """Which part the counters play."""
        ...

    def query(self, promql: str, *, at: datetime) -> Answer:
        """One number at one time."""
        ...

    def alert_rule(self, name: str) -> Broken | None:
        """Why an alert of this name could not fire."""
        ...

    def tally(self, selector: CounterSelector, look: int) -> Tally:
        """The counters at the look of this number and some after it; looks are asked for in their order."""
        ...


class Rewind(Protocol):
    """Gives a source of metrics as it would have answered in the past."""

    def __call__(self, looks: Sequence[datetime], *, step: timedelta, relabel: Relabel | None = None) -> Past:
        """For looks at these times, which are a step apart."""
        ...


class Webhooks(Protocol):
    """Checks of other people, asked over HTTP. Never raises, never waits: what cannot be asked is Broken."""

    def refusal(self, url: str) -> str | None:
        """Why this address may not be asked; None when it may."""
        ...

    def ask(
        self, key: str, url: str, question: Mapping[str, Any], *, timeout: timedelta, now: datetime
    ) -> Judgement | Broken | None:
        """The answer to the question of this key; None while it is on its way, which the first call begins."""
        ...


class EnvironmentRepository(Protocol):
    """All environments."""

    def get(self, name: str) -> Environment:
        """One environment; raises NotFound."""
        ...

    def list(self) -> Sequence[Environment]:
        """All of them, by name."""
        ...

    def add(self, environment: Environment) -> None:
        """A new one; raises Conflict when the name is taken."""
        ...

    def save(self, environment: Environment) -> None:
        """In the place of the one of its name."""
        ...


class DeviceLoginRepository(Protocol):
    """Command lines that wait to be let in."""

    def add(self, login: DeviceLogin) -> None:
        """One more; raises Conflict where its code is another's."""
        ...

    def by_code(self, code: str) -> DeviceLogin | None:
        """The one that shows this code."""
        ...

    def by_secret(self, secret_hash: str) -> DeviceLogin | None:
        """The one that is recognised by this."""
        ...

    def approve(self, code: str, *, by: str) -> None:
        """Let it in."""
        ...

    def drop(self, secret_hash: str) -> bool:
        """It waits no more; False where it did not."""
        ...

    def prune(self, *, now: datetime) -> int:
        """Forget those whose time is over; how many still wait."""
        ...


class UserRepository(Protocol):
    """People's accounts, and what lets them in."""

    def get(self, name: str) -> User:
        """One account; raises NotFound."""
        ...

    def by_subject(self, subject: str) -> User | None:
        """Whom the identity provider knows by this."""
        ...

    def list(self) -> Sequence[User]:
        """All of them, by name."""
        ...

    def hold(self) -> None:
        """Let nobody else change any account until the transaction ends."""
        ...

    def add(self, user: User) -> None:
        """A new one; raises Conflict when the name is taken."""
        ...

    def save(self, user: User) -> None:
        """Replace version `user.version - 1`; raises StaleVersion when that is not what is stored."""
        ...

    def session(self, secret_hash: str) -> Session | None:
        """The session of this secret."""
        ...

    def add_session(self, session: Session) -> None:
        """A new one."""
        ...

    def end_session(self, secret_hash: str) -> None:
        """It is none any more."""
        ...

    def end_sessions(self, user: str, *, but: str | None = None) -> None:
        """All of a person's, but perhaps one."""
        ...

    def set_link(self, link: Link) -> None:
        """The person's one link, in place of an older one."""
        ...

    def link(self, secret_hash: str) -> Link | None:
        """The link of this secret."""
        ...

    def take_link(self, user: str) -> bool:
        """Use the person's link up; False when there was none."""
        ...

    def prune(self, *, now: datetime) -> None:
        """Forget sessions and links that are over."""
        ...


class FailureRepository(Protocol):
    """Failed attempts to sign in."""

    def get(self, key: str) -> Failures | None:
        """What is remembered."""
        ...

    def save(self, failures: Failures) -> None:
        """In place of what was remembered."""
        ...

    def forget(self, key: str) -> None:
        """All is well again."""
        ...

    def prune(self, *, before: datetime, most: int) -> None:
        """Forget those that are older, and the oldest of more than so many."""
        ...


class CredentialRepository(Protocol):
    """API tokens and SDK keys."""

    def get(self, kind: Kind, credential_id: str) -> Credential:
        """One of them; raises NotFound."""
        ...

    def by_secret(self, kind: Kind, secret_hash: str) -> Credential | None:
        """The one with this secret, good or not."""
        ...

    def list(self, kind: Kind) -> Sequence[Credential]:
        """All of a kind, by name, newest first."""
        ...

    def add(self, credential: Credential) -> None:
        """A new one."""
        ...

    def save(self, credential: Credential) -> None:
        """What became of it."""
        ...

    def used(self, credential_id: str, *, at: datetime) -> None:
        """It was used."""
        ...


class FlagRepository(Protocol):
    """The flags of all environments."""

    def get(self, environment: str, key: str) -> Flag:
        """One flag; raises NotFound."""
        ...

    def list(
        self,
        environment: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        archived: bool = False,
        keys: Sequence[str] | None = None,
    ) -> Sequence[Flag]:
        """Those of an environment that are archived or those that are not, by key; with `after`, those behind it.

        With `keys`, only those of them.
        """
        ...

    def outlines(self, environment: str) -> Sequence[Outline]:
        """Those of an environment that are not archived, by key, each with where it stands."""
        ...

    def stopped(self, environment: str) -> frozenset[str]:
        """The keys of those that are disabled."""
        ...

    def dependent(self, environment: str) -> Mapping[str, Sequence[str]]:
        """Keys of those with prerequisites, archived ones aside, to the keys of the flags that they need."""
        ...

    def lock(self, environment: str, key: str) -> int:
        """The version of one, which nobody else changes before the transaction ends; raises NotFound."""
        ...

    def add(self, flag: Flag) -> None:
        """A new one; raises Conflict when the key is taken."""
        ...

    def save(self, flag: Flag) -> None:
        """Replace version `flag.version - 1`; raises StaleVersion when that is not what is stored."""
        ...


class RolloutRepository(Protocol):
    """The rollouts of all environments."""

    def get(self, rollout_id: str) -> Rollout:
        """One rollout; raises NotFound."""
        ...

    def list(
        self,
        environment: str,
        *,
        flag_key: str | None = None,
        states: frozenset[State] | None = None,
        behind: tuple[datetime, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Rollout]:
        """Newest first; with `behind`, those that come behind the one that was created then and has this id."""
        ...

    def next_number(self, flag_key: str) -> int:
        """The one after the highest number in the ids of the flag's rollouts, over all environments."""
        ...

    def newest(self, environment: str, *, flag_keys: Sequence[str] | None = None) -> Mapping[str, Rollout]:
        """Flag key to the newest rollout of the flag; of these flags only where some are named."""
        ...

    def serving(self, environment: str) -> Mapping[str, Rollout]:
        """Flag key to the newest rollout of the flag that was ever started."""
        ...

    def lock(self, rollout_id: str) -> int:
        """The version of one, which nobody else changes before the transaction ends; raises NotFound."""
        ...

    def add(self, rollout: Rollout) -> None:
        """A new one; raises Conflict when the id is taken."""
        ...

    def save(self, rollout: Rollout) -> None:
        """Replace version `rollout.version - 1`; raises StaleVersion when that is not what is stored."""
        ...


class ClaimRepository(Protocol):
    """Which reconciler looks at which rollout: one at a time, and another one soon after it died."""

    def due(self, *, now: datetime, limit: int) -> Sequence[Claim]:
        """Claim rollouts whose look is due, oldest first, their next look moved on by their plan's interval.

        Two callers never hold the same one. What a process claimed that is no longer there is due at once.
        """
        ...

    def take(self, rollout_id: str, *, now: datetime) -> Claim:
        """Claim one, due or not, from whoever has it; raises NotFound."""
        ...

    def settle(self, claim: Claim) -> bool:
        """Give it back, to write what the look gave in the same transaction; False when the rollout moved meanwhile.

        Until this transaction ends, nobody else changes the rollout. Raises StaleVersion when somebody else claimed
        it since: then nothing may be written.
        """
        ...

    def stay(self) -> None:
        """Say that this process is still there and keeps what it claimed."""
        ...

    def leave(self) -> None:
        """Let others have at once what this process claimed."""
        ...

    def look_again(self, *, now: datetime) -> None:
        """Make everything due that waits for a later time: the clock was put back, or nobody knows what it did."""
        ...


class RetentionRepository(Protocol):
    """What has been kept for long enough."""

    def rollouts(self, *, before: datetime) -> Sequence[str]:
        """Those that may have something from before that time."""
        ...

    def prune(self, rollout_id: str, *, before: datetime, limit: int) -> int:
        """Remove so much of it at most; how many rows, 0 when nothing is left.

        Moves stay, and so does the evidence of a rollout that has not ended and of each decision that is still there.
        """
        ...


class LeaseRepository(Protocol):
    """Names that one process holds for a while, for what only one of them is to do."""

    def take(self, name: str, *, ttl: timedelta) -> int | None:
        """Take it or hold it for longer; its term, or None while somebody else has it.

        The term rises with each change of hands. Until this transaction ends, nobody else takes it.
        """
        ...

    def give_up(self, name: str) -> None:
        """Let others have it at once."""
        ...


class EvidenceRepository(Protocol):
    """The log of measurements, and the counters' cursors."""

    def add(self, rollout_id: str, measurements: Sequence[Measurement]) -> None:
        """Append. Their queries are not kept: the record of the decision has them."""
        ...

    def since(
        self, rollout_id: str, since: datetime, *, until: datetime | None = None, gates: Sequence[str] | None = None
    ) -> Sequence[Measurement]:
        """Measurements after that time, oldest first, without their queries; of all gates unless some are named."""
        ...

    def counts(self, rollout_id: str, since: datetime, *, until: datetime | None = None) -> Sequence[Measurement]:
        """As above, in the order in which they were kept, only what was counted for gates that compare."""
        ...

    def cursors(self, rollout_ids: Sequence[str]) -> Mapping[str, Cursor]:
        """Up to where the counters of these rollouts have been counted; those never read are left out."""
        ...

    def save_cursor(self, rollout_id: str, cursor: Cursor, *, before: Cursor | None) -> None:
        """Replace the one that was read `before`; raises StaleVersion when that is not what is stored."""
        ...


class DecisionRepository(Protocol):
    """What happened to the rollouts; append-only."""

    def get(self, decision_id: int) -> DecisionRecord:
        """One decision; raises NotFound."""
        ...

    def add(self, record: DecisionRecord) -> DecisionRecord:
        """Append; the stored one has its id."""
        ...

    def list(
        self, rollout_id: str, *, limit: int, before: int | None = None, moves_only: bool = False
    ) -> Sequence[DecisionRecord]:
        """Newest first; with `before`, those with a smaller id; with `moves_only`, without the holds (`tick`)."""
        ...

    def newest(self, rollout_ids: Sequence[str], *, moves_only: bool = False) -> Mapping[str, DecisionRecord]:
        """The newest of each rollout, of those that have one; with `moves_only`, no hold and no note of a dry run."""
        ...

    def holds(
        self, rollout_id: str, reasons: Sequence[DecisionReason], *, since: datetime, until: datetime
    ) -> Sequence[Hold]:
        """Those for one of these reasons, oldest first, from the first moment to the last."""
        ...


class RulesetRepository(Protocol):
    """Every revision that was ever published."""

    def latest(self, environment: str) -> PublishedRuleset | None:
        """The one in force."""
        ...

    def take_turn(self, environment: str) -> None:
        """Wait until no other transaction is about to add one; from then on all that was committed is seen.

        Two that compile at the same time would each leave out the other's change. Nothing that others may
        hold is waited for afterwards, but for the audit's head.
        """
        ...

    def add(self, ruleset: PublishedRuleset) -> None:
        """The next revision; raises StaleVersion when that number is taken."""
        ...


class AuditRepository(Protocol):
    """Who did what; append-only, in one chain for the whole database."""

    @property
    def has_notes(self) -> bool:
        """Whether this transaction has anything to append so far: whether it changes anything that people ask for."""
        ...

    def add(self, note: Note) -> None:
        """Append, as the last thing that the transaction does; nothing is appended when it is rolled back."""
        ...

    def head(self) -> Head | None:
        """Where the chain ends, without what this transaction adds; None when somebody has removed that."""
        ...

    def get(self, sequence: int) -> Entry:
        """One entry; raises NotFound."""
        ...

    def after(self, sequence: int, *, limit: int) -> Sequence[Entry]:
        """The entries behind that one, oldest first, as they are stored, whatever that is."""
        ...

    def list(self, wanted: AuditFilter, *, limit: int, before: int | None = None) -> Sequence[Entry]:
        """Newest first; with `before`, those with a smaller number."""
        ...


class ReceiptRepository(Protocol):
    """What was asked under which key, and what came of it."""

    def get(self, sender: str, key: str) -> Receipt | None:
        """The receipt under a key; nobody else changes it before the transaction ends."""
        ...

    def add(self, receipt: Receipt) -> None:
        """A new one; raises StaleVersion when somebody else was faster."""
        ...

    def take_over(self, found: Receipt, mine: Receipt) -> None:
        """Put one in another's place; raises StaleVersion when somebody else was faster."""
        ...

    def progress(self, receipt: Receipt, progress: Progress) -> None:
        """Write how far it is, and its reply; raises StaleVersion when somebody else has taken over."""
        ...

    def remove(self, receipt: Receipt) -> None:
        """Give the key back, unless somebody else has taken over."""
        ...

    def prune(self, *, now: datetime) -> None:
        """Forget those that have expired."""
        ...


class AlertRepository(Protocol):
    """Alerts that were reported, and what came of them."""

    def find(self, alert: Alert) -> AlertRecord | None:
        """The same one, if it was reported before."""
        ...

    def add(self, record: AlertRecord) -> None:
        """A new one; raises StaleVersion when somebody else was faster."""
        ...

    def list(
        self, environment: str, *, limit: int, before: int | None = None, flag: str | None = None
    ) -> Sequence[AlertRecord]:
        """Newest first; with `before`, those with a smaller id; with `flag`, those that name it."""
        ...


class ChannelRepository(Protocol):
    """Where messages go; of all environments."""

    def get(self, name: str) -> Channel:
        """One channel; raises NotFound."""
        ...

    def list(self) -> Sequence[Channel]:
        """All, by name."""
        ...

    def add(self, channel: Channel) -> None:
        """A new one; raises Conflict when the name is taken."""
        ...

    def remove(self, name: str) -> None:
        """Forget it; raises NotFound."""
        ...


class OutboxRepository(Protocol):
    """Messages on their way, written in the transaction of what they tell."""

    def add(self, message: Message) -> int:
        """Send it, once the transaction is committed, to every channel that wants it; to how many that is."""
        ...

    def add_for(self, channel: str, message: Message) -> Delivery:
        """Send it to this channel, whatever that wants."""
        ...

    def claim(self, *, now: datetime, until: datetime, limit: int) -> Sequence[Delivery]:
        """What is due and nobody is at, the longest due first; whoever claims it has it until then.

        The first of a line only, so that messages arrive in their order, and one at a time for each channel.
        """
        ...

    def settle(self, delivery: Delivery) -> bool:
        """How the attempt ended; False where somebody else has taken it over, and then nothing is kept."""
        ...

    def retry(self, found: Delivery, *, now: datetime) -> Delivery:
        """Have a dead one tried again from the beginning; raises Conflict."""
        ...

    def get(self, delivery_id: int) -> Delivery:
        """One delivery; raises NotFound."""
        ...

    def list(
        self,
        environment: str,
        *,
        limit: int,
        before: int | None = None,
        channel: str | None = None,
        state: DeliveryState | None = None,
    ) -> Sequence[Delivery]:
        """Newest first; with `before`, those with a smaller id."""
        ...

    def give_up(self, channel: str, *, why: str) -> None:
        """Nothing more goes to this channel."""
        ...

    def forget(self, *, before: datetime) -> None:
        """Drop what was delivered before that time."""
        ...

    def backlog(self) -> Backlog:
        """How much is waiting."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """What a process that serves said to the others.

    Attributes:
        id: rising in the order in which they become visible.
        process: who says so.
        environment: whose clients; empty for what is about the process itself.
        seconds_ago: by the database's clock.
    """

    id: int
    process: str
    environment: str
    document: Mapping[str, Any]
    seconds_ago: float


class WordRepository(Protocol):
    """What processes that serve tell each other, for a minute."""

    def add(self, process: str, words: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Say something of each of these environments."""
        ...

    def newest(self) -> int:
        """The id of the latest; 0 where nothing was said."""
        ...

    def list(self, *, after: int, but: str) -> Sequence[Word]:
        """What others than this process said after that id, in order."""
        ...

    def forget(self, *, older_than: timedelta) -> None:
        """What was said so long ago."""
        ...


class PassportRepository(Protocol):
    """Where the features of all environments stand."""

    def find(self, environment: str, flag_key: str) -> Passport | None:
        """That of one flag; None where nobody began one."""
        ...

    def list(self, environment: str) -> Sequence[Passport]:
        """All of an environment, by flag."""
        ...

    def in_stage(self, stage: Stage) -> Sequence[Passport]:
        """Those in a stage, of all environments."""
        ...

    def stages(self, environment: str) -> Mapping[str, Stage]:
        """Flag key to the stage that its passport says."""
        ...

    def add(self, passport: Passport) -> None:
        """A new one; raises StaleVersion when somebody else began one meanwhile."""
        ...

    def save(self, passport: Passport) -> None:
        """Replace version `passport.version - 1`; raises StaleVersion when that is not what is stored."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackFilter:
    """Which answers are wanted; None is any.

    Attributes:
        since: given from then on.
        until: given up to then.
    """

    rollout_id: str | None = None
    wave: int | None = None
    variant: str | None = None
    thumbs_up: bool | None = None
    with_comment: bool = False
    since: datetime | None = None
    until: datetime | None = None


class FeedbackRepository(Protocol):
    """What people said, in all environments."""

    def find(self, environment: str, key: str) -> FeedbackAnswer | None:
        """The one of this key."""
        ...

    def get(self, environment: str, number: int) -> FeedbackAnswer | None:
        """The one of this id."""
        ...

    def list(
        self, environment: str, flag_key: str, wanted: FeedbackFilter, *, limit: int, before: int | None = None
    ) -> Sequence[FeedbackAnswer]:
        """Newest first; with `before`, those with a smaller id."""
        ...

    def count(self, environment: str, flag_key: str, wanted: FeedbackFilter) -> int:
        """How many there are."""
        ...

    def add(self, answer: FeedbackAnswer) -> bool:
        """A new one; False where its key is taken."""
        ...

    def save(self, answer: FeedbackAnswer) -> None:
        """In the place of the one of its id."""
        ...

    def prune(self, *, before: datetime, limit: int) -> int:
        """Remove so many at most that are older; how many."""
        ...


class DrillRepository(Protocol):
    """The newest drill of each flag."""

    def find(self, environment: str, flag_key: str) -> Drill | None:
        """The newest of a flag."""
        ...

    def under_way(self) -> Sequence[Drill]:
        """Those that are not over, of all environments."""
        ...

    def add(self, drill: Drill) -> None:
        """The first of a flag; raises StaleVersion when somebody else began one meanwhile."""
        ...

    def save(self, drill: Drill) -> None:
        """Replace version `drill.version - 1`; raises StaleVersion when that is not what is stored."""
        ...


class SegmentRepository(Protocol):
    """The segments of all environments."""

    def get(self, environment: str, key: str) -> Segment:
        """One segment; raises NotFound."""
        ...

    def list(self, environment: str) -> Sequence[Segment]:
        """All of an environment, by key."""
        ...

    def add(self, segment: Segment) -> None:
        """A new one; raises Conflict when the key is taken."""
        ...

    def save(self, segment: Segment) -> None:
        """Replace version `segment.version - 1`; raises StaleVersion when that is not what is stored."""
        ...

    def remove(self, segment: Segment) -> None:
        """Take this version away; raises StaleVersion when it is not what is stored."""
        ...


class TemplateRepository(Protocol):
    """The templates of plans of all environments; versions never change."""

    def get(self, environment: str, name: str, version: int | None = None) -> Template:
        """One version, or the newest; raises NotFound."""
        ...

    def list(self, environment: str) -> Sequence[Template]:
        """The newest version of each, by name."""
        ...

    def add(self, template: Template) -> None:
        """The next version; raises StaleVersion when that number is taken."""
        ...


class CalendarRepository(Protocol):
    """One calendar for each environment."""

    def get(self, environment: str) -> Calendar:
        """The environment's; an empty one where there is none yet."""
        ...

    def save(self, calendar: Calendar) -> None:
        """Replace version `calendar.version - 1`; raises StaleVersion when that is not what is stored."""
        ...


class AppliedRepository(Protocol):
    """What was applied last from files."""

    def get(self, name: Name) -> Applied | None:
        """That of one object; None where none was."""
        ...

    def list(self, collection: str) -> Sequence[Applied]:
        """All that came from a collection."""
        ...

    def save(self, applied: Applied) -> None:
        """In the place of what was applied before."""
        ...

    def remove(self, name: Name) -> None:
        """Forget it."""
        ...


class UnitOfWork(Protocol):
    """One transaction over all repositories."""

    @property
    def environments(self) -> EnvironmentRepository:
        """See EnvironmentRepository."""
        ...

    @property
    def users(self) -> UserRepository:
        """See UserRepository."""
        ...

    @property
    def failures(self) -> FailureRepository:
        """See FailureRepository."""
        ...

    @property
    def credentials(self) -> CredentialRepository:
        """See CredentialRepository."""
        ...

    @property
    def flags(self) -> FlagRepository:
        """See FlagRepository."""
        ...

    @property
    def rollouts(self) -> RolloutRepository:
        """See RolloutRepository."""
        ...

    @property
    def evidence(self) -> EvidenceRepository:
        """See EvidenceRepository."""
        ...

    @property
    def decisions(self) -> DecisionRepository:
        """See DecisionRepository."""
        ...

    @property
    def claims(self) -> ClaimRepository:
        """See ClaimRepository."""
        ...

    @property
    def retention(self) -> RetentionRepository:
        """See RetentionRepository."""
        ...

    @property
    def leases(self) -> LeaseRepository:
        """See LeaseRepository."""
        ...

    @property
    def rulesets(self) -> RulesetRepository:
        """See RulesetRepository."""
        ...

    @property
    def audit(self) -> AuditRepository:
        """See AuditRepository."""
        ...

    @property
    def applied(self) -> AppliedRepository:
        """See AppliedRepository."""
        ...

    @property
    def receipts(self) -> ReceiptRepository:
        """See ReceiptRepository."""
        ...

    @property
    def channels(self) -> ChannelRepository:
        """See ChannelRepository."""
        ...

    @property
    def alerts(self) -> AlertRepository:
        """See AlertRepository."""
        ...

    @property
    def outbox(self) -> OutboxRepository:
        """See OutboxRepository."""
        ...

    @property
    def passports(self) -> PassportRepository:
        """Passports of features."""
        ...

    @property
    def feedback(self) -> FeedbackRepository:
        """See FeedbackRepository."""
        ...

    @property
    def drills(self) -> DrillRepository:
        """Drills of the way back."""
        ...

    @property
    def segments(self) -> SegmentRepository:
        """See SegmentRepository."""
        ...

    @property
    def templates(self) -> TemplateRepository:
        """See TemplateRepository."""
        ...

    @property
    def calendars(self) -> CalendarRepository:
        """See CalendarRepository."""
        ...

    @property
    def device_logins(self) -> DeviceLoginRepository:
        """See DeviceLoginRepository."""
        ...

    @property
    def words(self) -> WordRepository:
        """See WordRepository."""
        ...

    def attempt(self) -> AbstractContextManager[object]:
        """A part of the transaction: when the block raises, only what it did is undone, and the rest may go on."""
        ...

    def notify(self, topic: str, value: str) -> None:
        """Tell those who listen to the topic, in all processes, once this has been committed; see Notices."""
        ...


#: Called with the value of a notice, or with LOOK. Quick, and raises nothing.
NoticeListener = Callable[[str], None]
#: Instead of a value: notices may have been missed, so look yourself for what is new.
LOOK: Final = ""
#: Topic: something was noted in the audit; the value is the number of its entry.
EVENTS: Final = "events"
#: Topic of changes of SDK keys; the value is the environment.
KEYS: Final = "keys"
#: Topic of what processes that serve tell each other; the value is who says so.
WORDS: Final = "words"


class Notices(Protocol):
    """Word of what was committed here and, on PostgreSQL, in other processes."""

    def listen(self, topic: str, callback: NoticeListener, *, own: bool = True) -> None:
        """Call back after each commit that notified the topic, and now and then with LOOK.

        Args:
            topic: such as `ruleset`.
            callback: what to call; in the thread that committed, or in that of the notices.
            own: whether what this process itself commits is of interest, or only what others do.
        """
        ...


class Store(Protocol):
    """Where everything is kept."""

    @property
    def notices(self) -> Notices:
        """See Notices."""
        ...

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """All or nothing: commits when the block ends, rolls back when it raises."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """Where a browser goes to sign in, and what it must bring back unseen by anybody else."""

    url: str
    memory: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """Whom an identity provider vouches for.

    Attributes:
        subject: issuer and subject; never changes.
        name: to sign with.
        roles: that follow from what it says of them.
    """

    subject: str
    name: str
    roles: Roles


class IdentityProvider(Protocol):
    """Signs people in somewhere else."""

    @property
    def label(self) -> str:
        """What people call it."""
        ...

    def depart(self, *, back_to: str) -> Departure:
        """Send a browser there; raises SignInRefused when it cannot be reached or is none."""
        ...

    def arrive(self, query: Mapping[str, str], *, memory: str, back_to: str, now: datetime) -> Arrival:
        """Understand what a browser brings back; raises SignInRefused, naming what is wrong with it."""
        ...


class Passwords(Protocol):
    """Hashes passwords, slowly on purpose."""

    def hash(self, password: str) -> str:
        """With a salt of its own, and saying how it was made."""
        ...

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the one that was hashed; without a hash False, after as much work."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it should be made again, with more work."""
        ...


class RulesetSink(Protocol):
    """Where a committed revision goes on to the SDKs. A revision that is not newer is ignored."""

    def publish(self, ruleset: PublishedRuleset) -> None:
        """Serve this revision from now on. Called after the commit, never before."""
        ...


class Messenger(Protocol):
    """Carries messages to the outside."""

    def check(self, kind: ChannelKind, url: str, secret: str | None) -> str:
        """The address without what is secret in it; raises Invalid for one that cannot be used."""
        ...

    def send(self, channel: Channel, delivery: Delivery, *, now: datetime) -> Failure | None:
        """One attempt; None when the other side took it. Never raises, and waits no longer than it was told to."""
        ...


class Recorder(Protocol):
    """What the controller counts about itself."""

    def decided(self, rollout: Rollout, decision: Decision) -> None:
        """A decision was committed."""
        ...

    def ticked(self, *, seconds: float, rollouts: int, now: datetime) -> None:
        """A tick of the reconciler ended."""
        ...

    def tick_failed(self) -> None:
        """A tick ended in an error, and nothing came of it; the next one tries again."""
        ...

    def overtaken(self) -> None:
        """A look came to nothing: somebody else has the claim, or moved the rollout."""
        ...

    def lease_failed(self) -> None:
        """This process could not say that it is still there."""
        ...

    def late(self, *, seconds: float) -> None:
        """So late came the look of this tick that had waited longest."""
        ...

    def failed(self, rollout_id: str, error: Exception) -> None:
        """A rollout could not be reconciled; it is tried again at its next look."""
        ...

    def delivered(self, delivery: Delivery) -> None:
        """An attempt to deliver a message ended, well or not; its state says how."""
        ...

    def alerted(self, record: AlertRecord) -> None:
        """An alert was taken."""
        ...

    def waiting(self, backlog: Backlog, *, audit_entries: int, now: datetime) -> None:
        """How much waits in the outbox, and how long the audit is."""
        ...


class Fleets(Protocol):
    """How far revisions have come, as this process knows."""

    def revisions(self, environment: str) -> Sequence[DeliveredRevision]:
        """How far each came, newest first."""
        ...

    def clients(self, environment: str) -> Sequence[ConnectedClient]:
        """Who is connected, those furthest behind first."""
        ...

    def news(self, *, all_of_it: bool = False) -> Mapping[str, FleetNews]:
        """By environment what other processes were not told yet, or all that this one hears itself."""
        ...

    def told(self, process: str, environment: str, news: FleetNews, *, seconds_ago: float) -> None:
        """Another process said this, so long ago; of other environments it had nothing to say."""
        ...

    def ended(self, process: str) -> None:
        """Another process stopped, and nobody hears of its clients."""
        ...
