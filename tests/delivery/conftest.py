"""Apprise imports a module of Python's that is deprecated; here, where warnings are errors, it is loaded beforehand."""

import warnings

import pytest


@pytest.fixture(scope="session", autouse=True)
def apprise_loaded() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        assert apprise.Apprise.instantiate("json://localhost") is not None
