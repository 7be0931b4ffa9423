"""What must be true of Tieline's tables when nothing runs any more, whatever happened before."""

from tests.acceptance.processes import House

_CROSSWALK = "SELECT kind, business_key, ref FROM core.crosswalk WHERE state = 'confirmed'"
_UNPROVEN = """
    SELECT x.kind, x.business_key FROM core.crosswalk AS x WHERE NOT EXISTS (
        SELECT FROM core.operation AS o WHERE o.kind = x.kind AND o.business_key = x.business_key AND o.ref = x.ref
          AND (o.status IN ('done', 'adopted') OR x.contract_id IS NULL AND o.status = 'no_op'))
"""
_LAST_RUNS = """
    SELECT DISTINCT ON (contract_id) outcome, state FROM core.run WHERE outcome <> 'lost'
    ORDER BY contract_id, recorded_at DESC, started_at DESC
"""
_MILESTONES = """
    SELECT contract_id, step, count(*) FROM core.progress
    WHERE step IN ('signed', 'captured', 'validated', 'project_created', 'billing_set_up')
    GROUP BY 1, 2 HAVING count(*) > 1
"""


def journal_agrees_with(house: House, held: dict[tuple[str, str], list[str]]) -> None:
    """`held`: what the ERP holds. Every object of it is known by its reference."""
    crosswalk = {(str(kind), str(key)): [str(ref)] for kind, key, ref in house.rows(_CROSSWALK)}
    assert crosswalk == held
    journal_is_sound(house)


def journal_is_sound(house: House) -> None:
    """The journal says how every object came to be known, each contract's way ends well, and no fault was ours."""
    assert house.rows("SELECT * FROM core.crosswalk WHERE state <> 'confirmed'") == []
    assert house.rows(_UNPROVEN) == []
    assert set(house.rows(_LAST_RUNS)) == {("converged", "active")}
    assert house.rows(_MILESTONES) == []
    assert house.rows("SELECT source, id FROM core.event GROUP BY 1, 2 HAVING count(*) > 1") == []
    assert house.rows("SELECT error FROM core.run WHERE error_class = 'internal'") == []
    assert house.rows("SELECT cause, message FROM core.case WHERE state = 'open'") == []
    assert house.number("SELECT count(*) FROM core.progress WHERE step = 'active'") >= len(house.states())
