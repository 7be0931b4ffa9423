"""The fold, and what is made of it, by days in UTC: for tests in which the legal entity's own day is no matter."""

from functools import partial

from sync_core import fold as _fold
from sync_core.life import amendments as _amendments
from sync_core.life.agreements import day_in_utc
from sync_core.reads import timeline as _timeline

fold = partial(_fold.fold, day_at=day_in_utc)
fold_steps = partial(_fold.fold_steps, day_at=day_in_utc)
amendments = partial(_amendments.amendments, day_at=day_in_utc)
history = partial(_timeline.history, day_at=day_in_utc)
