"""The widgets of a correction's form, made of its JSON Schema: what is text there is text here, digit by digit."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit.words import words
from sync_core.cases.corrections import CorrectionForm

Schema = Mapping[str, Any]
_MOST: Final = 200  # characters of a text
_FIRST, _LAST = date(1990, 1, 1), date(2099, 12, 31)


def ask(made: CorrectionForm, key: str) -> dict[str, Any]:
    """The values as they stand in the widgets, in the shape of the form's own."""
    schema: Schema = made.schema
    return {
        name: _one(name, spec, made.values.get(name), made, f"{key}_{name}")
        for name, spec in schema["properties"].items()
    }


def flat(values: Mapping[str, Any], name: str = "") -> dict[str, object]:
    """Single values by their path, parts by their key: "tax.tax_code", "milestones M1.amount"."""
    found: dict[str, object] = {}
    for key, value in values.items():
        path = f"{name}.{key}" if name else str(key)
        if isinstance(value, Mapping):
            found |= flat(value, path)
        elif isinstance(value, list):
            for at, part in enumerate(value, 1):
                named = next((str(part[k]) for k in ("key", "category") if k in part), str(at))
                found |= flat(part, f"{path} {named}")
        else:
            found[path] = value
    return found


def _one(name: str, spec: Schema, value: Any, made: CorrectionForm, key: str) -> Any:
    spec, nullable = _resolved(spec, made.schema)
    title = str(spec.get("title") or words(name))
    if spec.get("type") == "object":
        held = value if isinstance(value, Mapping) else {}
        return {inner: _one(inner, part, held.get(inner), made, f"{key}_{inner}")
                for inner, part in spec["properties"].items()}  # fmt: skip
    if spec.get("type") == "array":
        return _rows(name, spec, value or [], made, key)
    return _scalar(title, spec, value, nullable=nullable, key=key)


def _scalar(title: str, spec: Schema, value: Any, *, nullable: bool, key: str) -> Any:
    if choices := _choices(spec):
        index = choices.index(value) if value in choices else None
        chosen = st.selectbox(title, choices, index=index, key=key, placeholder="Choose")
        return value if chosen is None else chosen
    if known := [str(one) for one in spec.get("examples", ())]:
        return _open_choice(title, known, value, nullable=nullable, key=key)
    if spec.get("type") == "boolean":
        return st.checkbox(title, value=bool(value), key=key)
    if spec.get("format") == "date":
        held = date.fromisoformat(value) if value else None
        day = st.date_input(title, value=held, key=key, format="YYYY-MM-DD", min_value=_FIRST, max_value=_LAST)
        return day.isoformat() if isinstance(day, date) else None
    text = st.text_input(title, value="" if value is None else str(value), key=key, max_chars=_MOST).strip()
    return text or (None if nullable else "")


def _open_choice(title: str, known: list[str], value: Any, *, nullable: bool, key: str) -> Any:
    """What the ERP held before is offered; anything else can be typed."""
    offered = known if value in (None, "", *known) else [*known, str(value)]
    chosen = st.selectbox(
        title, offered, index=offered.index(value) if value in offered else None, key=key, accept_new_options=True,
        placeholder="Choose, or type another one",
        help="Offered are those that this ERP held for the legal entity before; another one may be right too.",
    )  # fmt: skip
    text = "" if chosen is None else str(chosen).strip()[:_MOST]
    return text or (None if nullable else "")


def _rows(name: str, spec: Schema, value: Sequence[Mapping[str, Any]], made: CorrectionForm, key: str) -> Any:
    """A table to edit. A list that is corrected as a whole takes and loses rows; of another one only some columns."""
    item, _ = _resolved(spec["items"], made.schema)
    columns: Schema = item["properties"]
    whole = any(field.path == name for field in made.fields)
    free = set(columns) if whole else {field.path.partition(".")[2] for field in made.fields if name in field.path}
    st.markdown(f"**{spec.get('title') or words(name)}**")
    table = pd.DataFrame([{column: _cell(part.get(column), columns[column], made) for column in columns}
                          for part in value], columns=list(columns), dtype=object)  # fmt: skip
    edited = st.data_editor(
        table, key=key, hide_index=True, num_rows="dynamic" if whole else "fixed", placeholder="",
        disabled=[column for column in columns if column not in free],
        column_config={column: _column(column, part, made) for column, part in columns.items()},
        alt=str(spec.get("title") or words(name)),
    )  # fmt: skip
    required = set(item.get("required", ()))
    return [_part(row, columns, required, made) for row in edited.to_dict("records")]


def _part(row: Mapping[Any, Any], columns: Schema, required: set[str], made: CorrectionForm) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, spec in columns.items():
        value, (_, nullable) = row.get(column), _resolved(spec, made.schema)
        if value is None or value is pd.NaT or value != value or value == "":
            if nullable or column in required:
                found[column] = None if nullable else ""
            continue
        found[column] = value.isoformat()[:10] if hasattr(value, "isoformat") else str(value).strip()
    return found


def _cell(value: Any, spec: Schema, made: CorrectionForm) -> Any:
    inner, _ = _resolved(spec, made.schema)
    return date.fromisoformat(value) if value and inner.get("format") == "date" else value


def _column(name: str, spec: Schema, made: CorrectionForm) -> ColumnConfig:
    inner, nullable = _resolved(spec, made.schema)
    title = words(name)
    if choices := _choices(inner):
        return st.column_config.SelectboxColumn(title, options=choices, required=not nullable)
    if inner.get("format") == "date":
        return st.column_config.DateColumn(title, format="YYYY-MM-DD", min_value=_FIRST, max_value=_LAST)
    return st.column_config.TextColumn(title, max_chars=_MOST)


def _choices(spec: Schema) -> list[str]:
    return [*spec.get("enum", ()), *([spec["const"]] if "const" in spec else ())]


def _resolved(spec: Schema, schema: Schema) -> tuple[Schema, bool]:
    """Without references; and whether null will do."""
    outer, nullable = spec, False
    if "anyOf" in spec:
        nullable = any(one.get("type") == "null" for one in spec["anyOf"])
        spec = next(one for one in spec["anyOf"] if one.get("type") != "null")
    if "$ref" in spec:
        spec = schema["$defs"][spec["$ref"].rpartition("/")[2]]
    return {**spec, **{name: outer[name] for name in ("title", "examples") if name in outer}}, nullable
