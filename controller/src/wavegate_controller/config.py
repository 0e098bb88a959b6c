"""The controller's settings: from a TOML file, and from the environment, which wins. Unknown keys are refused."""

import ipaddress
import json
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator

from wavegate_controller.documents.feedback import LONGEST_LIFE
from wavegate_controller.documents.reading import Document, Duration, refusal
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.domain.alerting import AlertAction, AlertPolicy
from wavegate_controller.domain.errors import Invalid

PREFIX: Final = "WAVEGATE_"
#: Variables with our prefix that other parts read: the CLI, the demo, the tests.
OTHERS: Final = frozenset(
    {
        "WAVEGATE_CONFIG",
        "WAVEGATE_URL",
        "WAVEGATE_TOKEN",
        "WAVEGATE_USER",
        "WAVEGATE_CHANNEL_URL",
        "WAVEGATE_SDK_KEY",
        "WAVEGATE_PROMETHEUS",
        "WAVEGATE_ALERTMANAGER",
        "WAVEGATE_SPECS",
    }
)
#: Options of `wavegate relay`.
_OF_RELAYS: Final = "WAVEGATE_RELAY_"
#: API and pages; rulesets for apps; the watch over rollouts.
ROLES: Final = ("control", "data", "reconcile")
_SHORTEST_SECRET: Final = 16
#: Chat, mail and pagers. What apprise can post to any host (json, xml, form) or do on this machine is left out.
_SERVICES: Final = (
    "discord",
    "gchat",
    "mailgun",
    "mailto",
    "mailtos",
    "msteams",
    "opsgenie",
    "pagerduty",
    "pushover",
    "sendgrid",
    "ses",
    "slack",
    "sns",
    "tgram",
    "twilio",
    "webexteams",
    "workflows",
)


class ApiToken(Document):
    """A token that stands in the settings."""

    model_config = Document.model_config | {"strict": False}

    token: SecretStr = Field(description="The token itself.")
    role: Role = Field(default=Role.ADMIN, description="What it is.")
    environment: str = Field(default=EVERYWHERE, description="Where; `*` for everywhere.")


class Config(Document):
    """All settings. Each is a key of the file, and `WAVEGATE_` with its name in capitals in the environment."""

    model_config = Document.model_config | {"strict": False}

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    role: str = Field(
        default=",".join(ROLES),
        description="What this process does, some of `control`, `data` and `reconcile`; less than all with PostgreSQL.",
    )
    environment: str = Field(default="production", description="Name of the environment that this controller serves.")
    open: bool = Field(
        default=False,
        description="Whoever reaches the controller may do everything under any name, and apps need no key. "
        "To try it out: on a loopback host only.",
    )
    session_lifetime: Duration = Field(
        default="12h", validate_default=True, description="How long a browser stays signed in."
    )
    database_url: str = Field(default="sqlite:///wavegate.db", description="SQLAlchemy URL of the database.")
    prometheus_url: str = Field(
        default="http://127.0.0.1:9090",
        pattern=r"^https?://[^/]+",
        description="Base URL of the Prometheus-compatible server.",
    )
    prometheus_timeout: Duration = Field(
        default="5s", validate_default=True, description="Longest wait for one answer of Prometheus."
    )
    prometheus_bearer_token: SecretStr | None = Field(default=None, description="Sent to Prometheus, if given.")
    prometheus_username: str = Field(default="", description="User for basic authentication at Prometheus.")
    prometheus_password: SecretStr | None = Field(
        default=None, description="Password for basic authentication at Prometheus."
    )
    prometheus_headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further headers for Prometheus, such as a tenant's `X-Scope-OrgID`."
    )
    prometheus_ca_file: str | None = Field(
        default=None, description="PEM file of the authorities to trust for Prometheus, instead of the system's."
    )
    prometheus_client_cert: str | None = Field(
        default=None, description="PEM file of the certificate that the controller shows to Prometheus."
    )
    prometheus_client_key: str | None = Field(
        default=None, description="PEM file of its key, without a pass phrase; may stand in the certificate's file."
    )
    prometheus_lag: Duration = Field(
        default="0s",
        validate_default=True,
        description="How long before now to look, for stores that samples reach late or piece by piece.",
    )
    scrape_targets: list[str] = Field(
        default_factory=list,
        description="URLs of the apps' own metrics, one for each process, to be read instead of a Prometheus.",
    )
    retention: Duration = Field(
        default="90d",
        validate_default=True,
        description="How long holds, and evidence that explains no decision any more, are kept; 0 for ever.",
    )
    tick: Duration = Field(
        default="1s", validate_default=True, description="How often the reconciler looks for rollouts that are due."
    )
    api_tokens: dict[str, SecretStr | ApiToken] = Field(
        default_factory=dict,
        description="Name to API token, beside those that are made: a token, or a table of token, role, environment.",
    )
    sdk_keys: list[SecretStr] = Field(
        default_factory=list, description="Keys for the controller's environment, beside those that are created."
    )
    max_streams: int = Field(default=15_000, ge=0, description="Streams that this process serves at once.")
    max_streams_per_key: int = Field(default=15_000, ge=0, description="Streams that one SDK key may have at once.")
    allow_revision_rollback: bool = Field(
        default=False,
        description="Tell apps that a lower revision than theirs is meant; for a while after a backup was restored.",
    )
    oidc_issuer: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="Identity provider (OpenID Connect) that people may sign in at; tokens of any other are refused.",
    )
    oidc_client_id: str = Field(default="", description="By which it knows this controller.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="By which this controller shows itself.")
    oidc_scopes: list[str] = Field(
        default_factory=lambda: ["openid", "profile", "email"], description="What to ask it for."
    )
    oidc_name_claim: str = Field(default="email", description="What people sign with here.")
    oidc_groups_claim: str = Field(default="groups", description="Where it says the groups of somebody.")
    oidc_roles: dict[str, Role | dict[str, Role]] = Field(
        default_factory=dict,
        description="Group, or `*` for everybody, to a role, or to a table of environment and role.",
    )
    oidc_label: str = Field(default="single sign-on", description="What the login page calls it.")
    stream_heartbeat: Duration = Field(
        default="5s",
        validate_default=True,
        description="How often each stream shows a sign of life; below what proxies on the way allow to be silent.",
    )
    ofrep_cors_origins: list[str] = Field(
        default_factory=list,
        description="Origins of web pages that may evaluate flags here, such as `https://shop.example`; `*` for all.",
    )
    ofrep_rate_limit: float = Field(
        default=0, ge=0, le=1_000_000, description="Evaluation requests a second for each SDK key; 0 for no limit."
    )
    feedback_cors_origins: list[str] = Field(
        default_factory=list,
        description="Origins of web pages whose readers may give feedback here, with tokens; `*` for all.",
    )
    feedback_rate_limit: float = Field(
        default=50, ge=0, le=1_000_000, description="Answers of people a second for each SDK key; 0 for no limit."
    )
    feedback_retention: Duration = Field(
        default="90d",
        validate_default=True,
        description="How long what people said is kept: a day or more; 0 for ever.",
    )
    webhook_urls: list[str] = Field(
        default_factory=list,
        description="Addresses that webhook gates may ask, each with what lies beneath it. With none, none may.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="`whsec_` and the base64 of 24 to 64 bytes; questions to webhooks are signed with it."
    )
    encryption_keys: list[SecretStr] = Field(
        default_factory=list,
        description="Keys for secrets in the database: the first seals, all open; on SQLite by default in a file.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^/\s]+[^\s]*)?$",
        description="How people reach this controller: links begin with it. With none, http://host:port.",
    )
    notification_services: list[str] = Field(
        default_factory=lambda: list(_SERVICES),
        description="Schemes of apprise's services that channels may use.",
    )
    notification_urls: list[str] = Field(
        default_factory=list,
        description="Addresses that webhook channels may post to, each with what lies beneath it. With none, none may.",
    )
    notification_attempts: int = Field(
        default=50, ge=1, le=1000, description="After how many attempts a message is given up."
    )
    alert_flag_labels: list[str] = Field(
        default_factory=lambda: ["wavegate_flag", "flag"],
        description="Labels of alerts that may name a flag; the first that an alert has counts.",
    )
    alert_actions: dict[str, AlertAction] = Field(
        default_factory=lambda: {EVERYWHERE: AlertAction.ROLL_BACK},
        description="Environment, or `*`, to what an alert does there that does not say what it wants.",
    )
    alert_actions_allowed: list[AlertAction] = Field(
        default_factory=lambda: [AlertAction.RECORD, AlertAction.PAUSE, AlertAction.ROLL_BACK],
        description="What an alert may ask for by its label `wavegate_action`.",
    )
    alert_without_rollout: AlertAction = Field(
        default=AlertAction.RECORD, description="What an alert does to a flag that has no rollout under way."
    )
    stages: Literal["required", "optional"] = Field(
        default="required",
        description="Whether every flag goes through the stages before its rollouts, or only those that have begun to.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level to log.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="Log lines for people, or one JSON object each."
    )
    traces: bool = Field(
        default=False,
        description="Send spans of ticks, queries and publications by OTLP, as OpenTelemetry's own variables say; "
        "needs the extra `otel`.",
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        secrets = [("api_tokens", each.token) for each in self.tokens.values()]
        secrets += [("sdk_keys", each) for each in self.sdk_keys]
        for field, secret in secrets:
            if len(secret.get_secret_value()) < _SHORTEST_SECRET:
                raise Invalid(field, "holds a secret that is easily guessed", f"{_SHORTEST_SECRET} characters or more")
        if self.open and not _is_loopback(self.host):
            raise Invalid("open", f"is true while host is {self.host}", "false, or a loopback host")
        if bool(self.oidc_issuer) is not bool(self.oidc_client_id):
            raise Invalid("oidc_client_id", "and oidc_issuer belong together", "both of them, or neither")
        if self.oidc_issuer and not self.oidc_roles:
            raise Invalid("oidc_roles", "is empty, so nobody could do anything", "a role for a group, or for `*`")
        if bool(self.prometheus_username) is not bool(self.prometheus_password):
            raise Invalid("prometheus_password", "and prometheus_username belong together", "both of them, or neither")
        if self.scrape_targets and (beside := sorted(_of_prometheus(self.model_fields_set))):
            raise Invalid(
                "scrape_targets", f"are given beside {beside[0]}", "one of the two; with Prometheus all gates work"
            )
        if not self.roles or not self.roles <= frozenset(ROLES):
            raise Invalid(
                "role", f"{self.role!r} names no roles", f"some of {', '.join(ROLES)}, with commas in between"
            )
        if self.roles != frozenset(ROLES) and self.database_url.startswith("sqlite"):
            raise Invalid(
                "role",
                f"{self.role!r} leaves work to others, but SQLite is for one process",
                "PostgreSQL, or all roles",
            )
        for field, duration in (
            ("tick", self.tick),
            ("session_lifetime", self.session_lifetime),
            ("prometheus_timeout", self.prometheus_timeout),
            ("stream_heartbeat", self.stream_heartbeat),
        ):
            if duration <= timedelta(0):
                raise Invalid(field, "is not a time", "more than 0, such as 1s")
        return self

    @model_validator(mode="after")
    def _counts_once(self) -> Self:
        if timedelta(0) < self.feedback_retention < LONGEST_LIFE:
            problem = "ends before the tokens of browsers do, whose answers would count again"
            raise Invalid("feedback_retention", problem, "1d or more, or 0 for ever")
        return self

    @property
    def alerts(self) -> AlertPolicy:
        """What alerts may do.

        Raises:
            Invalid: naming the setting.
        """
        return AlertPolicy(
            flag_labels=tuple(self.alert_flag_labels),
            default=self.alert_actions,
            allowed=frozenset(self.alert_actions_allowed),
            without_rollout=self.alert_without_rollout,
        )

    @property
    def roles(self) -> frozenset[str]:
        """What this process does."""
        return frozenset(name for part in self.role.split(",") if (name := part.strip()))

    @property
    def tokens(self) -> Mapping[str, ApiToken]:
        """Name to API token, each with its role; in short form the role is admin, everywhere."""
        return {
            name: each if isinstance(each, ApiToken) else ApiToken(token=each) for name, each in self.api_tokens.items()
        }


def load(env: Mapping[str, str], file: Path | None = None) -> Config:
    """The settings from a file, if one is given, and from the environment.

    Dictionaries and lists are written as JSON in the environment: `WAVEGATE_SDK_KEYS='["..."]'`.

    Raises:
        Invalid: naming the setting; unknown ones too, in the file and with our prefix in the environment.
    """
    settings = {} if file is None else _from_file(file)
    settings |= {
        name.removeprefix(PREFIX).lower(): _from_text(name, text)
        for name, text in env.items()
        if name.startswith(PREFIX) and name not in OTHERS and not name.startswith(_OF_RELAYS)
    }
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise _named(refusal(error), env) from None


def _named(refused: Invalid, env: Mapping[str, str]) -> Invalid:
    variable = PREFIX + refused.field.partition(".")[0].partition("[")[0].upper()
    return Invalid(variable if variable in env else refused.field, refused.problem, refused.expected)


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid("config", f"{file} cannot be read: {error.strerror}", "a readable TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid("config", f"{file} is not TOML: {error}", "a TOML file") from None


def _from_text(name: str, text: str) -> object:
    field = Config.model_fields.get(name.removeprefix(PREFIX).lower())
    if field is None or field.default_factory is None:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise Invalid(
            name, "is not JSON", f"JSON, such as {json.dumps(field.get_default(call_default_factory=True))}"
        ) from None


def _of_prometheus(settings: set[str]) -> set[str]:
    return {setting for setting in settings if setting.startswith("prometheus_")} - {"prometheus_timeout"}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
