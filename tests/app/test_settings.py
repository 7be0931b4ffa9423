"""What the environment may say, and the one sentence for what it may not."""

import re
from pathlib import Path

import pytest

from app.cli.refusals import MEANINGS
from app.settings import InvalidSettings, Settings, load, masked
from sync_core.estate import estate


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIELINE_HOME", "TIELINE_PORT", "DATABASE_URL", "TIELINE_ESTATE", "TIELINE_WORKERS"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_need_be_set() -> None:
    settings = load()
    assert (settings.home, settings.host, settings.port) == (Path(".tieline"), "127.0.0.1", 8080)
    assert settings.database_url is None
    assert settings.hosts == ("localhost", "127.0.0.1")


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIELINE_PORT", "9000")
    assert load(port=None).port == 9000
    assert load(port=9001).port == 9001


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("TIELINE_PORT", "")
    assert load().database_url is None
    assert load().port == 8080


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_usual_form_of_a_database_url_is_taken(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://me:hid%40den@db.example:5433/tieline?sslmode=require")
    url = load().database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://me:hid%40den@db.example:5433/tieline?sslmode=require"
    assert "hid" not in repr(load())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "mysql://me:hidden@x/y", r"DATABASE_URL: must look like postgresql://"),
        ("DATABASE_URL", "postgresql://h?nonsense=hidden", r"DATABASE_URL: is no PostgreSQL URL"),
        ("TIELINE_PORT", "http", r"TIELINE_PORT: input should be a valid integer"),
        ("TIELINE_PORT", "70000", r"TIELINE_PORT: .*65535"),
        ("TIELINE_WORKERS", "0", r"TIELINE_WORKERS: "),
    ],
)
def test_a_wrong_value_is_named_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=words) as refused:
        load()
    assert "hidden" not in str(refused.value)


def test_a_systems_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIELINE_URL_ERP_NORTH", "http://erp.example")
    assert load().address("erp-north") == "http://erp.example"
    assert load().address("other") is None


def test_the_public_host_is_allowed_to_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIELINE_PUBLIC_URL", "https://tieline.example:8443/")
    assert "tieline.example" in load().hosts


def test_a_url_for_people_has_no_password() -> None:
    assert masked("postgresql://me:hidden@db:5433/x") == "postgresql://me@db:5433/x"


def test_the_document_names_every_setting_and_its_example_is_an_estate() -> None:
    document = (Path(__file__).parents[2] / "docs" / "estate.md").read_text(encoding="utf-8")
    names = {"DATABASE_URL" if name == "database_url" else f"TIELINE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if f"`{name}`" not in document} == set()
    example = re.search(r"^```toml\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    assert example is not None
    assert estate.load(example[1]).entities["NF-US"].erp == "cloud"


def test_the_document_has_every_exit_code() -> None:
    document = (Path(__file__).parents[2] / "docs" / "estate.md").read_text(encoding="utf-8")
    assert {code for code, meaning in MEANINGS.items() if f"| {code.value} | {meaning} |" not in document} == set()
