"""Every error of the embedded PostgreSQL has a code, a sentence and a cause that leads to it."""

import pickle
from pathlib import Path

import pytest

from app.postgres import errors

ERRORS = (
    errors.EmbeddedPostgresError("x"),
    errors.BinariesMissing("x"),
    errors.DiskFull(Path("/x")),
    errors.PortTaken(1),
    errors.VersionMismatch(Path("/x"), "17", "18"),
    errors.PermissionRefused(Path("/x"), "y"),
    errors.StartTimedOut(1.0, "y"),
    errors.StopTimedOut(1.0, "y"),
    errors.StartFailed(Path("/x"), "y"),
    errors.OldProcessesRemain(Path("/x")),
    errors.DataMissing(Path("/x"), Path("/y")),
    errors.CredentialsRefused(Path("/x")),
)


def test_every_error_has_its_own_code_and_survives_pickling() -> None:
    kinds = {errors.EmbeddedPostgresError, *errors.EmbeddedPostgresError.__subclasses__()}
    assert {type(error) for error in ERRORS} == kinds
    assert len({error.code for error in ERRORS}) == len(ERRORS)
    for error in ERRORS:
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ('FATAL:  could not write to file "pg_wal/x": No space left on device', errors.DiskFull),
        ('LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', errors.PortTaken),
        ("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use", errors.OldProcessesRemain),
        ('FATAL:  could not open file "global/pg_control": Permission denied', errors.PermissionRefused),
        ("FATAL:  something else", errors.StartFailed),
    ],
)
def test_the_words_of_postgres_become_an_error_with_a_name(output: str, kind: type[Exception]) -> None:
    assert type(errors.failure_in(output, data_dir=Path("/x"), port=1)) is kind


def test_a_full_disk_met_by_our_own_writing_is_named() -> None:
    with pytest.raises(errors.DiskFull), errors.os_errors_named(Path("/x")):
        Path("/dev/full").write_text("x")
