"""A controller somewhere else: its HTTP API as methods. The door to requests for the CLI and the demo."""

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests

#: A document of the API, as JSON gave it (docs/api.md).
Document = dict[str, Any]

#: Longer than the controller is silent on a stream by default.
_SILENCE_SECONDS: Final = 60.0
#: The largest that the API gives.
_PAGE: Final = 500
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class RemoteProblem(Exception):
    """The controller refused; `str()` is what a person reads.

    Attributes:
        status: the HTTP status.
        title: the kind of problem, in a few words.
        detail: what was wrong with this request.
        errors: the fields that were refused, each with `field`, `problem` and `expected`.
        findings: of the lint, where these were the reason.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        findings: Sequence[Document] = (),
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.findings = tuple(findings)

    @property
    def is_nobody(self) -> bool:
        """Whether the controller does not know who asks: no token, or none that is good."""
        return self.status == HTTPStatus.UNAUTHORIZED and self.title == HTTPStatus.UNAUTHORIZED.phrase


class RemoteUnreachable(Exception):
    """No controller answers there; `str()` says where that is and what to do."""


class RemoteController:
    """The API of one controller.

    Every method but `ready` raises RemoteProblem when the controller refuses and RemoteUnreachable when it does not
    answer. With a token, the controller signs with the token's name: leave `actor` out. Without one, acts need it.
    """

    def __init__(
        self, url: str, token: str | None = None, *, environment: str | None = None, timeout: float = 10.0
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._environment = environment
        self._timeout = timeout
        self._session = requests.Session()
        # Proxies are for the way out; a proxy knows another loopback than ours.
        self._session.trust_env = urlsplit(url).hostname not in _LOOPBACK

    def flags(self) -> list[Document]:
        """All flags, each with its newest rollout."""
        return list(self.pages("flags"))

    def flag(self, key: str) -> Document:
        """One flag with its newest rollout."""
        return self._ask("GET", f"flags/{_segment(key)}")

    def create_flag(self, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """A new flag from a flag document."""
        return self._ask("POST", "flags", body=_signed(actor, document))

    def change_flag(self, key: str, change: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Change some fields of a flag."""
        return self._ask("PATCH", f"flags/{_segment(key)}", body=_signed(actor, change))

    def set_enabled(
        self, key: str, enabled: bool, *, actor: str | None = None, comment: str = "", **further: Any
    ) -> Document:
        """Enable a flag, or stop it at once for everybody."""
        verb = "enable" if enabled else "disable"
        return self._ask("POST", f"flags/{_segment(key)}/{verb}", body=_signed(actor, {"comment": comment} | further))

    def archive_flag(self, key: str, *, actor: str | None = None, comment: str = "") -> Document:
        """Take a flag out of the ruleset."""
        return self._ask("POST", f"flags/{_segment(key)}/archive", body=_signed(actor, {"comment": comment}))

    def restore_flag(self, key: str, *, actor: str | None = None, comment: str = "", **further: Any) -> Document:
        """Bring an archived flag back."""
        return self._ask("POST", f"flags/{_segment(key)}/restore", body=_signed(actor, {"comment": comment} | further))

    def stale_flags(self, *, days: int) -> Document:
        """The flags that have done their work."""
        return self._ask("GET", "stale-flags", query={"days": days})

    def feedback(self, key: str, wanted: Mapping[str, Any]) -> Iterator[Document]:
        """What people said about a flag, newest first."""
        return self.pages(f"flags/{_segment(key)}/feedback", wanted)

    def erase_feedback(self, key: str, number: int, *, actor: str | None = None, comment: str = "") -> Document:
        """Forget the words of an answer."""
        path = f"flags/{_segment(key)}/feedback/{number}/erase"
        return self._ask("POST", path, body=_signed(actor, {"comment": comment}))

    def portfolio(self) -> Document:
        """All features by stage."""
        return self._ask("GET", "passports")

    def passport(self, key: str) -> Document:
        """Where a feature stands, and what it lacks."""
        return self._ask("GET", f"flags/{_segment(key)}/passport")

    def stage_document(self, key: str, stage: str | None = None) -> Document:
        """What a stage has to show, as Markdown."""
        query = {"stage": stage} if stage else {}
        return self._ask("GET", f"flags/{_segment(key)}/passport/document", query=query)

    def write_stage(self, key: str, stage: str, part: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Write down what a stage asks for."""
        return self._ask("PUT", f"flags/{_segment(key)}/passport/{stage}", body=_signed(actor, part))

    def decide_stage(self, key: str, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Leave a stage."""
        return self._ask("POST", f"flags/{_segment(key)}/passport/decisions", body=_signed(actor, document))

    def acknowledge_item(self, key: str, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Say that one owns an item of the checklist."""
        return self._ask("POST", f"flags/{_segment(key)}/passport/acknowledgements", body=_signed(actor, document))

    def leave_pilot(self, key: str, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Take somebody out of the pilot."""
        return self._ask("POST", f"flags/{_segment(key)}/pilot/leave", body=_signed(actor, document))

    def begin_drill(
        self, key: str, *, real: bool = False, patience: float = 60, actor: str | None = None, comment: str = ""
    ) -> Document:
        """Report a breach that is made up."""
        body = {"real": real, "patience_seconds": patience, "comment": comment}
        return self._ask("POST", f"flags/{_segment(key)}/drill", body=_signed(actor, body))

    def look_at_drill(self, key: str, *, actor: str | None = None) -> Document:
        """How far the drill of a flag is."""
        return self._ask("POST", f"flags/{_segment(key)}/drill/look", body=_signed(actor, {}))

    def abort_drill(self, key: str, *, actor: str | None = None) -> Document:
        """End the drill of a flag."""
        return self._ask("POST", f"flags/{_segment(key)}/drill/abort", body=_signed(actor, {}))

    def segments(self) -> list[Document]:
        """All segments."""
        return list(self.pages("segments"))

    def segment(self, key: str) -> Document:
        """One segment."""
        return self._ask("GET", f"segments/{_segment(key)}")

    def save_segment(self, key: str, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Make or replace a segment."""
        return self._ask("PUT", f"segments/{_segment(key)}", body=_signed(actor, document))

    def remove_segment(self, key: str, *, actor: str | None = None, comment: str = "") -> Document:
        """Remove a segment; what it was."""
        body = _signed(actor, {"comment": comment})
        return self._ask("POST", f"segments/{_segment(key)}/remove", body=body)

    def templates(self) -> list[Document]:
        """The newest version of each template."""
        return list(self.pages("templates"))

    def template(self, reference: str) -> Document:
        """A template by its name, or one version such as `careful@3`."""
        return self._ask("GET", f"templates/{_segment(reference)}")

    def save_template(self, name: str, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """The next version of a template."""
        return self._ask("PUT", f"templates/{_segment(name)}", body=_signed(actor, document))

    def freeze_windows(self) -> Document:
        """The freeze windows of the environment."""
        return self._ask("GET", "freeze-windows")

    def save_freeze_windows(self, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Replace the freeze windows of the environment."""
        return self._ask("PUT", "freeze-windows", body=_signed(actor, document))

    def rollouts(self, flag: str | None = None) -> list[Document]:
        """Rollouts, newest first."""
        return list(self.pages("rollouts", {"flag": flag}))

    def rollout(self, reference: str) -> Document:
        """A rollout by its id, or the newest of a flag by the flag's key."""
        return self._ask("GET", f"rollouts/{_segment(reference)}")

    def change_plan(self, reference: str, change: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """Give a draft another plan, or a template's."""
        return self._ask("PUT", f"rollouts/{_segment(reference)}/plan", body=_signed(actor, change))

    def create_rollout(self, document: Mapping[str, Any], *, actor: str | None = None) -> Document:
        """A draft from a rollout document."""
        return self._ask("POST", "rollouts", body=_signed(actor, document))

    def act(
        self, reference: str, event: str, *, actor: str | None = None, comment: str = "", **further: Any
    ) -> Document:
        """Ask for an event such as `start` or `roll_back`, with what further the event takes; the rollout after it."""
        path = f"rollouts/{_segment(reference)}/{_segment(event)}"
        return self._ask("POST", path, body=_signed(actor, {"comment": comment} | further))

    def set_dry_run(self, reference: str, *, dry_run: bool, actor: str | None = None, comment: str = "") -> Document:
        """Begin or end the dry run of a rollout."""
        body = _signed(actor, {"dry_run": dry_run, "comment": comment})
        return self._ask("POST", f"rollouts/{_segment(reference)}/dry_run", body=body)

    def give_reason(self, reference: str, comment: str, *, actor: str | None = None) -> Document:
        """Say afterwards why one has moved it."""
        return self._ask("POST", f"rollouts/{_segment(reference)}/reason", body=_signed(actor, {"comment": comment}))

    def judge(
        self,
        reference: str,
        gate: str,
        verdict: str,
        *,
        comment: str,
        wave: int | None = None,
        actor: str | None = None,
    ) -> Document:
        """Say `pass` or `breach` about the wave that a rollout is in; it acts on that at its next look."""
        word = {"gate": gate, "verdict": verdict, "comment": comment, "wave": wave}
        return self._ask("POST", f"rollouts/{_segment(reference)}/judgements", body=_signed(actor, word))

    def presets(self) -> list[Document]:
        """Ready-made gates."""
        return list(self.pages("presets"))

    def decisions(
        self, reference: str, *, limit: int | None = 50, before: int | None = None, moves_only: bool = False
    ) -> list[Document]:
        """A rollout's decisions, newest first, so many or all; with `before`, those older than that one."""
        query = {
            "limit": _PAGE if limit is None else min(limit, _PAGE),
            "before": before,
            "moves_only": "true" if moves_only else None,
        }
        return list(islice(self.pages(f"rollouts/{_segment(reference)}/decisions", query), limit))

    def forecast(self, reference: str) -> Document:
        """What the next wave will cost."""
        return self._ask("GET", f"rollouts/{_segment(reference)}/forecast")

    def calibration(self, reference: str) -> Document:
        """What an A/A rollout shows."""
        return self._ask("GET", f"rollouts/{_segment(reference)}/calibration")

    def findings(self, reference: str) -> Document:
        """What lint finds in the gates of a rollout."""
        return self._ask("GET", f"rollouts/{_segment(reference)}/findings")

    def review(self, reference: str, *, wave: int | None = None, decision: int | None = None) -> Document:
        """The review of a wave, or what the person saw who took a decision."""
        return self._ask("GET", f"rollouts/{_segment(reference)}/review", query={"wave": wave, "decision": decision})

    def report(self, reference: str) -> Document:
        """How a rollout went, as Markdown and as HTML."""
        return self._ask("GET", f"rollouts/{_segment(reference)}/report")

    def comparison(self, reference: str) -> Document:
        """What a dry run would have done, beside what was done."""
        return self._ask("GET", f"rollouts/{_segment(reference)}/comparison")

    def explanation(self, decision_id: int) -> Document:
        """A decision made again from its evidence."""
        return self._ask("GET", f"decisions/{decision_id}/explanation")

    def audit(self, *, limit: int | None = None, **wanted: str | None) -> list[Document]:
        """What was done, newest first, so much or all."""
        query = {**wanted, "limit": _PAGE if limit is None else min(limit, _PAGE)}
        return list(islice(self.pages("audit", query), limit))

    def audit_entry(self, sequence: int) -> Document:
        """One entry of the audit."""
        return self._ask("GET", f"audit/{sequence}")

    def restore(self, sequence: int, *, actor: str | None = None, comment: str = "") -> Document:
        """Set back what an entry of the audit tells of; that entry."""
        return self._ask("POST", f"audit/{sequence}/restore", body=_signed(actor, {"comment": comment}))

    def audit_chain(self, *, after: int) -> Document:
        """Entries behind that one, oldest first, in `items`, and where the chain ends in `head`."""
        return self._ask("GET", "audit/chain", query={"after": after})

    def alerts(self, *, limit: int | None = None) -> list[Document]:
        """Alerts that were reported, newest first."""
        return list(islice(self.pages("alerts"), limit))

    def channels(self) -> list[Document]:
        """Where messages go."""
        return list(self.pages("channels"))

    def add_channel(self, document: Mapping[str, Any]) -> Document:
        """A new channel from a channel document."""
        return self._ask("POST", "channels", body=document)

    def remove_channel(self, name: str) -> None:
        """Send nothing more there."""
        self._ask("DELETE", f"channels/{_segment(name)}")

    def test_channel(self, name: str, *, actor: str | None = None) -> Document:
        """A message to one channel; the delivery, to be asked for again."""
        return self._ask("POST", f"channels/{_segment(name)}/test", body=_signed(actor, {}))

    def deliveries(self, *, limit: int | None = None, **wanted: str | None) -> list[Document]:
        """Messages on their way and delivered ones, newest first."""
        return list(islice(self.pages("deliveries", wanted), limit))

    def delivery(self, number: int) -> Document:
        """One of them."""
        return self._ask("GET", f"deliveries/{number}")

    def retry_delivery(self, number: int, *, actor: str | None = None) -> Document:
        """Try a dead one again."""
        return self._ask("POST", f"deliveries/{number}/retry", body=_signed(actor, {}))

    def plan_configuration(
        self, documents: Sequence[Mapping[str, Any]], *, collection: str = "default", prune: bool = False
    ) -> Document:
        """What applying these documents would change."""
        body = {"documents": documents, "collection": collection, "prune": prune}
        return self._ask("POST", "configuration/plan", body=body)

    def apply_configuration(
        self,
        documents: Sequence[Mapping[str, Any]],
        *,
        collection: str = "default",
        prune: bool = False,
        fingerprint: str | None = None,
        actor: str | None = None,
        comment: str = "",
        **further: Any,
    ) -> Document:
        """Make everything as these documents say, or nothing; with a fingerprint, only what was planned."""
        body = {"documents": documents, "collection": collection, "prune": prune, "comment": comment} | further
        return self._ask("POST", "configuration/apply", body=_signed(actor, body | {"fingerprint": fingerprint}))

    def export_configuration(self) -> list[Document]:
        """An environment as documents."""
        documents: list[Document] = self._ask("GET", "configuration")["documents"]
        return documents

    def delivered_revisions(self, *, limit: int = 10) -> list[Document]:
        """The latest revisions and how far they came, newest first."""
        return list(islice(self.pages("delivery"), limit))

    def clients(self) -> list[Document]:
        """Who is connected, those furthest behind first."""
        return list(self.pages("delivery/clients"))

    def events(self, *, after: int | None = None) -> Iterator[Document | None]:
        """What happens, as it happens, until the stream ends; None as a sign of life."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        query = None if self._environment is None else {"environment": self._environment}
        try:
            response = self._session.get(
                f"{self.url}/api/v1/events",
                headers=headers,
                params=query,
                auth=self._authorize,
                timeout=(self._timeout, _SILENCE_SECONDS),
                stream=True,
                allow_redirects=False,
            )
            with response:
                if not response.ok:
                    raise _problem(response)
                for line in response.iter_lines():
                    if line.startswith(b"data: {") and line != b"data: {}":
                        yield json.loads(line.removeprefix(b"data: "))
                    else:
                        yield None
        except requests.RequestException as error:
            raise RemoteUnreachable(f"the events of {self.url} have ended: {error}") from None

    def status(self) -> Document:
        """Environment, ruleset revision in force, and the controller's version."""
        return self._ask("GET", "status")

    def flagd_definitions(self, *, generation: str | None = None, strict: bool = False) -> Document:
        """The ruleset as flagd's flag definitions; the token is an SDK key here."""
        query = {"generation": generation, "strict": "1" if strict else None}
        return self._document(self._send("GET", "/flagd/v1/flags.json", query=query))

    def log_in(self, name: str, password: str, *, token_name: str) -> Document:
        """A personal token for a password."""
        body = {"name": name, "password": password, "token_name": token_name}
        return self._document(self._send("POST", "/api/v1/login", body=body))

    def begin_device_login(self, *, token_name: str) -> Document:
        """A command line that waits to be let in with a browser."""
        return self._document(self._send("POST", "/api/v1/login/device", body={"token_name": token_name}))

    def finish_device_login(self, secret: str) -> Document:
        """Whether it was let in, and then its token."""
        return self._document(self._send("POST", "/api/v1/login/device/token", body={"secret": secret}))

    def me(self) -> Document:
        """Who asks."""
        return self._ask("GET", "me")

    def users(self) -> list[Document]:
        """All people, by name."""
        return list(self.pages("users"))

    def create_user(self, name: str, roles: Mapping[str, str]) -> Document:
        """Somebody new, with the link that lets them in."""
        return self._ask("POST", "users", body={"name": name, "roles": roles})

    def set_roles(self, name: str, roles: Mapping[str, str]) -> Document:
        """What somebody is from now on."""
        return self._ask("PUT", f"users/{_segment(name)}/roles", body={"roles": roles})

    def change_user(self, name: str, verb: str) -> Document:
        """`link`, `disable` or `enable` somebody."""
        return self._ask("POST", f"users/{_segment(name)}/{verb}", body={})

    def credentials(self, kind: str) -> list[Document]:
        """`tokens` or `keys`, by name."""
        return list(self.pages(kind))

    def create_credential(self, kind: str, document: Mapping[str, Any]) -> Document:
        """One of `tokens` or `keys`, with its secret."""
        return self._ask("POST", kind, body=document)

    def rotate(self, kind: str, credential_id: str, *, overlap: str) -> Document:
        """The successor of one of `tokens` or `keys`, with its secret."""
        return self._ask("POST", f"{kind}/{_segment(credential_id)}/rotate", body={"overlap": overlap})

    def revoke(self, kind: str, credential_id: str) -> Document:
        """End one of `tokens` or `keys`."""
        return self._ask("POST", f"{kind}/{_segment(credential_id)}/revoke", body={})

    def environments(self) -> list[Document]:
        """Those that one may see, by name."""
        return list(self.pages("environments"))

    def change_environment(
        self, name: str, change: Document, *, actor: str | None = None, comment: str = ""
    ) -> Document:
        """Its description, or whether it is in dry run."""
        body = _signed(actor, change | {"comment": comment})
        return self._ask("PATCH", f"environments/{_segment(name)}", body=body)

    def create_environment(self, name: str, description: str, *, actor: str | None = None) -> Document:
        """A new one."""
        return self._ask("POST", "environments", body=_signed(actor, {"name": name, "description": description}))

    def ready(self) -> bool:
        """Whether a controller is there and its database answers. Never raises."""
        try:
            return self._send("GET", "/readyz").ok
        except RemoteUnreachable:
            return False

    def pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Document]:
        """The items of a list, page by page, as far as anybody wants to know."""
        asked = {"limit": _PAGE, **(query or {})}
        while True:
            page = self._ask("GET", path, query=asked)
            yield from page["items"]
            if page["next"] is None:
                return
            asked["cursor"] = page["next"]

    def _ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Document:
        where = {"environment": self._environment} if self._environment else {}
        return self._document(self._send(method, f"/api/v1/{path}", query={**(query or {}), **where}, body=body))

    def _document(self, response: requests.Response) -> Document:
        if response.status_code == HTTPStatus.NO_CONTENT:
            return {}
        try:
            document = response.json()
        except requests.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            detail = f"{self.url} answered {response.status_code} without JSON; is it a Wavegate controller?"
            raise RemoteProblem(response.status_code, response.reason or "", detail)
        if not response.ok:
            raise _problem(response)
        return document

    def _send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                self.url + path,
                params=query,
                json=body,
                auth=self._authorize,
                timeout=self._timeout,
                allow_redirects=False,  # would turn a POST into a GET and carry the token elsewhere
            )
        except requests.Timeout:
            raise RemoteUnreachable(f"the controller at {self.url} did not answer in {self._timeout:g} s") from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise RemoteUnreachable(f"{self.url!r} is no URL such as http://127.0.0.1:8080") from None
        except requests.exceptions.SSLError as error:
            raise RemoteUnreachable(f"the certificate of {self.url} does not hold: {error}") from None
        except requests.ConnectionError:
            raise RemoteUnreachable(
                f"no controller answers at {self.url}; start one with `wavegate serve`, "
                "or name another by --url or $WAVEGATE_URL"
            ) from None
        except requests.RequestException as error:
            raise RemoteUnreachable(f"asking {self.url} failed: {error}") from None

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """As a callable, so that requests does not put a password from ~/.netrc in the token's place."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _problem(response: requests.Response) -> RemoteProblem:
    try:
        document = response.json()
    except requests.JSONDecodeError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    title, detail, errors = document.get("title", ""), document.get("detail", ""), document.get("errors", ())
    findings = document.get("findings") or ()
    return RemoteProblem(response.status_code, title or response.reason or "", detail, errors, findings)


def _signed(actor: str | None, document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document if actor is None else {**document, "actor": actor}


def _segment(name: str) -> str:
    return quote(name, safe="")
