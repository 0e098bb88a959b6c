"""`wavegate completion`."""

import click
from click.shell_completion import get_completion_class

from wavegate_controller.cli import main


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of this command for a shell.

    \b
    bash: wavegate completion bash > ~/.local/share/bash-completion/completions/wavegate
    zsh:  wavegate completion zsh > "${fpath[1]}/_wavegate"
    fish: wavegate completion fish > ~/.config/fish/completions/wavegate.fish
    """  # noqa: D301 - click's mark for lines that keep their breaks
    found = get_completion_class(shell)
    assert found is not None, "click knows these three"  # noqa: S101 # for mypy, and true
    click.echo(found(main, {}, "wavegate", "_WAVEGATE_COMPLETE").source())
