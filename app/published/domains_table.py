"""The matrix of docs/domains.md, made from sync_core/domains/domains.py; `make docs` writes it, a test compares it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sync_core.domains.domains import DOMAINS, Domain, Owner, Way

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "domains.md"
BEGIN, END = "<!-- matrix: made by `make docs` -->", "<!-- end of matrix -->"


def matrix() -> str:
    """In Markdown: a row for each direction of each domain, and a table of the fields."""
    lines = ["| Domain | Owner | Direction | What travels | Carried by | Enforced in |", "| --- " * 6 + "|"]
    lines += [row for domain in DOMAINS.values() for row in _rows(domain)]
    fields = ["| In `[ownership]` | Owner | May be | A change by another | Fields |", "| --- " * 5 + "|"]
    fields += [_fields(domain) for domain in DOMAINS.values() if domain.fields]
    return "\n".join([*lines, "", *fields])


def _rows(domain: Domain) -> Iterator[str]:
    up = "master data, ERP → Tieline → CLM" if domain.owner is Owner.MDM else "ERP → Tieline → CLM"
    up = "Tieline → CLM" if domain.owner is Owner.TIELINE else up
    for direction, way, title in (("CLM → Tieline → ERP", domain.down, domain.title), (up, domain.up, "")):
        yield _row(title, domain.owner if title else "", direction, way)


def _row(title: str, owner: str, direction: str, way: Way) -> str:
    what = f"{way.what[0].upper()}{way.what[1:]}"
    return f"| {title} | {owner} | {direction} | {what} | {way.carried_by} | `{way.enforced_in}` |"


def _fields(domain: Domain) -> str:
    owners = ", ".join(sorted(domain.owners, key=lambda owner: (owner is not domain.owner, owner)))
    named = ", ".join(f"`{field}`" for field in domain.fields if not field.endswith(".project"))
    return f"| `{domain.name}` | {domain.owner} | {owners} | {domain.conflict} | {named} |"


def written(text: str) -> str:
    """The document with the matrix as the code has it."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{matrix()}\n\n{END}{rest.partition(END)[2]}"


def main(out: Path = DOCUMENT) -> None:
    """Write the matrix."""
    out.write_text(written(out.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
