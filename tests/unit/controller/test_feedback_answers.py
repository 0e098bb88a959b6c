"""What one person said: counted once, a comment may follow, and text stays text."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.rollouts import NOW
from wavegate.client.tokens import Signer
from wavegate_controller.delivery import Grant, Keys
from wavegate_controller.delivery.keys import hash_of
from wavegate_controller.documents.feedback import read_feedback, read_token
from wavegate_controller.domain.answers import LONGEST_COMMENT, FeedbackAnswer, Source, Taken, take, tidy
from wavegate_controller.domain.errors import Invalid

SPEC = json.loads((Path(__file__).parents[2] / "spec" / "feedback_tokens.json").read_text(encoding="utf-8"))
SAID = FeedbackAnswer(
    key="id:1",
    environment="production",
    flag_key="search",
    variant="b",
    thumbs_up=False,
    comment="",
    source=Source.SERVER,
    at=NOW,
)
KEY = "wg_sdk_production_0123456789abcdef"


@pytest.mark.parametrize(
    ("before", "said", "taken", "kept"),
    [
        (None, {}, Taken.NEW, ""),
        ({}, {}, Taken.KNOWN, ""),
        ({}, {"comment": "too long"}, Taken.AMENDED, "too long"),
        ({"comment": "too long"}, {}, Taken.KNOWN, "too long"),
        ({"comment": "too long"}, {"comment": "too long"}, Taken.KNOWN, "too long"),
        ({"comment": "too long"}, {"comment": "fine"}, Taken.CONTRADICTED, "too long"),
        ({}, {"thumbs_up": True}, Taken.CONTRADICTED, ""),
        ({}, {"variant": "a"}, Taken.CONTRADICTED, ""),
        ({"is_erased": True}, {"comment": "too long"}, Taken.KNOWN, ""),
    ],
)
def test_a_thumb_stands_and_a_comment_may_follow_it_once(before, said, taken, kept):
    outcome, after = take(None if before is None else replace(SAID, **before), replace(SAID, **said))

    assert (outcome, after.comment) == (taken, kept)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  too long \n", "too long"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("a\x00b\x1b[31mc\x07", "ab[31mc"),
        ("half \ud800 a pair", "half  a pair"),
        ("two\nlines", "two\nlines"),
        ("turn\u202e around", "turn around"),
        ("👩\u200d💻 works", "👩\u200d💻 works"),
        ("x" * 600, "x" * LONGEST_COMMENT),
        ("schön 👍🏽", "schön 👍🏽"),
    ],
)
def test_a_comment_is_kept_as_text_without_what_nobody_could_see(typed, kept):
    assert tidy(typed) == kept


def keys(*sdk_keys):
    made = Keys()
    made.replace({hash_of(each): Grant(key_id=each, environment="production") for each in sdk_keys})
    return made


def read(token, held, *, now=datetime(2026, 1, 1, 12, tzinfo=UTC)):
    return read_token(token, lambda mark: getattr(held.signer(mark), "secret", None), now=now)


@pytest.mark.parametrize("case", SPEC["tokens"], ids=lambda case: case["why"])
def test_sdk_and_controller_agree_on_tokens(case):
    signed = {name: case[name] for name in ("flag", "variant", "targeting_key", "cohort", "expires", "nonce")}

    said = read(case["token"], keys(case["sdk_key"]))

    assert Signer(case["sdk_key"]).sign(**signed) == case["token"]
    assert (said.flag, said.variant, said.cohort) == (case["flag"], case["variant"], case["cohort"])
    assert case["targeting_key"] not in str(said)


def token(**fields):
    expires = datetime(2026, 1, 1, 12, 15, tzinfo=UTC).timestamp()
    said = {"flag": "search", "variant": "b", "targeting_key": "u", "cohort": 1, "nonce": "0" * 16}
    return Signer(KEY).sign(**(said | {"expires": int(expires)} | fields))


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (token()[:-2] + "AA", "is none that an SDK key"),
        (token().replace(".", "", 1), "is none that an SDK key"),
        ("", "is none that an SDK key"),
        ("wgf1...", "is none that an SDK key"),
        ("wgf1.é.é.é", "is none that an SDK key"),
        (token(expires=1), "has expired"),
        (token(expires=int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())), "holds for too long"),
        (token(nonce="no"), "nonce|n: "),
    ],
)
def test_a_token_that_is_forged_over_or_for_ever_is_refused(shown, why):
    with pytest.raises(Invalid, match=why):
        read(shown, keys(KEY))


def test_a_token_falls_with_the_key_that_signed_it():
    with pytest.raises(Invalid, match="is none that an SDK key"):
        read(token(), keys("another-key-of-this-controller"))


def test_what_a_token_says_cannot_be_said_beside_it():
    with pytest.raises(Invalid, match="variant: is given beside a token"):
        read_feedback(json.dumps({"token": token(), "thumbs_up": True, "variant": "a"}).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff"])
def test_what_is_no_document_is_refused(body):
    with pytest.raises(Invalid):
        read_feedback(body)


def test_a_token_holds_until_its_end():
    late = datetime(2026, 1, 1, 12, 15, tzinfo=UTC)

    assert read(token(), keys(KEY), now=late).flag == "search"
    with pytest.raises(Invalid, match="has expired"):
        read(token(), keys(KEY), now=late + timedelta(seconds=1))
