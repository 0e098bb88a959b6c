"""Pages copied from a terminal: types their commands again, and writes down or compares what came back.

In a page, each block

- ```` ```console ```` is what a terminal showed: `$ ` begins a command, `> ` goes on with it, the rest is what it said;
- of any other language that begins with `# NAME.EXTENSION`, or follows `<!-- file: NAME -->`, is a file to be saved.

Comments right before a block of the first kind say what the reader need not know:

- `<!-- when: CONDITION -->`: what a reader would wait for, as a command that succeeds;
- `<!-- shows: A … B -->`: all that the block says each time, in order; else everything but numbers has to come back;
- `<!-- id: COMMAND -->`: says the number that commands of the block end with, where it is another one each time.

A command may fail only where its own comment says so, `# ends with 1`.
"""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

from support.waiting import wait_until
from wavegate_controller.demo.processes import free_port
from wavegate_controller.demo.prometheus import find_prometheus

#: As pages write them; where the commands run they are other ones, since somebody may listen on these.
PORTS = (8080, 8081, 8000, 9090)
#: What the directory of a page is called in it.
HOME = "/home/ada/try"
_PATIENCE = 300.0
_SERVE, _SERVES = "wavegate serve --open 2> controller.log &", "wavegate status"
_MARK = "--- this command ended with"

_PART = re.compile(
    r"(?P<marks>(?:^<!-- [a-z]+: [^\n]* -->\n)*)^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_NAME = re.compile(r"# ([\w-]+\.\w+)\n")
_MARKS = re.compile(r"<!-- ([a-z]+): (.*) -->")
_EXPECTED_END = re.compile(r"# ends with (\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One command of a page.

    Attributes:
        text: what is typed.
        said: what came back, without the last line break.
        shows: all of that which comes back each time, if the page says so.
    """

    text: str
    said: str
    shows: str | None = None

    @property
    def end(self) -> int:
        """The exit code that the page names."""
        named = _EXPECTED_END.search(self.text)
        return int(named[1]) if named else 0


def has_commands(page: str) -> bool:
    return any(part["language"] == "console" for part in _PART.finditer(page))


def commands(page: str) -> list[Command]:
    """All of a page, in order."""
    return [
        command
        for part in _PART.finditer(page)
        if part["language"] == "console"
        for command in _commands(part["body"], _marks(part))
    ]


def recorded(page: str, directory: Path, **settings: str) -> str:
    """The page as it reads after its commands ran in this empty directory, one after another in one shell.

    A page that does not start a controller finds one running.

    Raises:
        AssertionError: a command ended otherwise than the page says.
    """
    with Terminal(directory, **settings) as terminal:
        # Most pages are of what one asks a controller that is there.
        if not any(command.text.startswith("wavegate serve") for command in commands(page)):
            terminal.type(_SERVE)
            terminal.wait(_SERVES)
        return _PART.sub(lambda part: _again(part, terminal), page)


def differences(old: str, new: str) -> list[str]:
    """What else than times, counts, keys and numbers came back from the same commands."""
    found = []
    for before, after in zip(commands(old), commands(new), strict=True):
        assert _plain(before.text) == _plain(after.text)
        if before.shows is None:
            same = _plain(before.said) == _plain(after.said)
        else:
            same = all(_has(before.shows, each.said) for each in (before, after))
        if not same:
            found.append(f"$ {before.text}\nthe page:\n{before.said}\nnow:\n{after.said}")
    return found


class Terminal:
    """A shell in a directory of its own, and all that is started in it; gone after leaving."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._directory = directory
        self._ports = {str(printed): str(free_port()) for printed in PORTS}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WAVEGATE_", "PYTHON"))}
        tools = [Path(sys.executable).parent, find_prometheus().parent]
        self._environment = {
            **inherited,
            "PATH": os.pathsep.join([*map(str, tools), inherited["PATH"]]),
            "HOME": str(directory),
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            "WAVEGATE_USER": "ada",
            "WAVEGATE_PORT": self._ports["8080"],
            "WAVEGATE_URL": f"http://127.0.0.1:{self._ports['8080']}",
            **{name: self.real(value) for name, value in settings.items()},
        }

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # With all that it starts it is a group, which is ended as one.
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._shell.pid, number)
                self._shell.wait(timeout=10)
                wait_until(self._is_alone, timeout=10)
            except (ProcessLookupError, AssertionError, subprocess.TimeoutExpired):
                continue
        self._shell.communicate()

    def real(self, text: str) -> str:
        """With the ports that are free here."""
        return re.sub(rf"\b({'|'.join(self._ports)})\b", lambda port: self._ports[port[1]], text)

    def printed(self, text: str) -> str:
        """As the page has it, on whatever machine it ran."""
        for printed, real in self._ports.items():
            text = re.sub(rf"\b{real}\b", printed, text)
        return text.replace(str(self._directory), HOME)

    def save(self, name: str, text: str) -> None:
        """A file of the page."""
        (self._directory / name).write_text(self.real(text), encoding="utf-8")

    def type(self, text: str) -> tuple[str, int]:
        """What a command says, and its exit code."""
        said, code = self._run(self.real(text))
        return self.printed(said), code

    def wait(self, condition: str) -> None:
        """Until this command succeeds.

        Raises:
            AssertionError: it never does, with what it said last and what has been written down meanwhile.
        """
        said = ""

        def holds() -> bool:
            nonlocal said
            said, code = self._run(f"( {self.real(condition)} )")
            return code == 0

        try:
            wait_until(holds, timeout=_PATIENCE, what=condition)
        except AssertionError as error:
            logs = (f"{log.name}:\n{log.read_text()}" for log in self._directory.glob("*.log"))
            raise AssertionError("\n".join([str(error), said, *logs])) from None

    def _run(self, text: str) -> tuple[str, int]:
        assert self._shell.stdin is not None
        # Not its own input: the next command is in there.
        line = f"{{ {text}\n}} < /dev/null\nprintf '\\n%s %s\\n' '{_MARK}' $?\n"
        self._shell.stdin.write(line.encode())
        self._shell.stdin.flush()
        return self._read(text)

    def _read(self, text: str) -> tuple[str, int]:
        assert self._shell.stdout is not None
        deadline = monotonic() + _PATIENCE
        said = b""
        # What is in the background may still say something behind it: that is nobody's answer.
        while not (end := re.search(rf"\n{_MARK} (\d+)\n".encode(), said)):
            ready, _, _ = select.select([self._shell.stdout], [], [], max(0.0, deadline - monotonic()))
            assert ready, f"{text!r} did not end within {_PATIENCE:g} s; it said:\n{said.decode()}"
            more = os.read(self._shell.stdout.fileno(), 65536)
            assert more, f"the shell ended at {text!r}; it said:\n{said.decode()}"
            said += more
        return said[: end.start()].decode().rstrip("\n"), int(end[1])

    def _is_alone(self) -> bool:
        try:
            os.killpg(self._shell.pid, 0)
        except ProcessLookupError:
            return True
        return False


def _again(part: re.Match[str], terminal: Terminal) -> str:
    if part["language"] != "console":
        named = _NAME.match(part["body"])
        if name := _marks(part).get("file") or (named and named[1]):
            terminal.save(name, part["body"])
        return part[0]
    marks = _marks(part)
    if condition := marks.get("when"):
        terminal.wait(condition)
    body = part["body"]
    if command := marks.get("id"):
        body = re.sub(r"(?m)^(\$ .*) \d+$", rf"\1 {terminal.type(command)[0]}", body)
    lines = []
    for command in _commands(body, marks):
        said, code = terminal.type(command.text)
        assert code == command.end, f"{command.text!r} ended with {code}; it said:\n{said}"
        lines.append("$ " + command.text.replace("\n", "\n> "))
        lines += [line.rstrip() for line in said.splitlines()]
    return f"{part['marks']}```console\n" + "\n".join(lines) + "\n```"


def _marks(part: re.Match[str]) -> Mapping[str, str]:
    return dict(_MARKS.findall(part["marks"]))


def _commands(body: str, marks: Mapping[str, str]) -> Iterator[Command]:
    for typed in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        first, *rest = typed.splitlines()
        more = 0
        while more < len(rest) and rest[more].startswith("> "):
            more += 1
        text = "\n".join([first, *(line.removeprefix("> ") for line in rest[:more])])
        said = "\n".join(rest[more:])
        # What a block shows, its last command does: the others prepare it.
        is_last = body.rstrip().endswith(typed.rstrip())
        yield Command(text=text, said=said, shows=(marks["shows"] if is_last else "") if "shows" in marks else None)


def _has(shown: str, said: str) -> bool:
    parts = (re.escape(part).replace(r"\ ", r"\s+") for part in shown.split(" … "))
    return re.search(".*".join(parts), said, re.DOTALL) is not None


def _plain(said: str) -> str:
    """Without what differs from run to run: numbers, times and keys, and where lines are broken because of them."""
    said = re.sub(r" \(delivered to [^)]*\)", "", said)
    said = re.sub(r"\b[0-9a-f]{12,}\b|\bwg[tkl]_\S+", "#", said)
    said = re.sub(r"\b\d[\d.,:+-]*(e[+-]\d+)?(ms|[smhd])?\b", "#", said)
    said = re.sub(r"(# ?)+", "#", said)
    return re.sub(r"[\s\u2500-\u257f]+", " ", said)
