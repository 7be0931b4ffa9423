"""How the event loop waits: Python 3.11's `wait_for` can lose a cancellation, and a worker would then never stop."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import app

ROOT = Path(app.__file__).parent.parent
FOLDERS = ("app", "collectors", "metrics", "pages", "sync_core")


def waits_for_an_event(tree: ast.AST) -> Iterator[int]:
    """Lines with `asyncio.wait_for(<something>.wait(), …)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wait_for"):
            continue
        waited = node.args[0] if node.args else None
        if isinstance(waited, ast.Call) and ast.unparse(waited.func).endswith(".wait"):
            yield node.lineno


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_waits_for_an_event_in_a_way_that_loses_a_cancellation(folder: str) -> None:
    # process.wait() in app/processes.py ends with its process, which is killed after the wait; it is no loop.
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / folder).rglob("*.py")
        for line in waits_for_an_event(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {place for place in found if not place.startswith("app/processes.py")} == set()
