"""The table of commands: it names every command, says what the command itself says, and costs next to nothing."""

import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version

import pytest
import typer

import app.cli
from app.cli.catalogue import COMMANDS
from app.cli.elsewhere import Elsewhere
from tests.app.test_cli import TIELINE

# What every command of a day needs, and no `--help` does.
HEAVY = frozenset({"sqlalchemy", "psycopg", "pydantic", "asyncio", "pandas", "numpy", "fastapi", "httpx", "jsonschema"})


@pytest.mark.parametrize("one", COMMANDS, ids=lambda one: one.name)
def test_the_line_of_help_is_the_commands_own(one: Elsewhere) -> None:
    real = one.loaded()
    assert (real.name, real.hidden or one.hidden) == (one.name, one.hidden)
    assert " ".join((real.help or "").split("\n\n")[0].split()) == one.help


def test_every_group_of_commands_is_in_the_table() -> None:
    assert set(groups()) <= {id(found(one)) for one in COMMANDS}
    assert len({one.name for one in COMMANDS}) == len(COMMANDS)


def test_help_and_release_are_told_without_what_commands_need() -> None:
    begun = "import sys; from app.cli.main import main; sys.argv[1:] = ['--help']"
    code = f"{begun}\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "Exit codes:" in done.stdout
    assert HEAVY & {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()} == set()


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_the_release_is_that_of_the_installed_package(asked: str) -> None:
    done = subprocess.run([*TIELINE, asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("tieline")


def groups() -> Iterator[int]:
    for module in pkgutil.iter_modules(app.cli.__path__):
        if module.name != "main":
            kept = vars(import_module(f"app.cli.{module.name}")).values()
            yield from (id(one) for one in kept if isinstance(one, typer.Typer))


def found(one: Elsewhere) -> object:
    module, _, attribute = one.place.partition(":")
    return getattr(import_module(f"app.cli.{module}"), attribute)


def test_a_worker_starts_without_what_few_of_its_jobs_need() -> None:
    code = "import sys, app.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert {"pandas", "pyarrow", "xlsxwriter", "streamlit", "fastapi"} & set(done.stdout.split()) == set()
