"""Each line that the app logs is an event: a stable name, which docs/reference/events.md lists with its level, and fields."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.documents import ROOT, text_of
from tests.sources import APP
from video_jobs.domain.logs import log_event, log_unexpected

HELPERS = {"log_event", "log_unexpected"}
METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"}
EVENT = re.compile(r"(job|message|[a-z_]+)\.[a-z_]+")
# Their names are put together: `job.` and a name of the history, or handed on by a function of the same file.
HANDED_ON = {"video_jobs/lifecycle/update.py", "video_jobs/lifecycle/paid_call.py", "sweep_jobs/poison.py"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(path for folder in APP for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(ROOT)), node


def test_nothing_is_logged_but_events() -> None:
    plain = [
        f"{path}:{call.lineno}"
        for path, call in calls()
        if path != "video_jobs/domain/logs.py"
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in METHODS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in ("log", "logger", "logging")
    ]
    assert plain == []


def events() -> Iterator[tuple[str, str, str]]:
    """The file, the name and the level of each event whose name is in its call."""
    for path, call in calls():
        if (
            not isinstance(call.func, ast.Name)
            or call.func.id not in HELPERS
            or path == "video_jobs/domain/logs.py"
        ):
            continue
        unexpected = call.func.id == "log_unexpected"
        level = "logging.ERROR" if unexpected else ast.unparse(call.args[1])
        name = call.args[1 if unexpected else 2]
        if isinstance(name, ast.Constant):
            yield path, str(name.value), level.removeprefix("logging.")
        else:
            assert isinstance(name, ast.Name | ast.JoinedStr), f"{path}:{call.lineno}"
            assert path in HANDED_ON or name.id == "EVENT", f"{path}:{call.lineno}: {ast.unparse(name)}"  # type: ignore[union-attr]


def test_each_event_is_listed_with_its_level() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| ([A-Z]+) \|", text_of("docs/reference/events.md"), re.MULTILINE)
    listed = {(name, level) for names, level in rows for name in re.findall(r"`([\w.]+)`", names)}
    logged = {(name, level) for _, name, level in events()}
    assert all(EVENT.fullmatch(name) for name, _ in logged)
    assert sorted(logged - listed) == []
    source = "".join((ROOT / path).read_text() for path in {*HANDED_ON, "sweep_jobs/minute.py"})
    assert [name for name, level in sorted(listed - logged) if f'"{name}"' not in source] == []


def test_a_line_is_json_whatever_its_fields_are(caplog: pytest.LogCaptureFixture) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    log_event(logging.getLogger("reelkeep.test"), logging.CRITICAL, "a.name", problem=OSError("a\nb"), at=now)
    [record] = caplog.records
    assert record.levelno == logging.CRITICAL
    line = json.loads(record.getMessage())
    assert line == {"event": "a.name", "problem": "a\nb", "at": str(now)}
    assert "\n" not in record.getMessage()


def test_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise OSError("of nothing")
    except OSError:
        log_unexpected(logging.getLogger("reelkeep.test"), "a.name", job_id="job_1")
    [record] = caplog.records
    assert json.loads(record.getMessage()) == {"event": "a.name", "job_id": "job_1"}
    assert record.exc_info is not None
    assert record.levelno == logging.ERROR
