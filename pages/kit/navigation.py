"""Which pages stand in the bar and which under "More": a person finds first what their role is for.

A page needs no entry here to be found: what no role asks for fills the bar by `Page.order` while there is room, unless
it says itself that it belongs under "More".
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final

from pages.kit.shell import Page
from sync_core.authority import Grant, Role

ROOM: Final = 5  # entries in the bar beside "More"
_HOME: Final = ""  # the default page, whichever it is
_WIDE: Final = 3  # so many roles are no job of their own: a trial, or whoever stands in for everybody

# In the order of the bar. The first five that exist and may be seen stand there.
UP_FRONT: Final[Mapping[Role, Sequence[str]]] = {
    Role.EXECUTIVE: (_HOME, "executive", "flow", "exceptions", "platform", "snapshots", "contracts"),
    Role.OPERATOR: ("exceptions", "replay", _HOME, "flow", "platform", "executive", "contracts"),
    Role.APPROVER: ("approvals", "exceptions", "replay", _HOME, "flow", "executive", "contracts"),
    Role.ADMINISTRATOR: (_HOME, "platform", "exceptions", "replay", "flow", "executive", "contracts"),
    Role.AUDITOR: ("audit", "contracts", "governance", "snapshots", "exceptions", _HOME),
}
_EVERYTHING: Final = (_HOME, "flow", "exceptions", "replay", "approvals", "executive", "platform", "contracts")


def arrange(pages: Sequence[Page], grants: Sequence[Grant]) -> tuple[list[Page], list[Page]]:
    """Those in the bar, and those under "More", each in order. `pages`: what the person may see."""
    known = {path: page for page in pages for path in (page.path, *([_HOME] if page.default else []))}
    unnamed = sorted((page for page in pages if page.section is None), key=lambda page: page.order)
    wanted = chain((known[path] for path in _paths(grants) if path in known), unnamed)
    front = list({page.path: page for page in wanted}.values())[:ROOM]
    return front, sorted((page for page in pages if page not in front), key=lambda page: page.order)


def _paths(grants: Sequence[Grant]) -> Iterator[str]:
    """Of two roles, what each asks for first stands before what each asks for second."""
    roles = dict.fromkeys(grant.role for grant in grants)
    if len(roles) >= _WIDE:
        return iter(_EVERYTHING)
    turns = zip_longest(*(UP_FRONT[role] for role in roles))
    return (path for turn in turns for path in turn if path is not None)
