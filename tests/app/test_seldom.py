"""A line that would come at every attempt comes once a minute, with a count."""

import logging

from app.telemetry.seldom import Seldom


def line(number: int) -> logging.LogRecord:
    return logging.LogRecord("exporter", logging.WARNING, __file__, 1, "attempt %d failed", (number,), None)


def test_one_line_a_minute_says_how_many_there_were() -> None:
    now = [0.0]
    seldom = Seldom(now=lambda: now[0])
    passed = []
    for second in range(125):
        now[0] = float(second)
        record = line(second)
        if seldom.filter(record):
            passed.append(record.getMessage())
    assert passed == [
        "attempt 0 failed",
        "attempt 60 failed (and 59 such lines before, not shown)",
        "attempt 120 failed (and 59 such lines before, not shown)",
    ]
