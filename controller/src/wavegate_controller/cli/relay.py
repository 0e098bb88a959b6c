"""`wavegate relay`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from wavegate_controller.cli.failure import Misused
from wavegate_controller.documents.duration import parse_duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.relay import RelaySettings, serve


def _duration(_ctx: click.Context, _param: click.Parameter, value: str) -> timedelta:
    try:
        duration = parse_duration(value)
    except ValueError as refusal:
        raise click.BadParameter(f"{value!r} is not {refusal}") from None
    if duration <= timedelta(0):
        raise click.BadParameter(f"{value!r} is not a time; give more than 0, such as 1s")
    return duration


@click.command(context_settings={"auto_envvar_prefix": "WAVEGATE_RELAY", "show_default": True})
@click.option("--upstream", required=True, metavar="URL", help="The controller, or another relay.")
@click.option("--sdk-key", help="Shown to the upstream; says which environment is relayed.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8081, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the ruleset and the hashes of keys, to start from while the upstream is away.",
)
@click.option(
    "--key-interval", default="1s", callback=_duration, help="How long a key that was revoked may still hold here."
)
@click.option("--post-interval", default="5s", callback=_duration, help="How often counts are handed on.")
@click.option("--timeout", default="5s", callback=_duration, help="Longest wait for the upstream.")
@click.option("--heartbeat", default="10s", callback=_duration, help="How often each stream shows a sign of life.")
@click.option("--cors-origin", "cors_origins", multiple=True, help="Origin of web pages that may ask; * for all.")
@click.option("--rate-limit", default=0.0, type=click.FloatRange(0), help="Evaluations a second for each key.")
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level to log."
)
def relay(host: str, port: int, log_level: str, **settings: Any) -> None:
    """Serve another controller's or relay's data plane from here.

    Every option may come from the environment instead: --sdk-key as WAVEGATE_RELAY_SDK_KEY.
    """
    try:
        serve(RelaySettings(**settings), host=host, port=port, log_level=log_level)
    except Invalid as refusal:
        raise Misused(str(refusal)) from None
