"""The audit's chain, as values: it goes on from its head, and any change of an entry shows."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rollouts import NOW
from wavegate_controller.domain.audit import (
    GENESIS,
    Head,
    Note,
    canonical,
    chain,
    content,
    fault,
    fault_at_end,
    moment,
    plain,
)
from wavegate_controller.domain.rollout import State

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def a_note(**changes):
    values = {
        "at": moment(NOW),
        "actor": "ada",
        "actor_kind": "person",
        "action": "flag.disable",
        "subject": "ai-summaries",
        "environment": "production",
        "reason": "it lies",
        "before": {"enabled": True},
        "after": {"enabled": False},
        "evidence": None,
    }
    return Note(**values | changes)


def first_fault(entries):
    head = Head()
    for entry in entries:
        if found := fault(entry, after=head):
            return found
        head = entry.head
    return None


def test_the_first_entry_follows_nothing_and_each_one_the_one_before():
    one, two = chain(Head(), [a_note(), a_note(action="flag.enable")])
    (three,) = chain(two.head, [a_note()])

    assert [each.sequence for each in (one, two, three)] == [1, 2, 3]
    assert [each.previous for each in (one, two, three)] == [GENESIS, one.hash, two.hash]
    assert first_fault([one, two, three]) is None


def test_the_hash_is_what_any_language_computes_from_the_canonical_json():
    (entry,) = chain(Head(), [a_note(reason="süß")])

    assert canonical(content(entry.sequence, entry.note, entry.previous)) == (
        '{"action":"flag.disable","actor":"ada","actor_kind":"person","after":{"enabled":false},'
        '"at":"2026-01-01T12:00:00.000000Z","before":{"enabled":true},"environment":"production","evidence":null,'
        '"previous":"' + "0" * 64 + '","reason":"s\\u00fc\\u00df","sequence":1,"subject":"ai-summaries"}'
    )
    assert entry.hash == "61ef3eeb233d0324b8d85de9b021f333bf70224d8d96a15c93d787d0bbb081ef"


@given(notes=st.lists(JSON, min_size=1, max_size=5), at=st.integers(min_value=0), data=st.data())
def test_an_entry_with_another_word_in_it_is_the_first_that_is_named(notes, at, data):
    entries = list(chain(Head(), [a_note(evidence=each) for each in notes]))
    at %= len(entries)
    field = data.draw(st.sampled_from(["at", "actor", "action", "subject", "environment", "reason", "before"]))
    changed = data.draw(JSON if field == "before" else st.text())
    if canonical(changed) == canonical(getattr(entries[at].note, field)):
        return
    entries[at] = replace(entries[at], note=replace(entries[at].note, **{field: changed}))

    assert first_fault(entries) == f"entry {at + 1} is not what its hash was made of: it was edited"


def test_an_edited_entry_with_a_new_hash_no_longer_leads_to_the_one_after_it():
    one, _, three = chain(Head(), [a_note(), a_note(), a_note()])
    (forged,) = chain(one.head, [a_note(actor="bob")])

    assert first_fault([one, forged, three]) == (
        "entry 3 does not follow entry 2: one of the two was replaced or moved"
    )


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        ((0, 2, 3), "entry 2 is missing"),
        ((0, 3), "entries 2 to 3 are missing"),
        ((1, 2), "entry 1 is missing"),
        ((0, 0, 1), "entry 1 stands where entry 2 belongs"),
    ],
)
def test_a_removed_or_repeated_entry_is_named(kept, sentence):
    entries = chain(Head(), [a_note()] * 4)

    assert first_fault([entries[each] for each in kept]) == sentence


def test_entries_that_changed_places_are_found():
    one, two, three = chain(Head(), [a_note(), a_note(actor="bob"), a_note()])
    swapped = [replace(three, sequence=2), replace(two, sequence=3)]

    assert first_fault([one, *swapped]) == "entry 2 is not what its hash was made of: it was edited"


def test_the_end_is_compared_with_the_head_that_is_kept_elsewhere():
    entries = chain(Head(), [a_note()] * 3)
    head = entries[-1].head

    assert fault_at_end(head, head=head) is None
    assert fault_at_end(entries[0].head, head=head) == "entries 2 to 3 are missing: the end was cut off"
    assert fault_at_end(head, head=entries[1].head) == (
        "entry 3 and what follows were added behind the head of the chain"
    )
    assert fault_at_end(head, head=replace(head, hash=GENESIS)) == (
        "entry 3 is not the one that the head of the chain names"
    )


def test_times_are_written_in_utc_and_order_as_text_does():
    berlin = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))

    assert moment(berlin) == moment(datetime(2026, 1, 1, 12, tzinfo=UTC)) == "2026-01-01T12:00:00.000000Z"
    assert moment(NOW) < moment(NOW + timedelta(microseconds=1)) < moment(NOW + timedelta(seconds=1))


def test_what_json_has_no_word_for_becomes_text():
    document = plain({"state": State.RUNNING, "at": NOW, "rates": (0.5, float("inf")), 3: {"b", "a"}})

    assert document == {
        "state": "running",
        "at": "2026-01-01T12:00:00.000000Z",
        "rates": [0.5, "inf"],
        "3": ["a", "b"],
    }


@given(JSON)
def test_a_document_that_was_stored_and_read_again_is_hashed_alike(document):
    assert canonical(json.loads(canonical(plain(document)))) == canonical(plain(document))
