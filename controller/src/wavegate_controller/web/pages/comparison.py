"""What a dry run would have done with a flag's newest rollout, beside what people did."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.foresight.dry_run import Outcome, counted
from wavegate_controller.identity import here, principal
from wavegate_controller.service import dry_runs, queries
from wavegate_controller.service.services import Services

#: Outcome to its words and its tone.
_TOLD: Final = {
    Outcome.AGREED: ("agreed", "good"),
    Outcome.LATER: ("people later", "warn"),
    Outcome.EARLIER: ("people earlier", "warn"),
    Outcome.MISSED: ("missed by the dry run", "bad"),
    Outcome.FALSE_ALARM: ("false alarm", "bad"),
    Outcome.OPEN: ("nobody has acted yet", "calm"),
}


def add_comparison(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY/comparison."""

    @web.get("/flags/<key>/comparison")
    def comparison(key: str) -> ResponseReturnValue:
        where, who = here(services), principal()
        view = queries.flag_view(where, key, by=who)
        if view.rollout is None:
            return redirect(url_for("web.flag", key=key), HTTPStatus.SEE_OTHER)
        compared = dry_runs.compare_rollout(where, view.rollout.rollout.id, by=who)
        return render_template(
            "web/comparison.html",
            flag=view.flag,
            rollout=view.rollout.rollout,
            dry_run=view.rollout.dry_run,
            compared=list(reversed(compared)),
            counts=[(*_TOLD[outcome], number) for outcome, number in counted(compared).items() if number],
            told=_TOLD,
        )
