"""What can be done with an exception as it stands, and by whom: commands, the reads' offer and pages ask one function.

A function's exceptions are its own to work on, and so are those that are assigned to nobody (triage) and those that are
assigned to oneself: nobody takes away what is assigned to somebody of another function. Correcting is for the function
that has it alone; closing by decision too, and only of a cause that is that function's own: handing a cause of others
to oneself gives no say in it. An approval asks for its permission alone. Everybody who may write may comment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sync_core.authority import Actor, Permission
from sync_core.cases.approvals import NEEDED, REFUSED
from sync_core.cases.ownership import CAUSES
from sync_core.domains.conflicts import CAUSE as CONFLICT
from sync_core.master.match import NEAR


class Deed(StrEnum):
    """The value is the command's name, but for the two sides of an approval."""

    ASSIGN = "cases.assign"
    ACKNOWLEDGE = "cases.acknowledge"
    HAND_OVER = "cases.hand_over"
    COMMENT = "cases.comment"
    DECIDE = "cases.decide"
    CORRECT = "corrections.submit"
    ACCEPT = "amendments.accept"
    RESOLVE = "conflicts.resolve"
    IDENTIFY = "customers.identify"
    TAKE_BACK = "customers.take_back"
    APPROVE = "approvals.decide"
    REFUSE = "approvals.decide, refuse"


class Whose(StrEnum):
    """How much the function counts that has the exception."""

    ANY = "any"
    OWN = "own"
    OWN_OR_UNTAKEN = "own or untaken"


class Kind(StrEnum):
    """What a refusal is made of."""

    OUT_OF_REACH = "out of reach"
    LACKING = "lacking"  # the role, or the function
    TAKEN = "taken"  # somebody of another function has it
    FOREIGN = "foreign"  # its cause is another function's
    STANDING = "standing"  # nobody can, as it stands


@dataclass(frozen=True, slots=True)
class Rule:
    permission: Permission
    whose: Whose = Whose.ANY
    open_only: bool = True
    owns_cause: bool = False  # the function that owns the cause counts besides the one that has the exception


_WRITE: Final = Permission.EXCEPTIONS_WRITE
SILENT: Final = "silent_change"  # terms that were published otherwise although no amendment says so
RULES: Final[Mapping[Deed, Rule]] = {
    Deed.ASSIGN: Rule(_WRITE, Whose.OWN_OR_UNTAKEN),
    Deed.ACKNOWLEDGE: Rule(_WRITE, Whose.OWN_OR_UNTAKEN),
    Deed.HAND_OVER: Rule(_WRITE, Whose.OWN_OR_UNTAKEN),
    Deed.COMMENT: Rule(_WRITE, open_only=False),
    Deed.DECIDE: Rule(Permission.EXCEPTIONS_DECIDE, Whose.OWN, owns_cause=True),
    Deed.CORRECT: Rule(Permission.CORRECTIONS_WRITE, Whose.OWN),
    Deed.ACCEPT: Rule(Permission.CORRECTIONS_WRITE, Whose.OWN, owns_cause=True),
    Deed.RESOLVE: Rule(Permission.CORRECTIONS_WRITE, Whose.OWN),
    Deed.IDENTIFY: Rule(Permission.CORRECTIONS_WRITE, Whose.OWN),
    Deed.TAKE_BACK: Rule(Permission.CORRECTIONS_WRITE, Whose.OWN, open_only=False),
    Deed.APPROVE: Rule(Permission.APPROVALS_DECIDE),
    Deed.REFUSE: Rule(Permission.APPROVALS_DECIDE),
}


class Standing(Protocol):
    """An exception as a list or a command has it."""

    @property
    def case_id(self) -> int: ...
    @property
    def legal_entity(self) -> str: ...
    @property
    def function(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def assignee(self) -> str | None: ...
    @property
    def acknowledged_by(self) -> str | None: ...
    @property
    def decided_by(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    kind: Kind
    words: str


def refusal(actor: Actor, deed: Deed, case: Standing) -> Refusal | None:
    """Why this actor cannot do this with it; None: a command would. What it says of values is asked there."""
    rule, entity = RULES[deed], case.legal_entity
    if not actor.may(rule.permission, entity=entity):
        return Refusal(Kind.OUT_OF_REACH, f"there is no exception {case.case_id} within your reach")
    if rule.whose is not Whose.ANY and not actor.may(rule.permission, entity=entity, function=case.function):
        if rule.whose is Whose.OWN:
            return Refusal(Kind.LACKING, f"{rule.permission} for {entity} for {case.function} is not yours")
        if case.assignee not in (None, actor.name):
            owner = case.function.replace("_", " ")
            words = f"exception {case.case_id} is with {owner}, and {case.assignee} has it; ask them to hand it over"
            return Refusal(Kind.TAKEN, words)
    known = CAUSES.get(case.cause)
    if rule.owns_cause and known and not actor.may(rule.permission, entity=entity, function=known.owner):
        words = f"the cause of exception {case.case_id} is {known.owner.replace('_', ' ')}'s: hand it over to them"
        return Refusal(Kind.FOREIGN, words)
    words = _standing(deed, case) if case.state == "open" or not rule.open_only else f"is {case.state} already"
    return Refusal(Kind.STANDING, f"exception {case.case_id} {words}") if words else None


_ONLY: Final[Mapping[Deed, tuple[str, str]]] = {
    Deed.ACCEPT: (SILENT, "is of no silent change, so there is nothing to accept"),
    Deed.RESOLVE: (CONFLICT, "is of no field of which two systems say something else"),
    Deed.IDENTIFY: (NEAR, "asks for no customer of master data"),
    Deed.TAKE_BACK: (NEAR, "asks for no customer of master data"),
}


def _standing(deed: Deed, case: Standing) -> str:
    asks = case.cause in (NEEDED, REFUSED)
    match deed:
        case Deed.ACKNOWLEDGE if case.acknowledged_by:
            return f"was acknowledged by {case.acknowledged_by} before"
        case Deed.DECIDE if asks:
            return "asks for an approval: approve or refuse it"
        case Deed.ACCEPT | Deed.RESOLVE | Deed.IDENTIFY | Deed.TAKE_BACK if case.cause != _ONLY[deed][0]:
            return _ONLY[deed][1]
        case Deed.APPROVE | Deed.REFUSE if not asks:
            return "asks for no approval"
        case Deed.APPROVE | Deed.REFUSE if case.decided_by:
            return f"is decided: {case.decided_by} approved it"
        case Deed.REFUSE if case.cause == REFUSED:
            return "was refused already; approve it after all, or leave it to legal"
    return ""
