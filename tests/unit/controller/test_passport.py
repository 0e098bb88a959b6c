"""The stages of a feature: what each asks for, how it is left, and what is served before it may scale."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.rollouts import NOW, a_flag
from wavegate.evaluation import Comparison, Operator, Pilot, Rule
from wavegate_controller.documents.passports import passport_from_document, passport_to_document
from wavegate_controller.domain.errors import Conflict, Invalid
from wavegate_controller.domain.flag import PilotCohort
from wavegate_controller.domain.passport import (
    Assessment,
    Check,
    Discovery,
    Finding,
    Item,
    Outcome,
    Passport,
    PilotStage,
    ProofOfConcept,
    Readiness,
    ReadinessItem,
    Stage,
    Unmet,
    beyond_pilot,
    decide,
    missing,
    write,
)

PEOPLE = ("ann", "bob", "cleo", "dan", "eve")
WHOLE = Discovery(**dict.fromkeys(Discovery.__dataclass_fields__, "said"))
FEASIBLE = ProofOfConcept(question="q", result="r", assessment=Assessment.FEASIBLE, left_out="l")
PILOT = PilotStage(people=PEOPLE, department="support", region="nordics")
LATER = NOW + timedelta(days=1)


def a_passport(**fields):
    return Passport(
        flag_key="ai-summaries",
        environment="production",
        **dict.fromkeys(("created_at", "updated_at", "since"), NOW),
        **fields,
    )


def in_stage(stage, **fields):
    return a_passport(stage=stage, discovery=WHOLE, proof_of_concept=FEASIBLE, pilot=PILOT, **fields)


def go(passport, **further):
    lacking = missing(passport, further.pop("findings", {}))
    return decide(passport, Outcome.GO, by="ada", reason="it reads well", now=LATER, lacking=lacking, **further)


def fields(passport, findings=None):
    return [each.field for each in missing(passport, findings or {})]


def test_a_stage_is_left_when_nothing_is_missing_and_the_next_one_begins():
    passport = go(a_passport(discovery=WHOLE))

    assert passport.stage is Stage.PROOF_OF_CONCEPT
    assert passport.since == LATER
    assert passport.version == 2
    (decision,) = passport.decisions
    assert (decision.stage, decision.to, decision.by, decision.reason) == (
        Stage.DISCOVERY,
        Stage.PROOF_OF_CONCEPT,
        "ada",
        "it reads well",
    )


def test_a_go_without_what_the_stage_asks_for_is_refused_and_names_all_of_it():
    passport = a_passport(discovery=replace(WHOLE, sponsor=" ", budget=""))

    with pytest.raises(Unmet) as refused:
        go(passport)

    assert [each.field for each in refused.value.missing] == ["discovery.sponsor", "discovery.budget"]
    assert "discovery.sponsor: is empty; discovery.budget: is empty" in str(refused.value)


@pytest.mark.parametrize("assessment", [None, Assessment.UNCLEAR, Assessment.NOT_FEASIBLE])
def test_only_what_is_feasible_leaves_the_proof_of_concept(assessment):
    passport = in_stage(Stage.PROOF_OF_CONCEPT)

    assert fields(replace(passport, proof_of_concept=replace(FEASIBLE, assessment=assessment))) == [
        "proof_of_concept.assessment"
    ]
    assert fields(passport) == []


@pytest.mark.parametrize("number", [1, 4, 21])
def test_a_pilot_of_too_few_or_too_many_is_refused_with_their_number(number):
    with pytest.raises(Invalid, match=f"people: names {number} people; expected 5 to 20"):
        PilotStage(people=tuple(f"user-{each}" for each in range(number)))


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"people": (*PEOPLE, "ann")}, "people: names somebody twice"),
        ({"people": (*PEOPLE, " ")}, "people: names nobody in one place"),
        ({"department": "support, sales"}, "department: 'support, sales' names more than one; expected one department"),
        ({"region": "nordics;dach"}, "region: 'nordics;dach' names more than one; expected one region"),
    ],
)
def test_a_pilot_is_of_different_people_of_one_department_in_one_region(given, refusal):
    with pytest.raises(Invalid, match=refusal):
        PilotStage(**given)


def test_a_pilot_is_left_with_people_a_department_and_a_region():
    assert fields(in_stage(Stage.PILOT)) == []
    assert fields(replace(in_stage(Stage.PILOT), pilot=PilotStage())) == [
        "pilot.department",
        "pilot.region",
        "pilot.people",
    ]


def test_each_item_of_the_checklist_has_an_owner_and_evidence_or_is_seen_to_be_so():
    done = Item(owner="ada", is_done=True, evidence=("https://example.com/review",))
    green = Finding(check=Check.GREEN, detail="3 instances are connected")
    readiness = Readiness(items=dict.fromkeys(ReadinessItem, done))
    passport = in_stage(Stage.PRODUCTION_READY, production_ready=readiness)

    assert fields(passport) == []
    # What is seen counts more than what is said.
    red = Finding(check=Check.RED, detail="no drill has shown that the way back works")
    assert [str(each) for each in missing(passport, {ReadinessItem.ROLLBACK: red})] == [
        "production_ready.rollback: no drill has shown that the way back works"
    ]
    said = replace(readiness, items={**readiness.items, ReadinessItem.INFRASTRUCTURE: Item(owner="ada")})
    assert fields(replace(passport, production_ready=said)) == ["production_ready.infrastructure"]
    assert fields(replace(passport, production_ready=said), {ReadinessItem.INFRASTRUCTURE: green}) == []
    unproved = replace(done, evidence=())
    without = replace(readiness, items={**readiness.items, ReadinessItem.SECURITY: unproved})
    assert fields(replace(passport, production_ready=without)) == ["production_ready.security"]
    assert len(fields(replace(passport, production_ready=Readiness()))) == 2 * len(ReadinessItem)


def test_what_the_pilot_asked_for_must_be_met_before_scale():
    done = Item(owner="ada", is_done=True, evidence=("a note",))
    readiness = Readiness(items=dict.fromkeys(ReadinessItem, done), met={"names in full": "prompt 14"})
    pilot = replace(PILOT, must_change=("names in full", "no emoji"))
    passport = replace(in_stage(Stage.PRODUCTION_READY, production_ready=readiness), pilot=pilot)

    (unmet,) = missing(passport, {})
    assert "'no emoji'" in unmet.problem


@pytest.mark.parametrize(
    ("stage", "outcome", "to", "refusal"),
    [
        (Stage.DISCOVERY, Outcome.GO, Stage.PILOT, "to: pilot is not the next stage; expected proof_of_concept"),
        (Stage.DISCOVERY, Outcome.GO, Stage.SCALE, "no stage is skipped"),
        (Stage.PILOT, Outcome.BACK, None, "to: nothing is no way back from pilot"),
        (Stage.PILOT, Outcome.BACK, Stage.PILOT, "expected discovery, proof_of_concept"),
        (Stage.DISCOVERY, Outcome.BACK, Stage.DISCOVERY, "expected none is"),
        (Stage.PILOT, Outcome.NO_GO, Stage.DISCOVERY, "with a no-go the feature ends where it is"),
        (Stage.PILOT, Outcome.OVERRIDE, Stage.DISCOVERY, "discovery does not come after pilot"),
        (Stage.PILOT, Outcome.OVERRIDE, None, "expected production_ready, scale"),
    ],
)
def test_there_is_no_other_way_than_the_table_has(stage, outcome, to, refusal):
    with pytest.raises(Invalid, match=refusal):
        decide(in_stage(stage), outcome, by="ada", reason="because", now=LATER, to=to)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_no_stage_is_left_without_a_reason(outcome):
    with pytest.raises(Invalid, match="reason: is empty"):
        decide(in_stage(Stage.PILOT), outcome, by="ada", reason=" ", now=LATER, to=Stage.DISCOVERY)


def test_scale_is_the_last_stage():
    with pytest.raises(Conflict, match="the last stage"):
        go(in_stage(Stage.SCALE))


def test_what_has_ended_can_only_be_taken_up_again_by_going_back():
    ended = decide(in_stage(Stage.PILOT), Outcome.NO_GO, by="ada", reason="nobody used it", now=LATER)

    assert ended.has_ended
    assert not ended.may_scale
    assert ended.since == NOW
    with pytest.raises(Conflict, match=r"ended in pilot by ada \(nobody used it\)"):
        go(ended)
    with pytest.raises(Conflict, match="ended in pilot"):
        write(ended, PILOT, now=LATER)
    again = decide(ended, Outcome.BACK, by="ada", reason="a new model", now=LATER, to=Stage.PILOT)
    assert not again.has_ended
    assert [each.outcome for each in again.decisions] == [Outcome.NO_GO, Outcome.BACK]


def test_an_override_keeps_what_was_missing_for_ever():
    passport = a_passport()

    over = decide(
        passport, Outcome.OVERRIDE, by="root", reason="a law", now=LATER, to=Stage.SCALE, lacking=missing(passport, {})
    )
    later = decide(over, Outcome.BACK, by="ada", reason="over", now=LATER, to=Stage.PILOT)

    assert over.may_scale
    assert len(later.overrides) == 1
    assert "discovery.problem: is empty" in later.overrides[0].missing


def test_what_was_decided_on_is_not_rewritten():
    with pytest.raises(Conflict, match="has left discovery"):
        write(in_stage(Stage.PILOT), WHOLE, now=LATER)


def test_a_passport_survives_being_written_down():
    item = Item(owner="ada", due=NOW.date(), is_done=True, evidence=("x",), acknowledged_by="ada", acknowledged_at=NOW)
    passport = in_stage(
        Stage.PRODUCTION_READY,
        production_ready=Readiness(items={ReadinessItem.SUPPORT: item}, apps=("shop",), met={"a": "b"}),
    )
    passport = decide(passport, Outcome.NO_GO, by="ada", reason="over", now=LATER)

    assert passport_from_document(passport_to_document(passport)) == passport


def pilot_of(people=PEOPLE, condition=PILOT.condition):
    return PilotCohort(variant="on", people=Pilot(keys=people, condition=condition), since=NOW)


def test_before_scale_only_names_get_something_new():
    meets = Comparison(attribute="country", operator=Operator.EQUALS, value="NO")
    flag, passport = a_flag(), in_stage(Stage.PILOT)

    assert beyond_pilot(flag, None) is None
    assert beyond_pilot(replace(flag, allow={"on": ("dev-1", "dev-2")}), None) is None
    assert beyond_pilot(replace(flag, rules=(Rule(condition=meets, serve="off"),)), None) is None
    assert "rules[0]" in beyond_pilot(replace(flag, rules=(Rule(condition=meets, serve="on"),)), passport)
    assert "name 21 people" in beyond_pilot(replace(flag, allow={"on": tuple(map(str, range(21)))}), passport)
    several = replace(flag, allow={"on": tuple(map(str, range(16)))}, pilot=pilot_of())
    assert "name 21 people" in beyond_pilot(several, passport)
    assert "everybody" in beyond_pilot(replace(flag, default_variant="on"), passport, before=flag)


def test_a_pilot_is_served_in_its_stage_to_the_people_of_its_passport():
    flag = replace(a_flag(), pilot=pilot_of())

    assert beyond_pilot(flag, in_stage(Stage.PILOT)) is None
    assert beyond_pilot(flag, in_stage(Stage.PRODUCTION_READY)) is None
    assert "comes before its stage" in beyond_pilot(flag, in_stage(Stage.PROOF_OF_CONCEPT))
    assert "comes before its stage" in beyond_pilot(flag, None)
    assert "not those of its stage" in beyond_pilot(
        replace(flag, pilot=pilot_of((*PEOPLE, "zoe"))), in_stage(Stage.PILOT)
    )
    assert "one department" in beyond_pilot(replace(flag, pilot=pilot_of(condition=None)), in_stage(Stage.PILOT))
