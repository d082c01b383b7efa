"""The queue messages, which are a public interface: other programs may enqueue them.

JSON with ids only. `turn` may be left out: such a message polls once and starts no chain.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from video_jobs.domain.errors import MalformedMessage, NewerVersion
from video_jobs.domain.ids import is_job_id
from video_jobs.domain.trace import current_traceparent, valid_traceparent

POLL_QUEUE = "video-poll"
FETCH_QUEUE = "video-fetch"
NOTIFY_QUEUE = "video-notify"

VERSION = 1
"""The version of the messages; it grows when an older app must not act on them."""


def _job_id(text: str) -> str:
    if not is_job_id(text):
        raise ValueError("a job id is 'job_' and 26 characters of Crockford base32")
    return text


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    v: Literal[1] = 1
    owner: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")
    job_id: Annotated[str, AfterValidator(_job_id)]
    turn: int | None = Field(default=None, ge=0, le=1_000_000_000)
    traceparent: Annotated[str | None, BeforeValidator(valid_traceparent)] = None
    #: When it becomes visible, in seconds since 1970: the queue itself gives only the time of sending.
    due: int | None = Field(default=None, ge=0, le=99_999_999_999)

    def encode(self, due: datetime | None = None) -> str:
        """Carries the trace in which it is sent."""
        sent = {
            "traceparent": self.traceparent or current_traceparent(),
            "due": None if due is None else int(due.timestamp()),
        }
        return self.model_copy(update=sent).model_dump_json(exclude_none=True)


class PollMessage(_Message):
    """Poll the job once; with a `turn`, continue the chain."""


class FetchMessage(_Message):
    """Copy one output of the job into storage; with a `turn`, try again until it is stored."""

    index: int = Field(ge=0, lt=100)


class NotifyMessage(_Message):
    """Tell the job's webhook that it has ended; with a `turn`, try again until it is delivered."""


_M = TypeVar("_M", bound=_Message)


def decode_poll(body: bytes) -> PollMessage:
    """Raises NewerVersion, and MalformedMessage, saying what is wrong with it."""
    return _decode(PollMessage, body)


def decode_fetch(body: bytes) -> FetchMessage:
    """Raises NewerVersion, and MalformedMessage, saying what is wrong with it."""
    return _decode(FetchMessage, body)


def decode_notify(body: bytes) -> NotifyMessage:
    """Raises NewerVersion, and MalformedMessage, saying what is wrong with it."""
    return _decode(NotifyMessage, body)


def _refuse_newer(kind: type[_Message], fields: Any) -> None:
    version = fields.get("v") if isinstance(fields, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise NewerVersion(
            f"A newer version sent this {kind.__name__} (v {version}; this version knows {VERSION})."
        )


def _decode(kind: type[_M], body: bytes) -> _M:
    try:
        fields = json.loads(body)
        _refuse_newer(kind, fields)
        return kind.model_validate(fields)
    except NewerVersion:
        raise
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in error.errors()
        )
    except (ValueError, RecursionError) as error:
        problems = f"it is not JSON ({error})"
    raise MalformedMessage(
        f"This is no {kind.__name__}: {problems}. docs/reference/queue-messages.md has the schema."
    )
