"""`wavegate drill`."""

import time
from typing import Final

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.session import Session, signed, speaks_to_controller
from wavegate_controller.remote import Document

_PAUSE: Final = 0.1
_OVER: Final = ("passed", "aborted")
_STEPS: Final = (
    ("decided_seconds", "decided and rolled back"),
    ("published_seconds", "offered to apps"),
    ("last_off_seconds", "last client off"),
)


@click.command
@click.argument("flag")
@click.option(
    "--patience",
    type=click.FloatRange(5, 600),
    default=60,
    show_default=True,
    help="Seconds after which it is given up.",
)
@click.option("--real", is_flag=True, help="Roll back FLAG's own rollout, which stands again afterwards.")
@click.option("--yes", is_flag=True, help="Do not ask before users lose the candidate.")
@signed
@speaks_to_controller
def drill(session: Session, flag: str, patience: float, real: bool, yes: bool, name: str | None, comment: str) -> None:
    """Try the way back: report a breach that is made up, and time until the last client is off.

    A flag of its own stands in for FLAG, so no user sees anything of it; with --real its users get the stable variant
    meanwhile. Ctrl-C ends it, and puts everything back; so does the controller if this command is killed.
    """
    actor = session.signature(name)
    if real and not yes:
        question = f"roll back {flag} for all of its users, for up to {patience:g} s?"
        click.confirm(question, abort=True, err=True)
    seen = session.controller.begin_drill(flag, real=real, patience=patience, actor=actor, comment=comment)
    began = time.monotonic()
    try:
        with Live(console=session.console, auto_refresh=False, transient=True) as live:
            while seen["state"] not in _OVER and time.monotonic() - began < patience:
                if not session.as_json:
                    live.update(_steps(seen, time.monotonic() - began), refresh=True)
                time.sleep(_PAUSE)
                seen = session.controller.look_at_drill(flag, actor=actor)
    finally:
        if seen["state"] not in _OVER:
            seen = session.controller.abort_drill(flag, actor=actor)
    session.show(seen, _steps(seen, None))
    if seen["state"] != "passed":
        raise Refused(f"not everybody was off within {patience:g} s; the drill was ended and everything put back")
    if seen["restored"] is False:
        raise Refused(f"{seen['rollout']} was moved while it was drilled, and is left as it is: look at it")


def _steps(seen: Document, running: float | None) -> RenderableType:
    """The stopwatch: each step with its time, the one that is waited for with the time so far."""
    on = seen["shadow"] or f"real: {seen['rollout']}"
    lines = [Text(f"drill of {seen['flag']} ({on})", "bold"), Text("  0.00 s  breach reported")]
    for field, words in _STEPS:
        seconds = seen[field]
        if seconds is None:
            if running is not None:
                lines.append(Text(f"{running:6.1f} s  ... {words}", "yellow"))
            break
        lines.append(Text(f"{seconds:6.2f} s  {words}", "green"))
    if seen["restored"] is not None:
        said = "stands again where it stood" if seen["restored"] else "was moved meanwhile, and is left as it is"
        lines.append(Text(f"          {seen['rollout']} {said}", "green" if seen["restored"] else "red"))
    lines.append(Text(f"          delivered to {seen['delivered']:,} of {seen['of']:,}", "dim"))
    return Group(*lines)
