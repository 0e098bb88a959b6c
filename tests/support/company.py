"""Two features of one company, taken through the stages on a real controller, a real Prometheus and two apps.

The story asks for nothing but what people and programs may: the first feature goes by command lines, the second by
the API. Whoever plays it gets every document that the stages had to show at the time.
"""

import json
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import requests

from support.live_controller import WAVEGATE, environment, live_controller
from support.waiting import wait_until
from wavegate_controller.clock import SystemClock
from wavegate_controller.demo.features import GATES, GUARDRAIL, WAVES
from wavegate_controller.demo.processes import Process, free_port
from wavegate_controller.demo.prometheus import LocalPrometheus
from wavegate_controller.demo.users import Users
from wavegate_controller.remote import RemoteController

SCRAPE_INTERVAL = timedelta(seconds=1)
#: Long enough for a feature that nobody holds to climb on a machine that is busy.
PATIENCE = 240.0
#: Requests after which a pilot has something to show.
ENOUGH = 100
PEOPLE = [f"agent-{number:02}" for number in range(1, 13)]
COLLEAGUES = {"department": "support", "region": "nordics"}


def rollout_of(flag):
    """As the demo's: waves of seconds, for a story that has no hours."""
    waves = [{"percent": percent, "bake": "2s", "target": "2s"} for percent in WAVES]
    return {"flag": flag, "plan": {"interval": "1s", "waves": waves, "gates": GATES, "guardrail": GUARDRAIL}}


class Company:
    """Who asks, and what runs for it."""

    def __init__(self, url, apps, prometheus):
        self.url = url
        self.apps = apps
        self.prometheus = prometheus
        self.api = RemoteController(url)
        self.http = requests.Session()

    def wavegate(self, *arguments, fails=None, document=None):
        """What a command printed as JSON; or, where it is to fail with that exit code, what it said."""
        done = subprocess.run(
            [WAVEGATE, *arguments, "--json"],
            input=json.dumps(document),
            env=environment(WAVEGATE_URL=self.url, WAVEGATE_USER="mia"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (fails or 0), done.stdout + done.stderr
        return done.stderr if fails else json.loads(done.stdout)

    def ask(self, feature, user, **attributes):
        """The variant that each app serves to somebody."""
        found = []
        for url in self.apps.values():
            answer = self.http.get(f"{url}/use/{feature}", params={"user": user} | attributes, timeout=10)
            found.append(answer.json()["variant"])
        return found

    def is_served(self, feature, user, variant, **attributes):
        """Wait until every app serves it."""
        wait_until(
            lambda: set(self.ask(feature, user, **attributes)) == {variant}, what=f"{variant} of {feature} to {user}"
        )

    @contextmanager
    def people_at_work(self, feature):
        """The people of a pilot ask, one after the other, for as long as it takes."""
        closing = Event()

        def work():
            asking = requests.Session()
            for person, url in zip(cycle(PEOPLE), cycle(self.apps.values()), strict=False):
                if closing.wait(0.05):
                    return
                asking.get(f"{url}/use/{feature}", params={"user": person} | COLLEAGUES, timeout=10)

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            closing.set()
            thread.join()

    @contextmanager
    def crowd(self, feature):
        """Everybody else."""
        users = Users(self.apps, {feature: f"/use/{feature}"}, candidate="on", rate=100, clock=SystemClock(), workers=8)
        users.start()
        try:
            yield users
        finally:
            users.close()

    def refusals(self, feature):
        """What every way to give it to a percentage of users is answered with."""
        rule = {"if": {"attribute": "region", "operator": "exists"}, "serve": "on"}
        wide = {"apiVersion": "wavegate/v1", "kind": "Flag", "spec": {"key": feature, "rules": [rule]}}
        skip = {"outcome": "go", "reason": "we are in a hurry", "to": "scale"}
        return [
            self.wavegate("rollout", "start", feature, fails=1),
            self._refused("PATCH", f"flags/{feature}", {"rules": [rule]}),
            self._refused("PATCH", f"flags/{feature}", {"variants": {"on": True, "off": True}}),
            self._refused("POST", "configuration/apply", {"documents": [wide]}),
            self.wavegate("stage", "go", feature, "-m", "we are in a hurry", fails=1),
            self._refused("POST", f"flags/{feature}/passport/decisions", skip),
        ]

    def document(self, feature, stage):
        """What the stage has to show."""
        return self.api.stage_document(feature, stage)["markdown"]

    def _refused(self, method, path, document):
        answer = self.http.request(method, f"{self.url}/api/v1/{path}", json=document | {"actor": "mia"}, timeout=10)
        assert answer.status_code in (409, 422), answer.text
        return answer.text


@contextmanager
def company(directory):
    """All of it, up, and gone afterwards. Enter it in the main thread."""
    with ExitStack() as parts:
        apps = {name: f"http://127.0.0.1:{free_port()}" for name in ("desk-1", "desk-2")}
        targets = {"desk": [f"{url}/metrics" for url in apps.values()]}
        prometheus = parts.enter_context(LocalPrometheus(targets, scrape_interval=SCRAPE_INTERVAL))
        settings = {
            "WAVEGATE_STAGES": "required",
            "WAVEGATE_PROMETHEUS_URL": prometheus.url,
            "WAVEGATE_TICK": "200ms",
        }
        url = parts.enter_context(live_controller(directory, **settings))
        for name, address in apps.items():
            variables = environment(CONTROLLER=url, PORT=address.rpartition(":")[2])
            command = [sys.executable, str(Path(__file__).with_name("feature_app.py"))]
            app = Process(name, command, directory=directory, environment=variables)
            parts.callback(app.stop)
            app.url(timeout=30)
        prometheus.wait_for_up(len(apps))
        yield Company(url, apps, prometheus)


def summaries(company, keep):
    """The feature that goes all the way, by command lines; gives what was refused on the way, by stage.

    Args:
        company: whose.
        keep: given the stage and its document, whenever one is left.
    """
    key, wavegate, refused = "ai-summaries", company.wavegate, {}

    @contextmanager
    def leave(stage, reason):
        refused[stage] = company.refusals(key)
        yield
        wavegate("stage", "go", key, "-m", reason)
        keep(key, stage, company.document(key, stage))

    wavegate("flag", "create", key, "--description", "Summaries of long tickets")
    wavegate("rollout", "create", "-f", "-", document=rollout_of(key))
    with leave("discovery", "four minutes a ticket are worth a try"):
        fields = (
            "problem=Agents read a ticket for four minutes before they answer.",
            "business_owner=Mia Berg",
            "sponsor=Head of support",
            "success_metric=Median time from opening a ticket to the first answer",
            "target=Under two minutes",
            "data=Tickets of two years, 310000 of them",
            "data_quality=English and Danish good, others thin; names are masked",
            "budget=40000 EUR to 100 %, of which 9000 EUR are spent until the pilot's end",
        )
        wavegate("stage", "write", key, "discovery", *fields)
    with leave("proof_of_concept", "it can be done with the small model"):
        fields = (
            "question=Can the small model summarise a ticket so that nothing that matters is lost?",
            "result=188 of 200 summaries were judged complete by two agents each.",
            "assessment=feasible",
            "left_out=Attachments, and languages but English and Danish",
        )
        wavegate("stage", "write", key, "proof_of_concept", *fields)
    company.is_served(key, PEOPLE[0], "off", **COLLEAGUES)
    with company.people_at_work(key):
        with leave("pilot", "eleven of twelve kept it on"):
            few = f"people=[{', '.join(PEOPLE[:4])}]"
            refused["4 people"] = [wavegate("stage", "write", key, "pilot", few, fails=1)]
            names = f"people=[{', '.join(PEOPLE)}]"
            wavegate("stage", "write", key, "pilot", names, "department=support", "region=nordics")
            company.is_served(key, PEOPLE[0], "on", **COLLEAGUES)
            company.is_served(key, PEOPLE[0], "off", department="sales", region="nordics")
            company.is_served(key, "somebody-else", "off", **COLLEAGUES)
            wavegate("stage", "leave", key, PEOPLE[-1], "-m", "would rather read")
            company.is_served(key, PEOPLE[-1], "off", **COLLEAGUES)
            wavegate("stage", "write", key, "pilot", 'must_change=["Names must not be shortened."]')
            wait_until(lambda: _counted(company.document(key, "pilot")) >= ENOUGH, what="counts of the pilot")
        with leave("production_ready", "all eight are done"):
            _make_ready(company, key)
    with company.crowd(key):
        wavegate("rollout", "start", key, "-m", "the first wave")
        wait_until(
            lambda: company.api.rollout(key)["state"] not in ("draft", "running"), timeout=PATIENCE, what="an end"
        )
    keep(key, "scale", company.document(key, "scale"))
    keep(key, "report", wavegate("rollout", "report", key)["markdown"])
    return refused


def _make_ready(company, key):
    wavegate = company.wavegate
    said = {
        "infrastructure": "two processes of the desk in two zones",
        "monitoring": "error rate and latency are gates of the rollout",
        "security": "review of 20 November: masked names, no training on tickets",
        "integrations": "the desk asks for it",
        "documentation": "page 14 of the handbook",
        "training": "two sessions, 31 of 34 agents",
        "support": "on the rota of the desk",
        "rollback": "drilled",
    }
    fields = [f"{item}.owner=mia" for item in said] + [f"{item}.is_done=true" for item in said]
    fields += [f"{item}.evidence=[{json.dumps(text)}]" for item, text in said.items()]
    met = json.dumps({"Names must not be shortened.": "prompt 14, evaluation suite run 220"})
    wavegate("stage", "write", key, "production_ready", "apps=[desk]", f"met={met}", *fields)
    lacking = {each["field"] for each in wavegate("stage", "show", key)["missing"]}
    assert {"production_ready.support", "production_ready.rollback"} <= lacking
    wavegate("stage", "acknowledge", key, "support")
    wavegate("drill", key)
    wait_until(lambda: not company.api.passport(key)["missing"], what="green checks")


def answers(company, keep):
    """The feature that dies at its pilot, by the API; gives the portfolio at the end."""
    key, api = "ai-answers", company.api
    api.create_flag({"key": key, "description": "Answers instead of search results"}, actor="mia")
    discovery = {
        "problem": "Agents search the handbook six times an hour, and find what they need in half of the cases.",
        "business_owner": "Jon Dahl",
        "sponsor": "Head of support",
        "success_metric": "Share of searches that are followed by another one",
        "target": "Under 20 %",
        "data": "The handbook, 1400 pages",
        "data_quality": "A third of the pages is older than two years",
        "budget": "25000 EUR to 100 %",
    }
    proof = {
        "question": "Does the model answer from the handbook alone?",
        "result": "171 of 200 answers were right, 9 were made up.",
        "assessment": "feasible",
        "left_out": "Tables and pictures",
    }
    pilot = {"people": PEOPLE, "must_change": ["Old pages must be found and mended first."]} | COLLEAGUES
    for stage, part, reason in (
        ("discovery", discovery, "half of the searches fail"),
        ("proof_of_concept", proof, "right often enough for colleagues"),
    ):
        api.write_stage(key, stage, part, actor="jon")
        api.decide_stage(key, {"outcome": "go", "reason": reason}, actor="jon")
        keep(key, stage, company.document(key, stage))
    api.write_stage(key, "pilot", pilot, actor="jon")
    company.is_served(key, PEOPLE[0], "on", **COLLEAGUES)
    with company.people_at_work(key):
        wait_until(lambda: _counted(company.document(key, "pilot")) >= ENOUGH, what="counts of the pilot")
    reason = "a third of the answers failed, and people went back to searching"
    api.decide_stage(key, {"outcome": "no_go", "reason": reason}, actor="jon")
    company.is_served(key, PEOPLE[0], "off", **COLLEAGUES)
    keep(key, "pilot", company.document(key, "pilot"))
    keep(key, "scale", company.document(key, "scale"))
    return api.portfolio()


def _counted(document):
    """How many requests the document of a pilot tells of."""
    found = re.search(r" bad outcomes among (\d+) requests", document)
    return int(found[1]) if found else 0


def write_down(documents, directory: Path):
    """A page for each, in the order in which they were made."""
    for number, (key, stage, text) in enumerate(documents, 1):
        (directory / f"{number:02}-{key}-{stage.replace('_', '-')}.md").write_text(text, encoding="utf-8")
