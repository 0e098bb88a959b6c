"""`wavegate demo`."""

import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

import click
from rich.console import Console

from wavegate_controller.cli.failure import Refused, Unreachable
from wavegate_controller.demo import control, scenario
from wavegate_controller.demo.actions import Fault
from wavegate_controller.demo.actions import Refused as NotNow
from wavegate_controller.demo.features import FEATURES, HARMFUL
from wavegate_controller.demo.processes import StartFailed
from wavegate_controller.demo.prometheus import PrometheusError
from wavegate_controller.demo.report import report
from wavegate_controller.demo.stack import Stack
from wavegate_controller.remote import RemoteProblem, RemoteUnreachable

#: Time in each wave: quick for a program, slow enough to be watched by a person.
_HEADLESS_BAKE: Final = "5s"
_WATCHED_BAKE: Final = "15s"
#: What may go wrong with the demo's own parts; each says what it is.
_PROBLEMS: Final = (StartFailed, PrometheusError, RemoteProblem, RemoteUnreachable)


@click.group(invoke_without_command=True)
@click.option("--headless", is_flag=True, help="Tell the whole story without a person, check it, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --headless: print the summary as JSON.")
@click.pass_context
def demo(context: click.Context, *, headless: bool, as_json: bool) -> None:
    """Watch one AI feature climb to 100 % and another roll itself back.

    Runs a controller, a real Prometheus and a small product with simulated users, all on this machine and all gone
    afterwards. Without a terminal it tells the story as --headless does.
    """
    if as_json and not headless:
        raise click.UsageError("--json goes with --headless")
    if context.invoked_subcommand is not None:
        if headless:
            raise click.UsageError("--headless takes no command after it")
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        if headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
            _tell(as_json=as_json)
        else:
            _show()
    except _PROBLEMS as problem:
        raise Refused(str(problem)) from None


@demo.command
@click.argument("fault", type=click.Choice([each.value for each in Fault]))
@click.option(
    "--feature",
    type=click.Choice([each.key for each in FEATURES]),
    default=HARMFUL.key,
    show_default=True,
    help="Whose candidate goes wrong.",
)
@click.option("--off", is_flag=True, help="Let it be right again.")
def inject(fault: str, *, feature: str, off: bool) -> None:
    """Make something go wrong in the demo that runs in another terminal."""
    try:
        click.echo(control.inject(Fault(fault), feature, on=not off))
    except control.NoDemo as problem:
        raise Unreachable(str(problem)) from None
    except NotNow as refusal:
        raise Refused(str(refusal)) from None


def _tell(*, as_json: bool) -> None:
    # With JSON, stdout is for the one document.
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    say = _lines(console)
    try:
        with Stack(say, bake=_HEADLESS_BAKE) as stack:
            say(f"watch it at {stack.url}")
            summary = scenario.play(stack, say)
    except _PROBLEMS as problem:
        if as_json:
            click.echo(json.dumps({"ok": False, "failures": [str(problem)]}))
        raise
    if as_json:
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        console.print(report(summary))
    if not summary["ok"]:
        raise SystemExit(Refused.exit_code)


def _show() -> None:
    # Needs a terminal's calls, which not every system has.
    from wavegate_controller.demo.interactive import watch  # noqa: PLC0415

    console = Console(highlight=False)
    with suppress(KeyboardInterrupt), ExitStack() as parts:
        with console.status("starting") as status:
            stack = parts.enter_context(Stack(status.update, bake=_WATCHED_BAKE))
        watch(stack, console)


def _lines(console: Console) -> Callable[[str], None]:
    began = time.monotonic()
    return lambda line: console.print(f"{time.monotonic() - began:6.1f} s  {line}", markup=False)
