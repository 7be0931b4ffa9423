"""docs/lineage.md: each field of a contract from its events to the ERPs' fields; `make docs` writes it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sync_core.connectors.field_maps import erp_fields
from sync_core.domains.lineage import Lineage, lineage
from sync_core.events import PREFIX

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "lineage.md"

_HEAD: Final = """\
# From the CLM's field to the ERP's

Made from the code by `make docs`; do not edit it. Each row is a field of the contract's terms. How it is made: a
contract is derived twice, with that field alone changed, and what differs in the ERP objects is where it goes.
**Owner** is the system whose word counts, where the estate's `[ownership]` says nothing else ([domains](domains.md)),
and of what is in none of its domains the CLM; **corrected by** the business function that may set it in Tieline
until the CLM publishes it right. A field that goes nowhere is kept, shown, and used by policy, checks and alerts. `key`
is the business key by which an object is found again. In `signed.v2` an amount stands one step deeper, in `amount`,
with its currency beside it.

"""
_WORDS: Final = {"sandbox_cloud": "sandbox-cloud", "sandbox_legacy": "sandbox-legacy", "tryton": "Tryton"}


def document() -> str:
    erps = erp_fields()
    names = [_WORDS.get(name, name) for name in erps]
    head = ["field of the terms", "said by", "owner", "corrected by", "ERP object and field", *names]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in lineage(erps):
        lines += _rows(one, list(erps))
    return _HEAD + "\n".join(lines) + "\n"


def _rows(one: Lineage, erps: list[str]) -> list[str]:
    said = ", ".join(name.removeprefix(PREFIX) for name in one.events)
    first = [f"`{one.path}`", said, one.owner.value, (one.setter or "").replace("_", " ")]
    rows = [[*first, "none", *["" for _ in erps]]] if not one.goes else []
    for at, goes in enumerate(one.goes):
        about = first if at == 0 else ["", "", "", ""]
        rows.append(
            [*about, f"{goes.kind.replace('_', ' ')}: `{goes.field}`", *(_field(goes.erp, erp) for erp in erps)]
        )
    return [f"| {' | '.join(row)} |" for row in rows]


def _field(known: Mapping[str, str], erp: str) -> str:
    found = known.get(erp)
    return f"`{found}`" if found else ""


def main(out: Path = DOCUMENT) -> None:
    """Write the document."""
    out.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
