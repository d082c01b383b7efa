"""A server of the videos protocol whose answers a test may change, one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine, small_mp4
from video_jobs.domain.job import Job

VIDEO = small_mp4()
ID = "video_1"


@dataclass
class Server:
    """A server of the videos protocol, each of whose answers a test may change."""

    api: StrangeApi
    job: dict[str, Any] = field(default_factory=lambda: {"status": "completed"})
    replies: dict[str, Any] = field(default_factory=dict)  #: by operation; a Reply, or what gives one

    def __post_init__(self) -> None:
        self.created_at = int(self.api.clock().timestamp())
        self.api.answer = self.answer

    def answer(self, asked: Asked) -> Reply:
        chosen = self.replies.get(asked.operation)
        if chosen is not None:
            reply: Reply = chosen(asked) if callable(chosen) else chosen
            return reply
        match asked.operation:
            case "create":
                return Reply(200, self.shown(status="queued"))
            case "get":
                return Reply(200, self.shown(**self.job))
            case "list":
                return Reply(200, {"object": "list", "data": [self.shown(**self.job)], "has_more": False})
            case "content":
                return Reply(200, VIDEO, content_type="video/mp4")
            case "delete":
                return Reply(200, {"id": ID, "deleted": True})
        return Reply(404, {"detail": "Not Found"})

    def shown(self, **changes: Any) -> dict[str, Any]:
        known = {"id": ID, "object": "video", "created_at": self.created_at, "prompt": "a paper boat"}
        return {**known, "size": "64x48", "seconds": "4", "model": "m", **changes}


class LongList:
    """A list with many newer jobs before ours, by pages."""

    def __init__(self, server: Server, newer: int, *, ascending: bool = False, page: int = 50) -> None:
        self.server, self.page = server, page
        now = server.created_at
        others = [
            server.shown(id=f"other_{n}", created_at=now + 60 + n // 10, prompt="other") for n in range(newer)
        ]
        old = [server.shown(id=f"old_{n}", created_at=now - 3600 - n, prompt="other") for n in range(60)]
        self.jobs = [*reversed(others), server.shown(**server.job), *old]
        if ascending:
            self.jobs.reverse()
        self.ignores_after = self.says_more = False

    def __call__(self, asked: Asked) -> Reply:
        after = asked.path.partition("after=")[2].partition("&")[0]
        ids = [job["id"] for job in self.jobs]
        at = ids.index(after) + 1 if after in ids and not self.ignores_after else 0
        page = self.jobs[at : at + self.page]
        more = self.says_more or len(self.jobs) > at + len(page)
        return Reply(200, {"object": "list", "data": page, "has_more": more})


def in_doubt(server: Server, **backend: Any) -> tuple[StrangeLine, Job]:
    """A job whose answer was lost."""
    line = StrangeLine(server.api, **backend)
    server.replies["create"] = Reply(200, server.shown(), cut=True)
    return line, line.submit()


def code_of(job: Job) -> str | None:
    return job.error.code if job.error else None
