"""Contracts are named by their CLM's id or by Tieline's number; what fits several is refused."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from sync_core.authority import Permission, person
from sync_core.clock import VirtualClock
from sync_core.commands import named
from sync_core.commands.desk import Act, Desk, InvalidInput, NotFound
from sync_core.estate.estate import Estate
from tests.reads.handmade import add_contract
from tests.rows import NOW, SOURCE, estate

OTHER = "urn:other-clm"


@pytest.fixture
def two_clms() -> Estate:
    one = estate()
    return replace(one, clm=(*one.clm, replace(one.clm[0], name="other", source=OTHER)))


def test_a_contract_is_found_by_its_clms_id_by_its_number_and_by_both_with_their_owner(
    database: sa.Engine, two_clms: Estate
) -> None:
    mine = add_contract(database, external_id="C-2026-00012")
    desk = Desk(database, VirtualClock(NOW), two_clms)
    clm = two_clms.clms[SOURCE].name
    names = ["C-2026-00012", str(mine), f"{clm}/C-2026-00012", f"{SOURCE}/C-2026-00012", f"tieline/{mine}"]
    assert named.found(desk, names) == [mine] * 5


def test_an_id_that_several_have_is_refused_with_the_names_of_all_of_them(
    database: sa.Engine, two_clms: Estate
) -> None:
    mine = add_contract(database, external_id="C-1")
    theirs = add_contract(database, external_id="C-1", source=OTHER)
    alike = add_contract(database, external_id=str(mine))
    desk = Desk(database, VirtualClock(NOW), two_clms)
    clm = two_clms.clms[SOURCE].name
    with pytest.raises(InvalidInput, match=f"'C-1' is a contract of {clm} and of other; say whose, as in {clm}/C-1"):
        named.found(desk, ["C-1"])
    assert named.found(desk, [f"{clm}/C-1", "other/C-1"]) == [mine, theirs]
    with pytest.raises(InvalidInput, match=f"of {clm} and of tieline; say whose"):
        named.found(desk, [str(mine)])
    assert named.found(desk, [f"tieline/{mine}", f"{clm}/{mine}"]) == [mine, alike]


@pytest.mark.parametrize("name", ["C-9", "9" * 30, "", "other/", "'; DROP TABLE core.contract", "C\0-9", "tieline/x"])
def test_what_nobody_has_is_not_found(database: sa.Engine, two_clms: Estate, name: str) -> None:
    with pytest.raises(NotFound):
        named.found(Desk(database, VirtualClock(NOW), two_clms), [name])


def test_a_contract_out_of_reach_is_not_found_by_its_name_either(database: sa.Engine) -> None:
    american = add_contract(database, external_id="C-US", legal_entity="US01")
    british = person("uk@example.com", ["operator@GB01"])
    with database.connect() as conn:
        act = Act(conn, british, NOW, estate())
        for name in ("C-US", str(american)):
            with pytest.raises(NotFound):
                named.contract_ids(act, [name], Permission.REPLAY_PREVIEW)
        everyone = Act(conn, person("ada@example.com", ["operator"]), NOW, estate())
        assert named.contract_ids(everyone, [7, "C-US"], Permission.REPLAY_PREVIEW) == [7, american]
