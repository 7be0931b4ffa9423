"""axe-core, the accessibility rules that the European and American laws are tested by, run inside a page.

The script comes with the package axe-playwright-python; it is put in by the browser's own protocol, so that the page's
content security policy stays as it is for users.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Final

from playwright.sync_api import Page

_SCRIPT: Final = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
_RUN: Final = "rules => axe.run(document, {resultTypes: ['violations'], ...rules}).then(found => found.violations)"
_OF_COLOURS: Final = ("color-contrast", "link-in-text-block")
_SHOWN: Final = 160  # characters of the element
_BAD: Final = ("serious", "critical")
# What Streamlit draws and no page can change, by rule, with the place where it is excused. The sparkline of a number is
# an SVG without a name; the number itself stands beside it. In the open menu of a phone the section "More" is a list
# within a list without an element of its own; its links are reached and named all the same.
_STREAMLITS_OWN: Final = {"svg-img-alt": "stMetric", "list": "stSidebarNav", "listitem": "stSidebarNav"}
_IS_INSIDE: Final = """([selector, place]) =>
    Boolean(document.querySelector(selector)?.closest(`[data-testid=${place}]`))"""


class Rules(StrEnum):
    """Which are asked. Another theme changes nothing but what COLOURS sees, another width nothing of that."""

    ALL = "all"
    COLOURS = "colours"
    OTHERS = "others"


_ASKED: Final[Mapping[Rules, Mapping[str, object]]] = {
    Rules.ALL: {},
    Rules.COLOURS: {"runOnly": _OF_COLOURS},
    Rules.OTHERS: {"rules": {rule: {"enabled": False} for rule in _OF_COLOURS}},
}


def violations(page: Page, rules: Rules = Rules.ALL) -> list[str]:
    """Serious and critical ones of what is on the screen now, each as "rule: selector: what is wrong"."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_SCRIPT)
    found: Sequence[Mapping[str, object]] = page.evaluate(_RUN, _ASKED[rules])
    return [
        f"{rule['id']}: {selector}: {str(node['html'])[:_SHOWN]}: {_inline(node['failureSummary'])}"
        for rule in found
        if rule["impact"] in _BAD
        for node in _nodes(rule)
        for selector in [str(_list(node["target"])[-1])]
        if not _is_streamlits_own(page, str(rule["id"]), selector)
    ]


def _is_streamlits_own(page: Page, rule: str, selector: str) -> bool:
    place = _STREAMLITS_OWN.get(rule)
    return place is not None and bool(page.evaluate(_IS_INSIDE, [selector, place]))


def _nodes(rule: Mapping[str, object]) -> list[dict[str, object]]:
    return [node for node in _list(rule["nodes"]) if isinstance(node, dict)]


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _inline(summary: object) -> str:
    return " ".join(str(summary).split())
