"""`wavegate plan`, `apply`, `export` and `schema`, as people and pipelines use them."""

import json

import pytest
import yaml
from click.testing import CliRunner

from support.live_controller import live_controller
from wavegate_controller.cli import main

FLAG = "apiVersion: wavegate/v1\nkind: Flag\nspec:\n  key: {key}\n  description: {description}\n"
ROLLOUT = """\
apiVersion: wavegate/v1
kind: Rollout
spec:
  flag: {key}
  plan: {{waves: [{{percent: {percent}, bake: 1h}}, {{percent: 100}}]}}
  start: true
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with live_controller(tmp_path_factory.mktemp("configuration")) as url:
        yield url


@pytest.fixture
def wavegate(url):
    def run(*arguments, text=None):
        return CliRunner().invoke(main, [*arguments], env={"WAVEGATE_URL": url, "COLUMNS": "100"}, input=text)

    return run


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return str(tmp_path)

    return write


def test_a_directory_is_planned_applied_and_then_as_it_is_wanted(wavegate, files):
    place = files(flag=FLAG.format(key="one", description="First"), rollout=ROLLOUT.format(key="one", percent=10))

    planned = wavegate("plan", "-f", place, "--collection", "one", "--detailed-exitcode")
    applied = wavegate("apply", "-f", place, "--collection", "one", "--as", "ada", "-m", "from main")
    again = wavegate("plan", "-f", place, "--collection", "one", "--detailed-exitcode")

    assert (planned.exit_code, applied.exit_code, again.exit_code) == (2, 0, 0)
    assert "+ Flag production/one: create" in planned.output
    assert "applied: 2 to create" in applied.output
    assert "everything is as it is wanted" in again.output


def test_drift_and_a_rollout_under_way_are_shown_and_end_with_1(wavegate, files):
    place = files(flag=FLAG.format(key="two", description="First"), rollout=ROLLOUT.format(key="two", percent=10))
    wavegate("apply", "-f", place, "--as", "ada")
    wavegate("flag", "change", "two", "-f", "-", "--as", "bob", text="description: by hand")
    files(rollout=ROLLOUT.format(key="two", percent=50))

    planned = wavegate("plan", "-f", place)
    refused = wavegate("apply", "-f", place, "--as", "ada", "--json")

    assert (planned.exit_code, refused.exit_code) == (1, 1)
    assert 'description: "by hand" -> "First"  (changed by hand; applied last: "First")' in planned.output
    assert "is never changed under way" in " ".join(planned.output.split())
    assert "nothing was applied" in refused.stderr
    assert json.loads(refused.stdout)["applied"] is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Flag", "flag.yaml, document 1: apiVersion: is missing"),
        (FLAG.format(key="f", description="x") + "---\nkind: Colour\n", "document 2: kind: 'Colour' is unknown"),
        (FLAG.format(key="f", description="x") + "  key: g\n", "'key' is given more than once, in line 6"),
        ("", "there is no document in it"),
    ],
)
@pytest.mark.parametrize("detailed", [False, True])
def test_a_file_that_makes_no_sense_is_named_with_the_document_and_the_field(wavegate, files, text, said, detailed):
    refused = wavegate("plan", "-f", files(flag=text), *(["--detailed-exitcode"] if detailed else []))

    assert refused.exit_code == (1 if detailed else 2)
    assert said in refused.stderr


def test_what_only_the_controller_can_refuse_is_named_by_its_file_too(wavegate, files):
    place = files(a=FLAG.format(key="f", description="x"), b=FLAG.format(key="f", description="y"))

    refused = wavegate("plan", "-f", place)

    assert refused.exit_code == 1
    assert "b.yaml, document 1" in refused.stderr
    assert "a.yaml, document 1" in refused.stderr


def test_wrong_usage_is_no_change(wavegate):
    assert wavegate("plan", "--detailed-exitcode", "--colour", "-f", "x").exit_code == 1
    assert wavegate("plan", "--colour", "-f", "x").exit_code == 2


def test_the_export_can_be_applied_from_stdin_and_from_files(wavegate, files, tmp_path):
    wavegate("apply", "-f", files(flag=FLAG.format(key="three", description="'on: off'")), "--as", "ada")

    exported = wavegate("export")
    written = wavegate("export", "-o", str(tmp_path / "out"))
    planned = [wavegate("plan", "-f", "-", text=exported.stdout), wavegate("plan", "-f", str(tmp_path / "out"))]

    assert {"on", "off"} == set(next(yaml.safe_load_all("variants: {'on': true, 'off': false}"))["variants"])
    assert (exported.exit_code, written.exit_code) == (0, 0)
    assert (tmp_path / "out" / "production" / "flag" / "three.yaml").exists()
    assert all("everything is as it is wanted" in each.output for each in planned)


def test_the_schema_is_printed_without_a_controller():
    printed = CliRunner().invoke(main, ["schema"], env={"WAVEGATE_URL": "http://127.0.0.1:1"})

    assert printed.exit_code == 0
    assert json.loads(printed.stdout)["$schema"].startswith("https://json-schema.org/")
