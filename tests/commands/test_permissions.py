"""Every cell of the table of permissions, for commands: who lacks the permission is refused, who has it is not."""

import importlib
import inspect
import pkgutil

import pytest
import sqlalchemy as sa

from sync_core import commands as package
from sync_core.audit.checkpoint import Signer
from sync_core.authority import PERMISSIONS, Forbidden, Role, person, program
from sync_core.commands.commands import Commands
from sync_core.commands.desk import Desk
from sync_core.commands.evidence import EvidenceExport
from sync_core.commands.ocds_import import OcdsImport
from sync_core.commands.registry import Command, Undeclared, collect, declared, families
from sync_core.errors import TielineError
from tests.commands.minimal import arguments
from tests.commands.people import audited, commands

SIGNER = Signer.parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
FACADE = commands(sa.create_engine("postgresql+psycopg://"))  # never connects
# Imports are asyncio, as intake is; tests/commands/test_ocds_import.py tries every role.
ALL = [command for command in collect(FACADE) if command.family != "ocds"]


def refusal(facade: Commands, command: Command, actor_grants: list[str]) -> Forbidden | None:
    beside = {"evidence": EvidenceExport(facade.desk, SIGNER)}
    served = beside.get(command.family) or getattr(facade, command.family)
    call = getattr(served, command.name)
    try:
        call(person("someone@example.com", actor_grants), **arguments(call))
    except Forbidden as refused:
        return refused
    except TielineError:
        return None  # there is nothing to do it to, but the actor was let in
    return None


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_refuses_exactly_the_roles_that_the_table_leaves_out(database: sa.Engine, command: Command) -> None:
    facade = commands(database)
    for role in Role:
        before = len(audited(database))
        refused = refusal(facade, command, [role])
        if command.needs in PERMISSIONS[role]:
            assert refused is None, (role, refused)
        else:
            assert refused is not None, role
            assert refused.permission == command.needs
            assert len(audited(database)) == before


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_refuses_whoever_has_no_role(database: sa.Engine, command: Command) -> None:
    refused = refusal(commands(database), command, [])
    assert refused is not None
    assert refused.permission == command.needs
    assert not audited(database)


def test_every_class_that_works_at_a_desk_is_in_the_table() -> None:
    working = set()
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for _, of in inspect.getmembers(module, inspect.isclass):
            first = list(inspect.signature(of.__init__).parameters.values())[1:2]
            if of.__module__ == module.__name__ and first and first[0].annotation in (Desk, "Desk"):
                working.add(of)
    assert working == set(families(FACADE).values()) - {OcdsImport}


def test_a_method_without_a_permission_is_noticed() -> None:
    class Family:
        def undeclared(self) -> None: ...

    with pytest.raises(Undeclared, match="undeclared"):
        declared("family", Family)


def test_a_program_is_let_in_by_its_scopes_alone(database: sa.Engine) -> None:
    facade = commands(database)
    command = next(one for one in ALL if str(one) == "exports.contracts")
    call = facade.exports.contracts
    assert call(program("p", [command.needs]), **arguments(call)).rows == 0
    with pytest.raises(Forbidden):
        call(program("p", ["exceptions:read"]), **arguments(call))
