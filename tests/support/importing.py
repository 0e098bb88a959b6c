"""Imported flags, asked as an app asks them."""

import json
from datetime import UTC, datetime

import wavegate
from wavegate.evaluation import Ruleset
from wavegate_controller.documents.configuration import read_object
from wavegate_controller.documents.importing import Options, import_flags
from wavegate_controller.documents.targeting import condition_to_domain

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked:
    """An import, and a client of what came of it."""

    def __init__(self, source, document, **options):
        self.imported = import_flags(source, json.dumps(document), Options(**{"exempt": "served already"} | options))
        objects = [read_object(each) for each in self.imported.objects]
        self.ruleset = Ruleset(
            environment="production",
            revision=1,
            flags={
                each.spec.key: each.spec.to_domain(environment="production", now=NOW).compiled(None)
                for each in objects
                if each.kind == "Flag"
            },
            segments={
                each.spec.key: condition_to_domain("condition", each.spec.condition)
                for each in objects
                if each.kind == "Segment"
            },
        )
        self._client = wavegate.Client.offline(self.ruleset)

    def __call__(self, flag, key="somebody", /, **attributes):
        """The name of the variant."""
        return self._client.details(flag, key, None, **attributes).variant

    def share(self, flag, variant, people=4000, **attributes):
        """How many of a hundred people get it."""
        served = sum(self(flag, f"person-{number}", **attributes) == variant for number in range(people))
        return 100 * served / people

    def lost(self, flag):
        """What was left out of it: place and why."""
        return [f"{note.construct}: {note.why}" for note in self.imported.lost if note.flag == flag]

    def minded(self, flag):
        """What is to be minded about it, by place."""
        return [note.construct for note in self.imported.notes if note.flag == flag and not note.is_lost]

    def spec(self, flag):
        """Its document."""
        return next(each["spec"] for each in self.imported.objects if each["spec"]["key"] == flag)
