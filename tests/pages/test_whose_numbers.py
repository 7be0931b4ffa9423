"""A page says whose numbers it shows."""

import sqlalchemy as sa

from sync_core.authority import person
from tests.pages.stage import play, texts
from tests.reads.conftest import reads_over


def test_the_overview_names_the_legal_entities_within_reach(seeded: sa.Engine) -> None:
    reads = reads_over(seeded)
    limited = person("cfo-uk@example.com", ["executive@GB01"])
    assert "Legal entities GB01, money in USD" in texts(play("overview", reads, actor=limited))
    assert "All entities, money in USD" in texts(play("overview", reads))
