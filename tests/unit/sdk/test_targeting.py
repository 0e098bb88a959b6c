"""The laws of rollouts, hold-outs, pilots, lists and prerequisites, for any flag and any caller."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavegate.evaluation import (
    FULL_WEIGHT,
    Comparison,
    ErrorCode,
    Flag,
    Generation,
    Holdout,
    Operator,
    Pilot,
    Prerequisite,
    Reason,
    Rollout,
    Rule,
    Ruleset,
    Share,
    Stale,
    bucket_of,
    compile_ruleset,
    evaluate,
    key_hash,
    variant_for,
)
from wavegate.evaluation.compiling import as_it_is, compile_flag, compile_flags

PEOPLE = [f"user-{number}" for number in range(20_000)]
WAVES = (10_000, 25_000, 50_000, 100_000)
MODELS = {"small": 1, "large": 2, "xl": 3, "huge": 4}
SPLIT = (
    Share(variant="large", weight=50_000),
    Share(variant="xl", weight=30_000),
    Share(variant="huge", weight=20_000),
)

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
weights = st.integers(0, FULL_WEIGHT)
generations = st.sampled_from(Generation)
salts = st.none() | st.sampled_from(["spring", "ß"])


def moving(weight, *, candidate="on", holdout=None, **changed):
    rollout = Rollout(stable="off", candidate=candidate, weight=weight, holdout=holdout)
    fields = {"key": "ai-summaries", "variants": {"on": True, "off": False}, "default_variant": "off"}
    return Flag(**fields | {"rollout": rollout} | changed)


def choosing(weight, **changed):
    rollout = Rollout(stable="small", candidate=SPLIT, weight=weight)
    return Flag(key="answer-model", variants=MODELS, default_variant="small", rollout=rollout, **changed)


def served(flag, people=PEOPLE):
    choose = compile_flag(flag, as_it_is).choose
    return {person: choose(person, {}).variant for person in people}


def members(flag, people=PEOPLE):
    return {person for person, variant in served(flag, people).items() if variant == "on"}


def chi_square(counts, expected):
    return sum((count - share) ** 2 / share for count, share in zip(counts, expected, strict=True))


@pytest.mark.parametrize("generation", list(Generation))
@pytest.mark.parametrize("holdout", [None, Holdout(weight=5_000)])
def test_growing_from_wave_to_wave_moves_nobody_out(generation, holdout):
    waves = [members(moving(weight, generation=generation, holdout=holdout)) for weight in WAVES]

    assert all(earlier < later for earlier, later in pairwise(waves))


@given(
    first=weights,
    second=weights,
    held=weights,
    people=st.sets(keys),
    generation=generations,
    salt=salts,
)
def test_growing_moves_nobody_out_whatever_hold_out_and_salt_a_flag_has(first, second, held, people, generation, salt):
    small, large = sorted((first, second))
    fields = {"generation": generation, "salt": salt, "holdout": Holdout(weight=held)}

    assert members(moving(small, **fields), people) <= members(moving(large, **fields), people)


@pytest.mark.parametrize("generation", list(Generation))
@pytest.mark.parametrize("salt", [None, "spring"])
def test_people_fall_evenly_into_a_hundred_slices_of_the_percentage(generation, salt):
    hashed = key_hash(generation, salt or "ai-summaries", joined=salt is not None)
    slices = Counter(bucket_of(hashed(person)) // 1000 for person in PEOPLE)

    # The 99.99th percentile of 99 degrees of freedom.
    assert chi_square([slices[one] for one in range(100)], [len(PEOPLE) / 100] * 100) < 161


@pytest.mark.parametrize("generation", list(Generation))
def test_the_arms_of_two_flags_are_independent(generation):
    one = members(moving(25_000, key="search", generation=generation))
    other = members(moving(25_000, key="answers", generation=generation))

    table = [len(one & other), len(one - other), len(other - one), len(PEOPLE) - len(one | other)]
    shares = [share * len(PEOPLE) for share in (1 / 16, 3 / 16, 3 / 16, 9 / 16)]
    # The 99.99th percentile of 3 degrees of freedom.
    assert chi_square(table, shares) < 21.1


@given(first=weights, second=weights, people=st.sets(keys), generation=generations, salt=salts)
def test_who_has_one_of_several_candidates_keeps_it_while_the_share_grows(first, second, people, generation, salt):
    small, large = (
        served(choosing(weight, generation=generation, salt=salt), people) for weight in sorted((first, second))
    )

    assert all(large[person] == variant for person, variant in small.items() if variant != "small")


@pytest.mark.parametrize("generation", list(Generation))
def test_several_candidates_share_as_their_weights_say_at_any_weight(generation):
    for weight in (10_000, 60_000):
        counts = Counter(served(choosing(weight, generation=generation)).values())

        shares = [len(PEOPLE) * weight / FULL_WEIGHT * share for share in (0.5, 0.3, 0.2)]
        # The 99.99th percentile of 3 degrees of freedom: three shares, and how many are in.
        assert chi_square([counts[name] for name in ("large", "xl", "huge")], shares) < 21.1


def test_who_is_held_out_is_independent_of_the_percentage():
    flag = moving(100_000, holdout=Holdout(weight=20_000))
    held = set(PEOPLE) - members(flag)
    early = members(moving(25_000))

    table = [len(held & early), len(held - early), len(early - held), len(PEOPLE) - len(held | early)]
    shares = [share * len(PEOPLE) for share in (0.05, 0.15, 0.2, 0.6)]
    assert chi_square(table, shares) < 21.1


def test_the_same_people_are_held_out_when_the_rollout_starts_again_with_another_salt():
    first, again = (set(PEOPLE) - members(moving(100_000, salt=salt, holdout=Holdout(weight=5_000))) for salt in "ab")

    assert first == again


def test_flags_that_name_one_hold_out_salt_hold_the_same_people_out_and_others_do_not():
    one, other, alone = (
        set(PEOPLE) - members(moving(100_000, key=key, holdout=Holdout(weight=10_000, salt=salt)))
        for key, salt in (("search", "2026"), ("answers", "2026"), ("answers", None))
    )

    assert one == other
    assert 100 < len(one & alone) < 300


def test_a_hold_out_of_nobody_changes_nothing():
    assert served(moving(25_000, holdout=Holdout(weight=0))) == served(moving(25_000))


def test_a_hold_out_of_everybody_leaves_nobody():
    assert not members(moving(100_000, holdout=Holdout(weight=FULL_WEIGHT)))


def test_people_who_are_asked_for_by_company_are_held_out_by_company():
    flag = moving(100_000, bucket_by="company", holdout=Holdout(weight=50_000))
    choose = compile_flag(flag, as_it_is).choose

    by_company = [{choose(person, {"company": f"c{n}"}).variant for person in PEOPLE[:50]} for n in range(50)]

    assert all(len(variants) == 1 for variants in by_company)
    assert len(set().union(*by_company)) == 2


def test_a_rule_s_split_by_an_attribute_says_when_it_is_missing():
    rule = Rule(
        condition=Comparison(attribute="plan", operator=Operator.EXISTS),
        serve=(Share(variant="on", weight=50_000), Share(variant="off", weight=50_000)),
    )
    flags = compile_ruleset(
        Ruleset(environment="e", revision=1, flags={"f": moving(0, key="f", bucket_by="company", rules=(rule,))})
    )

    details = evaluate(flags, "f", "user-1", attributes={"plan": "team"})

    assert details.error_code is ErrorCode.INVALID_CONTEXT
    assert "company" in details.error_message


RULES = (
    Rule(condition=Comparison(attribute="country", operator=Operator.EQUALS, value="NO"), serve="on"),
    Rule(condition=Comparison(attribute="seats", operator=Operator.GREATER, value=5), serve="off"),
    Rule(condition=Comparison(attribute="plan", operator=Operator.IN, value=("team", "solo")), serve="on"),
    Rule(condition=Comparison(attribute="email", operator=Operator.ENDS_WITH, value="@a"), serve="off"),
    Rule(condition=Comparison(attribute="seats", operator=Operator.LESS, value=4.5), serve="on"),
    Rule(condition=Comparison(attribute="seats", operator=Operator.AT_LEAST, value=6), serve="on"),
    Rule(condition=Comparison(attribute="seats", operator=Operator.AT_MOST, value=5), serve="on"),
    Rule(condition=Comparison(attribute="seats", operator=Operator.AT_MOST, value=5.5), serve="off"),
)
SEATS = (4, 5, 6, 10**400, -(10**400), 5.5, float("nan"), True, "6", None, [6])


@given(
    weight=weights,
    key=keys | st.none() | st.just("\ud800"),
    rules=st.lists(st.sampled_from(RULES), max_size=5).map(tuple),
    country=st.sampled_from(["NO", "DE", None, 7, ["NO"]]),
    plan=st.sampled_from(["team", "none", {}]),
    attributes=st.fixed_dictionaries(
        {}, optional={"seats": st.sampled_from(SEATS), "email": st.sampled_from(["b@a", "a@b"])}
    ),
)
def test_rules_and_percentage_in_one_closure_answer_as_they_do_apart(weight, key, rules, country, plan, attributes):
    attributes |= {"country": country, "plan": plan}
    # A split with one share is no split, but goes the general way.
    alone = (Share(variant="on", weight=FULL_WEIGHT),)
    together, apart = (
        compile_flag(flag, as_it_is).choose
        for flag in (moving(weight, rules=rules), moving(weight, rules=rules, candidate=alone))
    )

    first, second = together(key, attributes), together(key, attributes)

    assert first == second
    assert weight in (0, FULL_WEIGHT) or first == apart(key, attributes)


@pytest.mark.parametrize("salt", [None, "spring"])
@pytest.mark.parametrize("rules", [(), RULES])
def test_an_empty_key_is_no_key_whatever_was_asked_before(salt, rules):
    class Shrinking(str):
        __slots__ = ()

        def encode(self, *_):
            return b""

    choose = compile_flag(moving(50_000, salt=salt, rules=rules), as_it_is).choose
    choose(Shrinking("user-1"), {})

    assert choose("", {}).error_code is ErrorCode.TARGETING_KEY_MISSING


def test_a_key_of_any_length_is_served_alike_the_first_time_and_later():
    flag = moving(50_000)
    choose, hashed = compile_flag(flag, as_it_is).choose, key_hash(flag.generation, flag.key, joined=False)
    people = ["u" * length for length in (64, 1, 65, 24, 23, 300, 70_000)] * 2

    assert [choose(person, {}).variant == "on" for person in people] == [
        bucket_of(hashed(person)) < 50_000 for person in people
    ]


def test_a_prerequisite_is_asked_without_counting_as_an_answer_of_its_flag():
    ruleset = Ruleset(
        environment="production",
        revision=1,
        flags={
            "search": moving(50_000, key="search"),
            "answers": moving(50_000, key="answers", prerequisites=(Prerequisite(flag="search", variants=("on",)),)),
        },
    )
    presented = []

    def present(answer):
        presented.append(answer)
        return answer

    flags = compile_flags(ruleset, present)
    answers = [flags["answers"].choose(person, {}) for person in PEOPLE[:500]]

    searching = {person for person in PEOPLE[:500] if variant_for(ruleset.flags["search"], person) == "on"}
    assert {answer.decided_by for answer in answers} == {"rollout", "prerequisites[0]"}
    assert sum(answer.decided_by == "rollout" for answer in answers) == len(searching)
    assert len([one for one in presented if one.flag_key == "search"]) == 2


def test_a_flag_is_asked_for_as_it_is_declared_whatever_the_order_of_the_flags():
    needs = [(f"f{number}", f"f{number + 1}") for number in range(20)]
    chain = {
        key: moving(100_000, key=key, prerequisites=(Prerequisite(flag=needed, variants=("on",)),))
        for key, needed in needs
    } | {"f20": moving(0, key="f20", allow={"on": ("ann",)})}

    for flags in (chain, dict(reversed(chain.items()))):
        compiled = compile_ruleset(Ruleset(environment="e", revision=1, flags=flags))

        assert evaluate(compiled, "f0", "ann").variant == "on"
        assert evaluate(compiled, "f0", "bob").variant == "off"


def test_a_pilot_whose_every_member_opted_out_is_nobody():
    flag = moving(0, pilot=Pilot(keys=("ann",), opted_out=("ann",)))

    assert variant_for(flag, "ann") == "off"


def test_the_policy_for_stale_rulesets_is_carried_with_its_answer():
    keeping, falling_back = (compile_flag(moving(100_000, stale=policy), as_it_is) for policy in Stale)

    assert keeping.when_stale is None
    assert falling_back.when_stale.reason is Reason.STALE
    assert falling_back.when_stale.variant == "off"


class Hostile:
    """Raises wherever Python lets an object raise."""

    __hash__ = None

    def __bool__(self):
        raise RuntimeError("no")

    __eq__ = __lt__ = __gt__ = __contains__ = __iter__ = __len__ = lambda *_: (_ for _ in ()).throw(RuntimeError("no"))

    def __getattr__(self, name):
        raise RuntimeError("no")


class HostileText(str):
    __slots__ = ()

    def __hash__(self):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    def __str__(self):
        raise RuntimeError("no")


class HostileMapping(dict):
    def get(self, *_):
        raise RuntimeError("no")

    def keys(self):
        raise RuntimeError("no")


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(),
    st.text(st.characters()),
    st.datetimes(),
    st.lists(st.integers() | st.text()),
    st.dictionaries(st.text(), st.integers()),
    st.just(Hostile),
    st.just(HostileText),
    st.just("9" * 5_000),
)
VALUES = {
    Operator.EQUALS: ["a", 1, True],
    Operator.IN: [("a", "b"), ("a", 1, False)],
    Operator.CONTAINS: ["a", 1],
    Operator.STARTS_WITH: ["a"],
    Operator.ENDS_WITH: [("a", "b")],
    Operator.MATCHES: ["^(a|b)+$"],
    Operator.EXISTS: [None],
}
CONDITIONS = [
    Comparison(attribute=attribute, operator=operator, value=value)
    for operator in Operator
    for attribute in ("plan", "targeting_key")
    for value in VALUES.get(
        operator, ["1.0.0"] if "semver" in operator else ["2026-03-01T00:00:00Z"] if "date" in operator else [1, 0.5]
    )
]


@given(condition=st.sampled_from(CONDITIONS), key=odd, attribute=odd, by=st.sampled_from([None, "plan"]), held=weights)
def test_no_condition_raises_whatever_it_is_asked(condition, key, attribute, by, held):
    key, attribute = (
        Hostile() if one is Hostile else HostileText("a") if one is HostileText else one for one in (key, attribute)
    )
    flag = moving(
        50_000,
        bucket_by=by,
        holdout=Holdout(weight=held),
        deny=("ann",),
        rules=(Rule(condition=condition, serve=(Share(variant="on", weight=1), Share(variant="off", weight=99_999))),),
        pilot=Pilot(condition=condition, opted_out=("ann",)),
        prerequisites=(Prerequisite(flag="other", variants=("on", "off")),),
    )
    other = moving(50_000, key="other", rules=(Rule(condition=condition, serve="on"),))
    ruleset = Ruleset(environment="production", revision=1, flags={"ai-summaries": flag, "other": other})
    flags = compile_ruleset(ruleset)

    for flag_key in flags:
        details = evaluate(flags, flag_key, key, False, {"plan": attribute})

        assert type(details.value) is bool
        assert (details.variant is None) == (details.reason is Reason.ERROR) == (details.decided_by is None)


def test_attributes_that_cannot_be_read_are_an_invalid_context():
    flags = compile_ruleset(Ruleset(environment="e", revision=1, flags={"ai-summaries": moving(50_000)}))

    details = evaluate(flags, "ai-summaries", "user-1", True, HostileMapping({"a": 1}))
    unreadable = evaluate(flags, "ai-summaries", "user-1", True, 7)

    assert type(details.value) is bool
    assert unreadable.error_code is ErrorCode.INVALID_CONTEXT
