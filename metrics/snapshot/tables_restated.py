"""What came to be known late, as tables: restated measures, contracts that moved them, stated numbers that did."""

from metrics.snapshot import wording
from metrics.snapshot.content import Content
from metrics.snapshot.pdf_restated import because, told_of, version_of, why
from metrics.snapshot.table import Field, Kind, Table


def restated(content: Content) -> Table:
    units = {one.definition.slug: one.definition.unit for one in content.kpis}
    fields = (
        Field("kpi", "KPI", Kind.TEXT), Field("before", "As first made", Kind.NUMBER, by_row=True),
        Field("after", "As known now", Kind.NUMBER, by_row=True),
        Field("n_before", "Cases then", Kind.INTEGER), Field("n_after", "Cases now", Kind.INTEGER),
        Field("moved_by", "Moved by", Kind.TEXT), Field("of", "Value is of", Kind.TEXT),
        Field("definition", "Definition", Kind.TEXT),
    )  # fmt: skip
    rows = tuple(
        (one.slug, *(wording.exact(value, units[one.slug], content.reporting) for value in (one.before, one.after)),
         one.n_before, one.n_after, why(one), told_of(one), version_of(content, one.slug))
        for one in content.restatement.kpis
    )  # fmt: skip
    of_rows = tuple((units[one.slug], content.reporting) for one in content.restatement.kpis)
    return Table("restated", "Restated measures", fields, rows, len(rows), of_rows)


def moved(content: Content) -> Table:
    fields = (
        Field("contract", "Contract", Kind.TEXT), Field("contract_id", "Number", Kind.INTEGER),
        Field("legal_entity", "Legal entity", Kind.TEXT), Field("fact", "Fact", Kind.TEXT),
        Field("key", "Of", Kind.TEXT), Field("what", "Field", Kind.TEXT), Field("before", "Was", Kind.TEXT),
        Field("after", "Is", Kind.TEXT), Field("known_from", "Known since", Kind.MOMENT),
        Field("measures", "Moved", Kind.TEXT), Field("because", "Because", Kind.TEXT),
    )  # fmt: skip
    rows = tuple(
        (one.contract, one.contract_id, one.legal_entity, one.fact, one.key, one.what, one.before, one.after,
         one.known_from, ", ".join(one.measures), because(content, one))
        for one in content.restatement.moved
    )  # fmt: skip
    return Table("moved", "What moved them", fields, rows, len(rows))


def stated(content: Content) -> Table:
    fields = (
        Field("kind", "Kind", Kind.TEXT), Field("name", "Name", Kind.TEXT), Field("before", "Was", Kind.NUMBER),
        Field("after", "Is", Kind.NUMBER), Field("stated_by", "Stated by", Kind.TEXT),
        Field("known_from", "Known since", Kind.MOMENT), Field("reason", "Why", Kind.TEXT),
    )  # fmt: skip
    rows = tuple(
        (one.kind, one.name, *(None if value is None else wording.finest(value) for value in (one.before, one.after)),
         one.by, one.known_from, one.reason)
        for one in content.restatement.stated
    )  # fmt: skip
    return Table("stated", "Numbers that changed", fields, rows, len(rows))
