"""The tree of errors is complete: each survives pickling, and codes are unique and stable in form."""

import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Callable, Iterator

import pytest

import sync_core
from sync_core.errors import TielineError

# What an error of ours is built from, by the name of the parameter.
ARGUMENTS: dict[str, object] = {"retry_after_s": 2.5}


def subclasses(root: type[TielineError]) -> Iterator[type[TielineError]]:
    yield root
    for child in root.__subclasses__():
        yield from subclasses(child)


def every_error() -> list[type[TielineError]]:
    for module in pkgutil.walk_packages(sync_core.__path__, "sync_core."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
    found = {error for error in subclasses(TielineError) if error.__module__.startswith("sync_core.")}
    return sorted(found, key=lambda error: (error.__module__, error.__name__))


ERRORS = every_error()


def build(error: type[TielineError]) -> TielineError:
    given = {name: ARGUMENTS.get(name, f"the {name}") for name in inspect.signature(error).parameters}
    make: Callable[..., TielineError] = error
    return make(**given)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_it_survives_pickling(error: type[TielineError]) -> None:
    before = build(error)
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is error
    assert str(after) == str(before)
    assert vars(after) == vars(before)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_it_says_what_it_is_and_has_a_code_of_stable_form(error: type[TielineError]) -> None:
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", error.code)
    assert error.__doc__


def test_no_two_errors_declare_the_same_code() -> None:
    declared = [error.code for error in ERRORS if "code" in vars(error)]
    assert sorted(declared) == sorted(set(declared))


def test_who_inherits_a_code_is_the_same_error_to_everyone_outside() -> None:
    for error in (error for error in ERRORS if "code" not in vars(error)):
        assert error.code != TielineError.code, f"{error.__name__} has no code of its own and no parent's to share"
        assert "error_class" not in vars(error), f"{error.__name__} is of another class than its code says"
