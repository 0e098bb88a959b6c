"""The command line: `wavegate`. Each command is a module of its name in this package, imported when it is used."""

from importlib import import_module
from keyword import iskeyword
from typing import Final

import click

#: Command to what `wavegate --help` says of it: known here, so that asking for help imports nothing heavy.
COMMANDS: Final = {
    "demo": "Watch one AI feature climb to 100 % and another roll itself back.",
    "serve": "Run a controller until it gets SIGTERM or SIGINT.",
    "flag": "Create flags, show and change them, and stop them at once.",
    "relay": "Serve another controller's or relay's data plane from here.",
    "stage": "From discovery to scale: where a feature stands, what it lacks, and who decides.",
    "drill": "Try the way back: report a breach that is made up, and time until the last client is off.",
    "feedback": "What people said about a feature: show it, export it, take words away.",
    "rollout": "Create rollouts, watch them, and act on them.",
    "segment": "Conditions with names, for the rules of any flag.",
    "template": "Plans with names: `wavegate rollout create --template NAME` copies one.",
    "freeze": "When nothing raises exposure in an environment.",
    "estimate": "How long each wave will take at this traffic, and what it will be able to see.",
    "backtest": "Replay a plan over the past: when would it have held, advanced, rolled back?",
    "aa": "Calibrate a plan on traffic without a candidate: does it raise no more false alarms than it promises?",
    "explain": "Make decision ID again from its evidence, with every number beside its limit.",
    "lint": "Look at the gates of a plan with the metrics server at hand, before they judge anybody.",
    "login": "Sign in at a controller, and stay so on this machine.",
    "logout": "Sign out again: the token is revoked and kept no longer.",
    "user": "People: let them in, say what they are, let them go.",
    "token": "API tokens: make, list, rotate, revoke.",
    "key": "SDK keys: make, list, rotate, revoke.",
    "environment": "Environments: make and list.",
    "gate": "Show the ready-made gates that a plan may name.",
    "delivery": "Show which apps have which revision, and how long it took to reach them.",
    "audit": "Show what was done, by whom and why, and verify that nobody changed the record.",
    "flagd": "Export flags for flagd's evaluators.",
    "alert": "Show the alerts that were reported, and what came of them.",
    "notify": "Tell people in chat, by mail or by webhook what happens to rollouts.",
    "plan": "Show what `wavegate apply` would change, and what was changed by hand.",
    "apply": "Make everything as the files say, or nothing.",
    "export": "Print an environment as files for `wavegate apply`, all in one or each in its own.",
    "import": "Print flags of Unleash, LaunchDarkly, flagd or GrowthBook as files for `wavegate apply`.",
    "schema": "Print the JSON Schema of the files that `wavegate apply` takes, for editors and checks.",
    "status": "What the controller serves.",
    "events": "Follow what happens, one line for each event, until Ctrl-C.",
    "doctor": "Look at everything that a controller needs, and say what to do about what is wrong.",
    "completion": "Print the completion of this command for a shell.",
    "db": "Bring the database to this version, check that it is, or copy it.",
}


def find(name: str) -> click.Command:
    """The command of this name."""
    # Python keeps `import` to itself.
    word = f"{name}_" if iskeyword(name) else name
    command: click.Command = getattr(import_module(f"{__name__}.{word}"), word)
    return command


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        return find(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Environment:
  WAVEGATE_URL    the controller to speak to [default: http://127.0.0.1:8080]
  WAVEGATE_TOKEN  your API token; by default that of `wavegate login`

\b
Exit codes:
  0  done
  1  the controller refused
  2  wrong usage
  3  no controller answers
  4  the audit does not hold
  5  a plan was found not to hold what it should
""",
)
@click.version_option(package_name="wavegate-controller", message="wavegate %(version)s")
def main() -> None:
    """Roll AI features out in waves; a wave advances only while its metrics pass.

    \b
    wavegate demo                            see it work, on this machine
    wavegate serve                           run a controller
    wavegate flag create ai-summaries        a feature to roll out
    wavegate stage show ai-summaries         what it lacks before its rollout
    wavegate rollout create --flag ai-summaries --start
    wavegate rollout watch ai-summaries
    """  # noqa: D301 - click's mark for lines that keep their breaks
