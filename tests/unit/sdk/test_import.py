"""Importing the SDK costs an app next to nothing until it makes a client."""

import subprocess
import sys

import pytest

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


def test_importing_wavegate_alone_brings_not_even_the_light_ones():
    """Whoever only hands a client on pays for nothing; what is named is imported when it is first named."""
    names = ("typing", "dataclasses", "enum", "json", "mmh3", "threading", "wavegate.client", "wavegate.evaluation")

    assert loaded_by("import wavegate", names) == "0"


def test_a_name_that_does_not_exist_is_refused_like_any_other():
    import wavegate

    with pytest.raises(AttributeError, match="module 'wavegate' has no attribute 'Clint'"):
        wavegate.Clint  # noqa: B018 # being asked for is all it does
    assert {*wavegate.__all__} <= {*dir(wavegate)}
