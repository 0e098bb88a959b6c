"""`wavegate apply`."""

import sys

import click

from wavegate_controller.cli.changes import changes_text
from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.files import located, read_objects
from wavegate_controller.cli.findings import despite, in_spite, refused_by_lint
from wavegate_controller.cli.session import Session, signed, speaks_to_controller
from wavegate_controller.remote import RemoteProblem


@click.command
@click.option("-f", "--file", "paths", multiple=True, required=True, help="YAML or JSON: a file, a directory, or -.")
@click.option(
    "--collection",
    default="default",
    show_default=True,
    help="Whose files they are: with --prune nobody else's objects are touched.",
)
@click.option("--prune", is_flag=True, help="Archive what was applied from this collection and is not in the files.")
@despite
@click.option("-y", "--yes", is_flag=True, help="Do not ask, on a terminal either.")
@signed
@speaks_to_controller
def apply(
    session: Session,
    *,
    paths: tuple[str, ...],
    collection: str,
    prune: bool,
    despite_lint: str,
    yes: bool,
    name: str | None,
    comment: str,
) -> None:
    """Make everything as the files say, or nothing.

    A rollout that is under way is never changed: then nothing is applied, and it says what would have to happen. Nor
    is anything where a rollout would start whose gates lint finds an error in.
    """
    documents, sources = read_objects(paths)
    controller = session.controller
    try:
        planned = controller.plan_configuration(documents, collection=collection, prune=prune)
        if any(change["blocked"] for change in planned["changes"]):
            session.show(planned, changes_text(planned))
            raise Refused("not everything is possible now; nothing was applied")
        if not session.as_json and sys.stdin.isatty() and session.console.is_terminal and not yes:
            session.console.print(changes_text(planned))
            if any(change["action"] != "none" for change in planned["changes"]):
                click.confirm("apply this?", abort=True)
        applied = controller.apply_configuration(
            documents,
            collection=collection,
            prune=prune,
            fingerprint=planned["fingerprint"],
            actor=session.signature(name),
            comment=comment,
            **in_spite(despite_lint),
        )
    except RemoteProblem as problem:
        if problem.findings:
            raise refused_by_lint(problem) from None
        raise Refused(located(str(problem), sources)) from None
    session.show(applied, changes_text(applied))
