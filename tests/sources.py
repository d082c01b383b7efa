"""The source of the app, for tests that hold pages and code together."""

from __future__ import annotations

from tests.documents import ROOT

APP = (
    "video_jobs",
    "submit_job",
    "poll_job",
    "fetch_video",
    "notify_client",
    "sweep_jobs",
    "job_api",
    "openai_api",
    "backend_api",
    "contract_api",
    "web",
    "http_edge",
    "doctor",
)


def sources_of(*folders: str) -> str:
    return "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
