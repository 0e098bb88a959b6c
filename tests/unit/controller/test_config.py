"""Settings come from a file and the environment; what is unknown or unsafe is refused by name."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from wavegate_controller.config import PREFIX, Config, load
from wavegate_controller.domain.errors import Invalid


def test_everything_has_a_default():
    config = load({})

    assert (config.host, config.port, config.environment) == ("127.0.0.1", 8080, "production")


def test_the_environment_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "wavegate.toml"
    file.write_text('port = 9000\nenvironment = "staging"\nsdk_keys = ["0123456789abcdef"]\n', encoding="utf-8")

    config = load({"WAVEGATE_PORT": "9001", "WAVEGATE_TICK": "500ms"}, file)

    assert (config.port, config.environment) == (9001, "staging")
    assert config.tick == timedelta(milliseconds=500)
    assert [key.get_secret_value() for key in config.sdk_keys] == ["0123456789abcdef"]


def test_tables_are_written_as_json_in_the_environment():
    short = '{"anna": "0123456789abcdef", "ci": {"token": "fedcba9876543210", "role": "viewer", "environment": "a"}}'

    tokens = load({"WAVEGATE_API_TOKENS": short}).tokens

    assert {name: (each.token.get_secret_value(), each.role, each.environment) for name, each in tokens.items()} == {
        "anna": ("0123456789abcdef", "admin", "*"),
        "ci": ("fedcba9876543210", "viewer", "a"),
    }


@pytest.mark.parametrize(
    ("env", "field"),
    [
        ({"WAVEGATE_PROT": "1"}, "WAVEGATE_PROT"),
        ({"WAVEGATE_PORT": "http"}, "WAVEGATE_PORT"),
        ({"WAVEGATE_PORT": "70000"}, "WAVEGATE_PORT"),
        ({"WAVEGATE_TICK": "often"}, "WAVEGATE_TICK"),
        ({"WAVEGATE_PROMETHEUS_URL": "localhost:9090"}, "WAVEGATE_PROMETHEUS_URL"),
        ({"WAVEGATE_API_TOKENS": "anna=secret"}, "WAVEGATE_API_TOKENS"),
        ({"WAVEGATE_API_TOKENS": '{"anna": "short"}'}, "api_tokens"),
        ({"WAVEGATE_HOST": "0.0.0.0", "WAVEGATE_OPEN": "true"}, "open"),
        ({"WAVEGATE_API_TOKENS": '{"anna": {"token": "0123456789abcdef", "role": "king"}}'}, "WAVEGATE_API_TOKENS"),
        ({"WAVEGATE_API_TOKENS": '{"anna": {"token": "short"}}'}, "api_tokens"),
        ({"WAVEGATE_PUBLIC_URL": "wavegate.example"}, "WAVEGATE_PUBLIC_URL"),
        ({"WAVEGATE_OIDC_ISSUER": "https://id.example"}, "oidc_client_id"),
        ({"WAVEGATE_OIDC_ISSUER": "https://id.example", "WAVEGATE_OIDC_CLIENT_ID": "w"}, "oidc_roles"),
        ({"WAVEGATE_PROMETHEUS_USERNAME": "anna"}, "prometheus_password"),
        ({"WAVEGATE_LOG_LEVEL": "loud"}, "WAVEGATE_LOG_LEVEL"),
        ({"WAVEGATE_FEEDBACK_RETENTION": "23h"}, "feedback_retention: ends before the tokens"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(env: dict[str, str], field: str):
    with pytest.raises(Invalid) as refused:
        load(env)

    assert field in str(refused.value)


def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path):
    file = tmp_path / "wavegate.toml"
    file.write_text("prot = 1\n", encoding="utf-8")

    with pytest.raises(Invalid, match="prot"):
        load({}, file)


@pytest.mark.parametrize("content", [b"port = ", b"\xff"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "wavegate.toml"
    file.write_bytes(content)

    with pytest.raises(Invalid, match="not TOML"):
        load({}, file)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(Invalid, match="cannot be read"):
        load({}, tmp_path / "nowhere.toml")


@pytest.mark.parametrize("name", ["WAVEGATE_URL", "WAVEGATE_TOKEN", "WAVEGATE_USER", "WAVEGATE_CHANNEL_URL", "PATH"])
def test_variables_of_other_parts_are_left_alone(name: str):
    assert load({name: "something"})


def test_secrets_do_not_show():
    config = load({"WAVEGATE_API_TOKENS": '{"anna": "0123456789abcdef"}', "WAVEGATE_SDK_KEYS": '["0123456789abcdef"]'})

    assert "0123456789abcdef" not in repr(config)


def test_every_setting_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")

    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))

    assert documented == set(Config.model_fields)
    assert all(f"`{PREFIX}{name.upper()}`" in page for name in Config.model_fields)


@pytest.mark.parametrize(
    ("role", "problem"),
    [
        ("data", "leaves work to others, but SQLite is for one process"),
        ("control,datum", "names no roles"),
        (",", "names no roles"),
    ],
)
def test_a_role_that_cannot_be_played_is_refused(role, problem):
    with pytest.raises(Invalid, match=f"role: .*{problem}"):
        load({"WAVEGATE_ROLE": role})


def test_a_process_may_leave_roles_to_others_on_postgresql():
    url = "postgresql+psycopg://db.example.com/wavegate"

    assert load({"WAVEGATE_ROLE": "data, reconcile", "WAVEGATE_DATABASE_URL": url}).roles == {"data", "reconcile"}
    assert load({}).roles == {"control", "data", "reconcile"}
