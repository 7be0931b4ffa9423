"""The tree of errors is complete: each survives pickling, and codes are unique and stable in form."""

import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator

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
    names = [name for name in inspect.signature(error.__init__).parameters if name != "self"]
    return error(*(ARGUMENTS.get(name, f"the {name}") for name in names))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_it_survives_pickling(error: type[TielineError]) -> None:
    before = build(error)
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is error
    assert str(after) == str(before)
    assert vars(after) == vars(before)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_it_says_what_it_is_and_has_a_code_of_its_own(error: type[TielineError]) -> None:
    assert "code" in vars(error), "a code that is inherited cannot be told from its parent's"
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", error.code)
    assert error.__doc__


def test_codes_are_unique() -> None:
    codes = [error.code for error in ERRORS]
    assert sorted(codes) == sorted(set(codes))
