"""Trouble of the operating system and of databases as the command line says it: one sentence, one exit code."""

import errno
from pathlib import Path

import psycopg
import pytest

from app.cli.explaining import explain
from app.cli.refusals import Exit, unusable
from app.postgres.errors import DiskFull


@pytest.mark.parametrize("wrong", [DiskFull(Path("/x")), psycopg.errors.DiskFull("could not extend file")])
def test_a_full_disk_has_an_exit_code_of_its_own(wrong: Exception) -> None:
    refusal = explain(wrong)
    assert refusal is not None
    assert refusal.exit_code is Exit.DISK_FULL


def test_a_home_on_a_full_disk_says_which() -> None:
    refusal = unusable("/x", OSError(errno.ENOSPC, "No space left on device"))
    assert (refusal.exit_code, "/x" in refusal.message) == (Exit.DISK_FULL, True)
