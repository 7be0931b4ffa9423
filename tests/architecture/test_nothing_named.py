"""No legal entity, country or ERP is named in the core: all of them are in the estate file."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from babel import Locale

import app

ROOT = Path(app.__file__).parent.parent
ESTATES = sorted((ROOT / "app" / "sandbox").glob("estate_*.toml"))
_VENDORS = ROOT / "sync_core" / "connectors"


def named_places() -> set[str]:
    """Countries by ISO 3166 code and by name."""
    territories = {code: name for code, name in Locale("en").territories.items() if len(code) == 2 and code.isalpha()}
    return {*territories, *territories.values()}


def named_firms() -> set[str]:
    """Legal entities and ERPs of the estates that Tieline brings along."""
    found: set[str] = set()
    for path in ESTATES:
        estate = tomllib.loads(path.read_text(encoding="utf-8"))
        found |= {entity[name] for entity in estate.get("entity", ()) for name in ("code", "name")}
        found |= {entity["name"] for entity in estate.get("clm", ()) if "-" in entity["name"]}
        found |= {rule["service_line"] for rule in estate.get("revenue", ()) if rule.get("service_line", "*") != "*"}
    return found


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text that the program works with; docstrings and comments may name examples."""
    docs = {id(node.body[0].value) for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body
            and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def test_the_core_names_no_country_no_legal_entity_and_no_service_line() -> None:
    names = named_places() | named_firms()
    assert {"GB", "Germany"} < names
    assert len(named_firms()) > 10
    core = set((ROOT / "sync_core").rglob("*.py"))
    files = [path for path in core if not path.is_relative_to(_VENDORS)]
    assert len(files) > 100
    found = {
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in files
        for line, text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if text in names
    }
    assert found == set()


def test_connectors_name_only_what_their_vendor_fixes() -> None:
    """A vendor's field may be called as it likes; a legal entity of ours is in no connector."""
    firms = named_firms()
    found = {
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in _VENDORS.rglob("*.py")
        for line, text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if text in firms
    }
    assert found == set()
