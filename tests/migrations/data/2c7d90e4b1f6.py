"""Flags of before are in scale, by a decision that says why: what is served stays as it was."""

import json
import runpy
from pathlib import Path

from sqlalchemy import text

from wavegate_controller.documents.passports import passport_from_document

older = runpy.run_path(str(Path(__file__).with_name("3b8c52e7a9d0.py")))

before = older["before"]


def after(connection):
    ((key, document, version),) = connection.execute(text("SELECT flag_key, document, version FROM passport")).all()
    passport = passport_from_document(json.loads(document) if isinstance(document, str) else document)

    assert (key, version, passport.flag_key) == ("ai-summaries", 1, "ai-summaries")
    assert passport.may_scale
    assert [each.reason for each in passport.overrides] == ["the flag was there before stages were kept"]
