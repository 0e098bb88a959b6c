"""`wavegate plan`."""

from typing import Any, Final

import click

from wavegate_controller.cli.changes import changes_text
from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.files import located, read_objects
from wavegate_controller.cli.session import Session, speaks_to_controller
from wavegate_controller.remote import RemoteProblem

_CHANGES: Final = 2


class _Unlike(click.ClickException):
    """Whatever goes wrong, where 2 means changes."""

    exit_code = 1


class _Detailed(click.Command):
    """With --detailed-exitcode 2 means changes, so that wrong usage must be something else."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """As click does."""
        is_detailed = "--detailed-exitcode" in args
        try:
            return super().make_context(info_name, args, *rest, **extra)
        except click.UsageError as error:
            if is_detailed:
                raise _Unlike(error.format_message()) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            if ctx.params.get("detailed_exitcode") and error.exit_code == _CHANGES:
                raise _Unlike(error.format_message()) from None
            raise


@click.command(cls=_Detailed)
@click.option("-f", "--file", "paths", multiple=True, required=True, help="YAML or JSON: a file, a directory, or -.")
@click.option("--collection", default="default", show_default=True, help="Whose files they are; see `apply`.")
@click.option("--prune", is_flag=True, help="Archive what was applied from this collection and is not in the files.")
@click.option("--detailed-exitcode", is_flag=True, help="End with 2 when there is something to do, 1 on any error.")
@speaks_to_controller
def plan(session: Session, paths: tuple[str, ...], collection: str, prune: bool, detailed_exitcode: bool) -> None:
    """Show what `wavegate apply` would change, and what was changed by hand."""
    documents, sources = read_objects(paths)
    try:
        outcome = session.controller.plan_configuration(documents, collection=collection, prune=prune)
    except RemoteProblem as problem:
        raise Refused(located(str(problem), sources)) from None
    session.show(outcome, changes_text(outcome))
    if any(change["blocked"] for change in outcome["changes"]):
        raise Refused("not everything is possible now; nothing would be applied")
    if detailed_exitcode and any(change["action"] != "none" for change in outcome["changes"]):
        raise SystemExit(_CHANGES)
