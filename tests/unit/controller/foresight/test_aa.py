"""Halves of a variant's users, and flags that split them independently."""

import pytest

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.independence import overlap
from wavegate_controller.domain.foresight.outlook import at_least, at_most
from wavegate_controller.domain.foresight.relabelling import HALVES, OTHERS, by_cohorts, by_label


@pytest.mark.parametrize("half", range(HALVES))
def test_each_way_to_halve_gives_eight_whole_cohorts_to_each_part(half):
    relabel = by_cohorts("off", half=half)

    parts = [relabel({"variant": "off", "cohort": str(cohort)}) for cohort in range(16)]

    for part in ("off", OTHERS):
        assert sorted(int(each["cohort"]) for each in parts if each["variant"] == part) == list(range(8))


def test_ways_to_halve_have_half_of_each_half_in_common():
    def plays(cohort, half):
        return by_cohorts("off", half=half)({"variant": "off", "cohort": str(cohort)})["variant"] == "off"

    halves = [{cohort for cohort in range(16) if plays(cohort, half)} for half in range(HALVES)]

    assert all(len(one & other) == 4 for index, one in enumerate(halves) for other in halves[:index])


def test_who_has_another_variant_or_no_cohort_plays_no_part_or_no_half():
    relabel = by_cohorts("off")

    assert relabel({"variant": "on", "cohort": "1"}) is None
    assert relabel({"variant": "off", "cohort": "targeted"}) is None
    assert relabel({"variant": "off"}) == {"variant": "off"}


def test_another_label_tells_two_groups_apart():
    relabel = by_label("version=2.1/2.0", "off")

    assert relabel({"variant": "off", "version": "2.1"}) == {"variant": "off", "version": "2.1"}
    assert relabel({"variant": "off", "version": "2.0"}) == {"variant": OTHERS, "version": "2.0"}
    assert relabel({"variant": "off", "version": "1.9"}) is None
    assert relabel({"variant": "on", "version": "2.1"}) is None


@pytest.mark.parametrize("text", ["", "version", "version=2", "version=2/", "version=2/2", "=1/2"])
def test_a_split_that_tells_nobody_apart_is_refused(text):
    with pytest.raises(Invalid, match="split"):
        by_label(text, "off")


def test_flags_split_their_users_independently_and_a_flag_does_not_beside_itself():
    assert overlap("search", "answers").chi_square < 10.8
    assert overlap("search", "answers").share == pytest.approx(0.5, abs=0.02)
    assert overlap("search", "search").share == 1
    assert overlap("search", "search").chi_square > 10_000


def test_bounds_of_a_share_enclose_it():
    assert at_least(10, 100) < 0.1 < at_most(10, 100)
    assert at_least(0, 100) == pytest.approx(0, abs=1e-3)
