"""Importing the SDK costs an app next to nothing until it makes a client."""

import subprocess
import sys
from pathlib import Path

import pytest

from wavegate import evaluation

#: Each costs as much as the client.
LIGHT = ("typing", "re", "dataclasses", "json", "pathlib", "importlib", "inspect", "wavegate.evaluation.flag")
HEAVY = ("requests", "urllib3", "prometheus_client", "http.client", "ssl", "asyncio", "logging", "tempfile")


def loaded_by(statement, names):
    code = (
        f"import sys; before = set(sys.modules); {statement}; print({{*{names!r}}} & ({{*sys.modules}} - before) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("statement", ["import wavegate", "from wavegate import Client, Trial"])
def test_importing_wavegate_brings_no_heavy_library(statement):
    assert loaded_by(statement, HEAVY) == "0"


def test_importing_the_client_takes_less_than_importing_typing():
    assert loaded_by("from wavegate import Client, ConfigError, Trial", LIGHT) == "0"


def test_a_client_without_dates_versions_and_patterns_imports_nothing_for_them():
    code = """from wavegate import Client; Client.offline('{"schema":1,"environment":"e","revision":1,"flags":{}}')"""

    assert loaded_by(code, [f"wavegate.evaluation.{name}" for name in ("instants", "semver", "pattern")]) == "0"


def test_a_client_that_polls_has_imported_all_there_is_for_rulesets_before_its_thread_starts():
    """A process forked in the middle of an import could never import it."""
    modules = [f"wavegate.evaluation.{file.stem}" for file in Path(evaluation.__file__).parent.glob("[a-z]*.py")]
    making = "from wavegate import Client; Client('http://127.0.0.1:9', poll_interval=60)"

    loaded = loaded_by(making, modules)

    assert len(modules) > 10
    assert [name for name in modules if repr(name) not in loaded] == []


def test_importing_wavegate_alone_brings_not_even_the_light_ones():
    """Whoever only hands a client on pays for nothing; what is named is imported when it is first named."""
    names = ("typing", "dataclasses", "enum", "json", "mmh3", "threading", "wavegate.client", "wavegate.evaluation")

    assert loaded_by("import wavegate", names) == "0"


def test_a_name_that_does_not_exist_is_refused_like_any_other():
    import wavegate

    with pytest.raises(AttributeError, match="module 'wavegate' has no attribute 'Clint'"):
        wavegate.Clint  # noqa: B018 # being asked for is all it does
    assert {*wavegate.__all__} <= {*dir(wavegate)}
