"""What the column that 0007 adds says of the rows there are. Apart, since the lock of adding it lasts to its end."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise RuntimeError("the release before would walk past ended contracts again; restore a backup instead")
