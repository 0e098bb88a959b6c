"""What people say: taken from servers and browsers, counted once, kept with its wave, heeded by the gate."""

import csv
import io
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest

from support import control_plane
from support.data_plane import KEY, Serving
from support.faults import fault_server, says
from support.live_controller import WAVEGATE, environment, live_controller
from support.people import person
from support.waiting import wait_until
from wavegate import Client
from wavegate.client.tokens import Signer
from wavegate_controller.delivery import Cors, Delivery, FeedbackRoute, Grant, Keys, PostedCounts, RateLimits, SdkRoutes
from wavegate_controller.delivery.feedback import FeedbackLimits
from wavegate_controller.delivery.keys import hash_of
from wavegate_controller.documents.counts import BOUNDS
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.answers import FeedbackAnswer, Source, Taken
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import Forbidden, NotFound
from wavegate_controller.inbox import Inbox
from wavegate_controller.ports import FeedbackFilter
from wavegate_controller.providers import ScrapeProvider
from wavegate_controller.service import feedback
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.telemetry import PrometheusRecorder

FLAG = "ai-summaries"
ALL = FeedbackFilter()


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.flag()
        yield world


@contextmanager
def plane(world, *, rate=0.0, rate_of_a_person=0.0, origins=()):
    """The route on a real socket, before the world's database; gives its URL and what it counts."""
    keys, counts, inbox = Keys(), PostedCounts(), Inbox(world.services)
    keys.replace({hash_of(KEY): Grant(key_id="k", environment="production")})
    publish_latest(world.services)
    route = FeedbackRoute(
        world.hub,
        keys,
        counts,
        inbox,
        limits=FeedbackLimits(key=RateLimits(rate), person=RateLimits(rate_of_a_person)),
        cors=Cors(origins),
        now=world.clock.now,
        tell=world.services.recorder.feedback_taken,
    )
    inbox.start()
    app = Delivery({"/sdk/": SdkRoutes(world.hub, counts, keys, route)}, otherwise=_nothing_else)
    serving = Serving(app, world.hub)
    try:
        yield f"{serving.url}/sdk/v1/feedback", counts
    finally:
        serving.close()
        inbox.close()


async def _nothing_else(scope, receive, send):
    raise AssertionError(scope)


def post(url, *, key=KEY, **document):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    said = {"flag": FLAG, "variant": "on", "id": "1", "thumbs_up": False}
    return requests.post(url, json=said | document, headers=headers, timeout=10)


def show(url, token, **document):
    # As a browser sends it that is not to ask first.
    return requests.post(url, data=json.dumps({"token": token, "thumbs_up": True} | document), timeout=10)


def token(world, **said):
    expires = int((world.clock.now() + timedelta(minutes=15)).timestamp())
    fields = {"flag": FLAG, "variant": "on", "targeting_key": "user-1", "cohort": 3, "nonce": "0" * 16}
    return Signer(KEY).sign(**(fields | {"expires": expires} | said))


def kept(world, wanted=ALL, **by):
    return feedback.list_feedback(world.services, FLAG, wanted, by=person(**by), limit=100)


def thumbs(counts):
    arm = counts.totals().get("production")
    arm = arm and arm.arms.get((FLAG, "on"))
    return (sum(arm.values["thumbs_up"]), sum(arm.bad["thumbs_down"])) if arm else (0, 0)


def test_an_answer_of_a_server_is_counted_once_however_often_it_is_sent(world):
    with plane(world) as (url, counts):
        answers = [post(url, comment="too long") for _ in range(3)]
        other = post(url, id="2", comment="")

    assert [(each.status_code, each.json()["taken"]) for each in answers] == [
        (201, "new"),
        (200, "known"),
        (200, "known"),
    ]
    assert other.status_code == 201
    assert thumbs(counts) == (0, 2)
    assert [(each.comment, each.variant, each.source) for each in kept(world)] == [
        ("", "on", Source.SERVER),
        ("too long", "on", Source.SERVER),
    ]


def test_the_same_answer_at_the_same_moment_is_counted_once(world):
    with plane(world) as (url, counts), ThreadPoolExecutor(8) as many:
        taken = list(many.map(lambda _: post(url).json()["taken"], range(24)))

    assert sorted(taken) == ["known"] * 23 + ["new"]
    assert thumbs(counts) == (0, 1)


def test_a_token_is_for_one_answer_and_a_comment_may_follow_its_thumb(world):
    shown = token(world)
    with plane(world) as (url, counts):
        first = show(url, shown)
        documents = ({"comment": "lovely"}, {"comment": "lovely"}, {"thumbs_up": False})
        steps = [show(url, shown, **document).status_code for document in documents]

    assert (first.status_code, first.json()) == (201, {"taken": "new"})
    assert steps == [201, 200, 409]
    assert thumbs(counts) == (1, 0)
    ((comment, up, source),) = [(each.comment, each.thumbs_up, each.source) for each in kept(world)]
    assert (comment, up, source) == ("lovely", True, Source.BROWSER)
    assert "user-1" not in str(kept(world))


def test_a_persons_thumb_counts_in_their_cohort(world):
    with plane(world) as (url, counts):
        show(url, token(world))
        show(url, token(world, targeting_key="user-2", cohort="targeted"))
        post(url, cohort=5)

    arm = counts.totals()["production"].arms[FLAG, "on"]
    assert [place for place, count in enumerate(arm.values["thumbs_up"]) if count] == [3, 16]
    assert [place for place, count in enumerate(arm.bad["thumbs_down"]) if count] == [5]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """A route that nothing of what these tests send gets through."""
    with control_plane.world(tmp_path_factory.mktemp("refusing")) as world:
        world.flag()
        with plane(world) as (url, counts):
            yield url
        assert (kept(world), thumbs(counts)) == ([], (0, 0))


@pytest.mark.parametrize(
    ("document", "status", "why"),
    [
        ({"flag": "no-such"}, 422, "flag: 'no-such' is not in the ruleset"),
        ({"variant": "made-up"}, 422, "variant: 'made-up' is not a variant"),
        ({"variant": None}, 422, "variant: is missing"),
        ({"comment": "x" * 501}, 422, "comment"),
        ({"comment": "x" * 17_000}, 413, "at most 16384 bytes"),
        ({"thumbs_up": "yes"}, 422, "thumbs_up"),
        ({"id": "a b"}, 422, "id"),
        ({"user": "ada"}, 422, "user: is not a known field"),
        ({"cohort": 16}, 422, "cohort"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(refusing, document, status, why):
    answer = post(refusing, **document)

    assert answer.status_code == status
    assert why in answer.json()["detail"]


def test_without_a_key_or_with_a_forged_token_nothing_is_taken(world):
    with plane(world) as (url, counts):
        answers = [
            post(url, key=None),
            post(url, key="another"),
            show(url, token(world)[:-4] + "AAAA"),
            show(url, token(world, expires=1)),
        ]

    assert [each.status_code for each in answers] == [401] * 4
    assert "has expired" in answers[3].json()["detail"]
    assert (kept(world), thumbs(counts)) == ([], (0, 0))


def test_a_flood_is_told_to_come_again(tmp_path):
    with control_plane.world(tmp_path) as world:
        world.flag()
        with plane(world, rate=0.001) as (url, counts):
            first, second = post(url, id="1"), post(url, id="2")
        with plane(world, rate_of_a_person=0.001) as (url, _):
            persons = [show(url, token(world, nonce=f"{number:016x}")) for number in range(3)]

        assert (first.status_code, second.status_code) == (201, 429)
        assert int(second.headers["Retry-After"]) >= 1
        assert thumbs(counts) == (0, 1)
        assert [each.status_code for each in persons] == [201, 429, 429]


def test_only_pages_of_named_origins_may_read_the_answer(tmp_path):
    with control_plane.world(tmp_path) as world:
        world.flag()
        with plane(world, origins=["https://shop.example"]) as (url, _):
            asked = {"Access-Control-Request-Method": "POST"}
            ours, theirs = (
                requests.options(url, headers={"Origin": origin, **asked}, timeout=5)
                for origin in ("https://shop.example", "https://evil.example")
            )
            refused = requests.post(url, data="{}", headers={"Origin": "https://shop.example"}, timeout=5)

        assert ours.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Access-Control-Allow-Origin" not in theirs.headers
        assert refused.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_nothing_is_taken_that_cannot_be_written_down(tmp_path):
    with control_plane.world(tmp_path) as world:
        world.flag()
        away = replace(world.services, store=control_plane.without_database(world.services).store)
        publish_latest(world.services)
        inbox = Inbox(away)
        inbox.start()
        said = answer(world)

        with pytest.raises(OSError, match="cannot be written down now"):
            inbox.put([said]).result(10)

        inbox.close()
        with pytest.raises(OSError, match="cannot be written down now"):
            inbox.put([said]).result(10)


def answer(world, **fields):
    said = {"key": "id:1", "variant": "on", "thumbs_up": True, "comment": "", "source": Source.SERVER}
    return FeedbackAnswer(environment="production", flag_key=FLAG, at=world.clock.now(), **(said | fields))


def test_an_answer_is_kept_with_the_wave_that_was_served(world):
    feedback.keep(world.services, [answer(world, key="id:before")])
    world.started()
    feedback.keep(world.services, [answer(world, key="id:1"), answer(world, key="id:2", variant="off")])

    assert [(each.rollout_id, each.wave) for each in kept(world)] == [(f"{FLAG}:1", 0), (f"{FLAG}:1", 0), (None, None)]
    ((one,),) = [kept(world, FeedbackFilter(rollout_id=f"{FLAG}:1", wave=0, variant="off"))]
    assert one.key == "id:2"


def test_the_words_of_an_answer_can_be_forgotten_and_do_not_come_back(world):
    said = answer(world, comment="ask Ada Lovelace")
    feedback.keep(world.services, [said])
    (number,) = [each.id for each in kept(world)]

    feedback.erase_comment(world.services, FLAG, number, by=person("ada"), comment="names somebody")
    feedback.erase_comment(world.services, FLAG, number, by=person("ada"))
    (again,) = feedback.keep(world.services, [said])

    assert again is Taken.KNOWN
    assert [(each.comment, each.is_erased) for each in kept(world)] == [("", True)]
    with world.services.store.transaction() as work:
        entries = work.audit.list(AuditFilter(action="feedback.erase"), limit=20)
    assert [each.note.reason for each in entries] == ["names somebody"]
    assert "Lovelace" not in str(entries)


def test_what_is_old_is_removed(world):
    feedback.keep(world.services, [answer(world, key="id:old")])
    world.clock.advance(days=91)
    feedback.keep(world.services, [answer(world, key="id:new")])

    removed = feedback.prune_feedback(world.services, keep=timedelta(days=90))

    assert (removed, [each.key for each in kept(world)]) == (1, ["id:new"])


def test_who_may_not_see_a_flag_sees_no_words_about_it(world):
    feedback.keep(world.services, [answer(world, comment="too long")])
    (number,) = [each.id for each in kept(world)]

    with pytest.raises(Forbidden):
        feedback.erase_comment(world.services, FLAG, number, by=person(role=Role.VIEWER))
    with pytest.raises(NotFound):
        feedback.erase_comment(world.services, "another", number, by=person())
    with pytest.raises(NotFound):
        feedback.list_feedback(world.services, "another", ALL, by=person(), limit=1)


def test_comments_among_counts_are_kept_before_they_are_answered_and_once(world):
    said = {"flag": FLAG, "variant": "on", "thumbs_up": False, "comment": "too long\x07"}
    document = {
        "schema": 1,
        "instance": "0" * 32,
        "sequence": 1,
        "comments": [said, said | {"flag": "made-up"}, said | {"comment": "\x00"}],
    }
    with plane(world) as (url, _):
        for _ in range(2):
            posted = requests.post(
                url.replace("feedback", "counts"), json=document, headers={"Authorization": f"Bearer {KEY}"}, timeout=5
            )
            assert posted.status_code == 204

    assert [(each.comment, each.source) for each in kept(world)] == [("too long", Source.APP)]


class Scraped:
    """An app and a controller whose metrics are read over HTTP, and a rollout that people judge."""

    def __init__(self, world, app, controller):
        self.world, self.registry = world, CollectorRegistry()
        provider = ScrapeProvider([f"{app.url}/metrics", f"{controller.url}/metrics"], timeout=5)
        self.world.services = replace(world.services, provider=provider)
        gate = {"type": "feedback", "min_answers": 10, "max_thumbs_down": 0.05}
        waves = [{"percent": share, "bake": "1m"} for share in (50, 100)]
        self.rollout = world.started(waves=waves, gates=[gate])
        self.app = Client.offline(world.ruleset, registry=self.registry)
        self.recorder = PrometheusRecorder()
        app.behaviour = self._show_app
        controller.behaviour = self._show_controller
        self.provider = provider
        self.look()

    def _show_app(self, handler):
        says(generate_latest(self.registry))(handler)

    def _show_controller(self, handler):
        says(self.recorder.exposition())(handler)

    def serve(self, users):
        for number in range(users):
            with self.app.trial(FLAG, f"user-{number}"):
                pass

    def look(self):
        self.world.clock.advance(seconds=15)
        return reconcile(self.world.services, self.rollout.id)


@pytest.fixture
def scraped(tmp_path):
    with control_plane.world(tmp_path) as world, fault_server() as app, fault_server() as controller:
        world.flag()
        scraped = Scraped(world, app, controller)
        yield scraped
        scraped.provider.close()


def test_thumbs_that_an_app_counts_stop_a_wave(scraped):
    scraped.serve(400)
    for number in range(400):
        scraped.app.feedback(FLAG, f"user-{number}", thumbs_up=number % 2 == 0)
    decision = scraped.look()

    assert scraped.world.rollout(scraped.rollout.id).state.value == "rolled_back"
    assert [each.reason for each in decision.verdicts] == ["too_many_thumbs_down"]


def test_thumbs_that_the_controller_counts_stop_a_wave(scraped):
    with plane(scraped.world) as (url, counts):
        scraped.recorder.show(counts.totals, bounds=BOUNDS)
        scraped.serve(400)
        with ThreadPoolExecutor(8) as many:
            taken = list(many.map(lambda number: post(url, id=str(number)).status_code, range(80)))
        decision = scraped.look()

    assert set(taken) == {201}
    assert scraped.world.rollout(scraped.rollout.id).state.value == "rolled_back"
    assert [each.reason for each in decision.verdicts] == ["too_many_thumbs_down"]
    assert decision.verdicts[0].figures["thumbs_down"] == 80


@pytest.mark.slow
def test_an_app_that_is_scraped_posts_its_comments_and_a_browser_its_thumb(tmp_path):
    settings = {"WAVEGATE_SDK_KEYS": json.dumps([KEY]), "WAVEGATE_FEEDBACK_CORS_ORIGINS": '["*"]'}
    with live_controller(tmp_path, **settings) as url:
        requests.post(f"{url}/api/v1/flags", json={"key": FLAG}, timeout=5).raise_for_status()
        registry = CollectorRegistry()
        with Client(url, KEY, registry=registry, poll_interval=0.1, post_interval=0.05) as app:
            wait_until(lambda: app.details(FLAG, "user-1").variant == "off")
            app.feedback(FLAG, "user-1", thumbs_up=False, comment="=1+1 <b>too long</b>")
            signed = app.feedback_token(FLAG, "user-2")
            answered = show(f"{url}/sdk/v1/feedback", signed)
            seen = wait_until(lambda: len(items := listed(url)) == 2 and items)
        shown = requests.get(f"{url}/metrics", timeout=5).text
        printed = run(url, "list", FLAG, "--comments-only")
        exported = list(csv.DictReader(io.StringIO(run(url, "export", FLAG, "--csv"))))
        (number,) = [each["id"] for each in seen if each["comment"]]
        erased = json.loads(run(url, "erase", FLAG, str(number), "--as", "ada", "--json"))

    assert answered.json() == {"taken": "new"}
    assert {(each["source"], each["comment"]) for each in seen} == {("app", "=1+1 <b>too long</b>"), ("browser", "")}
    assert b"thumbs_down" in generate_latest(registry)
    ((line),) = [line for line in shown.splitlines() if 'kind="thumbs_up"' in line and line.endswith(" 1.0")]
    assert 'environment="production"' in line
    assert "<b>too long</b>" in printed
    assert {each["comment"] for each in exported} == {"'=1+1 <b>too long</b>", ""}
    assert (erased["comment"], erased["is_erased"]) == ("", True)


def listed(url):
    return requests.get(f"{url}/api/v1/flags/{FLAG}/feedback", timeout=5).json()["items"]


def run(url, *arguments):
    command = [WAVEGATE, "feedback", *arguments]
    return subprocess.run(
        command, env=environment(WAVEGATE_URL=url), capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_a_token_says_nothing_of_who_it_is_about_and_none_is_made_without_a_key():
    flag = {"variants": {"on": True, "off": False}, "default_variant": "off"}
    ruleset = {"schema": 1, "environment": "test", "revision": 1, "flags": {"search": flag}}
    with Client("http://127.0.0.1:1", KEY, registry=CollectorRegistry(), bootstrap=ruleset) as app:
        signed = app.feedback_token("search", "ada@example.com")
        unknown = app.feedback_token("no-such-flag", "ada@example.com")
        nobody = app.feedback_token("search", None)
        with pytest.raises(ValueError, match="lifetime"):
            app.feedback_token("search", "ada", lifetime=86_401)
    offline = Client.offline(ruleset, registry=CollectorRegistry()).feedback_token("search", "ada")

    assert signed.startswith("wgf1.")
    assert "ada" not in signed
    assert (unknown, nobody, offline) == (None, None, None)
