"""The import rules of pyproject.toml find what they forbid: a rule that nothing can break proves nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import app

ROOT = Path(app.__file__).parent.parent
FOLDERS = ("app", "collectors", "metrics", "pages", "sync_core")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=lambda place, names: [
            name for name in names if not name.endswith(".py") and not (Path(place) / name).is_dir()])  # fmt: skip
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def test_only_the_application_may_load_the_sdk_of_opentelemetry_and_its_exporters(copied: Path) -> None:
    (copied / "app" / "told.py").write_text("import opentelemetry.sdk.trace\n")
    kept = lint(copied)
    assert (kept.returncode, "OpenTelemetry's SDK is the application's alone KEPT" in kept.stdout) == (0, True)
    (copied / "sync_core" / "told.py").write_text("from opentelemetry.sdk import metrics\n")
    (copied / "metrics" / "told.py").write_text("def late():\n    import opentelemetry.sdk.trace.export\n")
    (copied / "collectors" / "told.py").write_text("import opentelemetry.sdk\n")
    (copied / "pages" / "told.py").write_text("from opentelemetry.exporter.otlp.proto.http import trace_exporter\n")
    broken = lint(copied)
    told = " ".join(broken.stdout.split())
    assert broken.returncode == 1
    assert "kept, 1 broken." in told
    for folder, module in (("sync_core", "sdk"), ("metrics", "sdk"), ("collectors", "sdk"), ("pages", "exporter")):
        assert f"{folder} is not allowed to import opentelemetry.{module}: - {folder}.told ->" in told, told
