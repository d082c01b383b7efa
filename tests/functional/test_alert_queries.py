"""What the alerts and the workbook look for is what the app logs: each event and each field of their queries is in a line
that jobs of every fate wrote. The queries themselves only Azure can run."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from local.simulator.server import Simulator
from sweep_jobs import blueprint, minute
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import Pipeline
from video_jobs.domain.errors import StorageUnavailable
from video_jobs.domain.ids import JOB_ID_PATTERN
from video_jobs.domain.job import Status
from video_jobs.domain.queue_messages import POLL_QUEUE, PollMessage
from video_jobs.domain.trace import following
from video_jobs.lifecycle import paid_call

INFRA = Path(__file__).parents[2] / "infra"
JOB_ID = re.compile(JOB_ID_PATTERN)
QUERIES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((INFRA / "queries").glob("*.kql"))}
SEVERITY = {
    logging.INFO: 1,
    logging.WARNING: 2,
    logging.ERROR: 3,
    logging.CRITICAL: 4,
}  # as the host maps them


def workbook() -> dict[str, str]:
    items = json.loads((INFRA / "workbook.json").read_text(encoding="utf-8"))["items"]
    return {item["content"]["title"]: item["content"]["query"] for item in items if item["type"] == 3}


ALL = {**QUERIES, **workbook()}


def begins_with(query: str) -> list[str]:
    return re.findall(r"message startswith '([^']+)'", query)


@pytest.fixture(scope="module")
def lines(shared_simulator: Simulator) -> list[logging.LogRecord]:
    """Of jobs that succeed, fail, are cancelled, expire, are in danger, in doubt, poisoned and kept out by a gate."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    ours = logging.getLogger("reelkeep")
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        shared_simulator.world.reset()
        shared_simulator.faults.clear()
        live_through(Pipeline(shared_simulator, "openai-videos"))
        priced = Pipeline(shared_simulator, "openrouter")
        priced.run(priced.submit())
    finally:
        ours.removeHandler(handler)
        ours.setLevel(level)
    return records


def live_through(app: Pipeline) -> None:
    with pytest.MonkeyPatch.context() as patch:
        app.run(app.submit())  # succeeds
        app.fault("create", status=400)
        app.submit()  # fails
        app.messages.poison(POLL_QUEUE, b"{")
        app.fault("video", status=403, times=-1)
        job = app.run_until(app.submit(), Status.PENDING_DOWNLOAD)
        app.messages.poison(POLL_QUEUE, PollMessage(owner=job.owner, job_id=job.id).encode().encode())
        assert job.expires_at is not None
        app.advance((job.expires_at - app.now()).total_seconds() - 60)
        sweep_jobs(app.services)  # in danger, and poisoned
        app.run(job)  # expires
        app.fault("create", lost_answer=True)
        app.run_until(app.submit(), Status.SUBMITTING)
        doubtful = app.submit()
        app.run(doubtful, lambda seen: seen.status is not Status.WAITING)
        patch.setattr(paid_call, "sleep", app.advance)
        save = app.jobs.save

        def save_nothing_that_was_submitted(stored: Any, changed: Any) -> Any:
            if stored.job.status is Status.SUBMITTING:
                raise StorageUnavailable("Azure Storage answered 503.")
            return save(stored, changed)

        patch.setattr(app.jobs, "save", save_nothing_that_was_submitted)
        app.submit()  # is taken, and can't be noted as such
        patch.setattr(app.jobs, "save", save)
        app.fault("create", status=401)
        app.submit()
        sweep_jobs(app.services)


def test_each_line_that_a_query_looks_for_was_logged(lines: list[logging.LogRecord]) -> None:
    written = [record.getMessage() for record in lines]
    for name, query in ALL.items():
        for beginning in begins_with(query):
            assert any(line.startswith(beginning) for line in written), (name, beginning)
        events = {json.loads(line)["event"] for line in written if line.startswith('{"event"')}
        listed = re.findall(r"said\.event\) in \(([^)]+)\)", query)
        wanted = {event for words in listed for event in re.findall(r'"([\w.]+)"', words)}
        assert wanted <= events | {"job.cancelled"}, (name, wanted - events)


def test_each_field_that_a_query_reads_is_in_the_lines_that_it_reads(
    lines: list[logging.LogRecord],
) -> None:
    for name, query in ALL.items():
        beginnings = tuple(begins_with(query))
        if not beginnings:
            continue
        fields: set[str] = set()
        for line in (record.getMessage() for record in lines):
            if line.startswith(beginnings):
                fields |= json.loads(line).keys()
        assert set(re.findall(r"\bsaid\.(\w+)", query)) <= fields, name


@pytest.mark.parametrize(
    ("alert", "severity", "times"),
    [
        ("video-in-danger", 3, 1),
        ("message-poisoned", 3, 2),
        ("gate-to-mend", 1, None),
        ("queue-late", 1, None),
    ],
)
def test_an_alert_looks_for_lines_that_are_sent(
    lines: list[logging.LogRecord], alert: str, severity: int, times: int | None
) -> None:
    beginnings = tuple(begins_with(QUERIES[alert]))
    found = [record for record in lines if record.getMessage().startswith(beginnings)]
    assert {SEVERITY[record.levelno] for record in found} == {severity}
    assert times is None or len(found) == times


def test_the_mail_of_an_alert_can_name_the_job_and_what_to_import(lines: list[logging.LogRecord]) -> None:
    for alert in ("video-in-danger", "critical-line"):
        beginnings = tuple(begins_with(QUERIES[alert])) or ('{"event": "job.outcome_not_stored"',)
        found = [json.loads(r.getMessage()) for r in lines if r.getMessage().startswith(beginnings)]
        assert found, alert
        for column in set(re.findall(r"tostring\(said\.(\w+)\)", QUERIES[alert])):
            assert [line[column] != "" for line in found] == [True] * len(found), (alert, column)


def test_the_job_of_an_error_line_is_found_in_its_words(lines: list[logging.LogRecord]) -> None:
    [pattern] = re.findall(r'extract\("([^"]+)", 0, message\)', QUERIES["error-line"])
    said = [r.getMessage() for r in lines if SEVERITY[r.levelno] == 3 and "job_" in r.getMessage()]
    assert any(line.startswith('{"event": "job.outcome_unknown"') for line in said)
    for line in said:
        found = re.search(pattern, line)
        assert found is not None
        assert JOB_ID.fullmatch(found[0])


def test_the_gates_that_an_alert_names_are_those_to_mend() -> None:
    named = set(re.findall(r'endswith ": (\w+)"', QUERIES["gate-to-mend"]))
    assert named == {reason.value for reason in minute._FOR_THE_OPERATOR}


def test_a_paid_answer_that_is_not_stored_is_a_critical_line(lines: list[logging.LogRecord]) -> None:
    [floor] = map(int, re.findall(r"severityLevel >= (\d)", QUERIES["critical-line"]))
    [critical] = [record for record in lines if SEVERITY[record.levelno] >= floor]
    assert json.loads(critical.getMessage())["event"] == "job.outcome_not_stored"


def test_error_lines_leave_to_the_other_alerts_what_these_tell(lines: list[logging.LogRecord]) -> None:
    left_out = begins_with(QUERIES["error-line"])
    told = [*begins_with(QUERIES["video-in-danger"]), *begins_with(QUERIES["message-poisoned"])]
    assert sorted(left_out) == sorted(told)
    errors = [record.getMessage() for record in lines if SEVERITY[record.levelno] == 3]
    assert any(line.startswith('{"event": "job.outcome_unknown"') for line in errors)


def test_the_minute_tells_of_a_gate_that_somebody_must_mend(lines: list[logging.LogRecord]) -> None:
    [beginning] = begins_with(QUERIES["gate-to-mend"])
    told = [json.loads(r.getMessage()) for r in lines if r.getMessage().startswith(beginning)]
    assert [line["gates_to_mend"] for line in told] == [0, 1]


def test_the_sweeper_whose_silence_is_an_alert_is_a_function_of_the_app() -> None:
    [name] = re.findall(r'name == "(\w+)"', QUERIES["sweeper-silent"])
    assert f'@blueprint.function_name("{name}")' in Path(blueprint.__file__).read_text(encoding="utf-8")


def test_the_lines_of_one_job_are_found_by_its_trace(
    videos: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    caplog.set_level(logging.INFO)
    videos.fault("video", status=503)
    with following(f"00-{trace_id}-b7ad6b7169203331-01"):
        job = videos.submit()
    [message] = [each.text for each in videos.messages.queued if job.id in each.text]
    videos.run(job)
    lines = [r.getMessage() for r in caplog.records if job.id in r.getMessage()]
    said = [json.loads(line) for line in lines if line.startswith('{"event"')]
    assert {"job.accepted", "job.submitted", "job.stored", "job.succeeded"} <= {
        each["event"] for each in said
    }
    # As the query takes the trace out of one line; what follows bears it by the job's messages.
    assert '"traceparent"' in QUERIES["one-job"]
    assert {each["traceparent"].split("-")[1] for each in said if "traceparent" in each} == {trace_id}
    assert trace_id in message
    assert set(re.findall(r"\bsaid\.(\w+)", QUERIES["one-job"])) <= {name for each in said for name in each}
