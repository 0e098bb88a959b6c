"""What each stage has to show, as Markdown."""

from datetime import timedelta

import pytest

from support.rollouts import NOW
from wavegate_controller.documents.passport_texts import stage_to_markdown
from wavegate_controller.domain.passport import Discovery, Outcome, Passport, Stage, decide, missing

WHEN = dict.fromkeys(("created_at", "updated_at", "since"), NOW)


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_a_document_even_before_anything_is_written(stage):
    passport = Passport(flag_key="ai-summaries", environment="production", **WHEN)

    text = stage_to_markdown(passport, stage, now=NOW, findings={}, missing=missing(passport, {}))

    assert text.startswith("# ")
    assert "ai-summaries" in text.splitlines()[0]
    assert ("## Missing before a go" in text) is (stage is Stage.DISCOVERY)


def test_a_document_has_its_stages_decisions_and_takes_no_html():
    passport = Passport(
        flag_key="f", environment="production", discovery=Discovery(problem="<b>slow</b> & dear"), **WHEN
    )
    over = decide(
        passport,
        Outcome.OVERRIDE,
        by="root",
        reason="a law",
        now=NOW + timedelta(days=1),
        to=Stage.PILOT,
        lacking=missing(passport, {}),
    )

    text = stage_to_markdown(over, Stage.DISCOVERY, now=NOW, findings={}, missing=())

    assert "&lt;b>slow&lt;/b> &amp; dear" in text
    assert "**override** (discovery to pilot) by root: a law" in text
    assert "without: discovery.business_owner: is empty" in text
