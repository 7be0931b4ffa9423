"""`tieline schedules` where no worker has run yet."""

from pathlib import Path

from tests.app.forked import tieline
from tests.databases import DatabaseUrls


def test_without_a_worker_the_list_says_so(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    shown = tieline(tmp_path / "home", "schedules", "list", DATABASE_URL=database_urls.app_libpq)
    assert shown.returncode == 0, shown.stderr
    assert "no worker has reported a job yet" in shown.stdout
    assert "next run" not in shown.stdout
