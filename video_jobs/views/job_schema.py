"""The shapes of a job as the world sees it.

They are the contract: the OpenAPI document is generated from them, texts included.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from video_jobs.domain.job import Status
from video_jobs.domain.webhook import WebhookStatus

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC."""

Url = Annotated[str, Field(json_schema_extra={"format": "uri"})]

_documented = with_config(use_attribute_docstrings=True)


@_documented
class InputImageView(TypedDict):
    """The image that a video starts from."""

    content_type: str
    """As its content says: image/png, image/jpeg or image/webp."""
    length: int
    """Bytes."""
    sha256: str
    width: int
    """Pixels."""
    height: int
    """Pixels."""


@_documented
class BackendView(TypedDict):
    """Which backend a job belongs to."""

    name: str
    dialect: str
    model: str


@_documented
class CostView(TypedDict):
    """What the video API says that a job cost."""

    amount: float
    """In whole units of the currency."""
    currency: str
    """ISO 4217, like USD."""


@_documented
class JobErrorView(TypedDict):
    """Why a job ended without its videos."""

    code: str
    """Stable; docs/reference/errors.md explains each."""
    message: str
    backend_code: str | None
    """The video API's own word."""
    backend_message: str | None
    backend_request_id: str | None
    """What the video API's support asks for."""
    candidates: list[str]
    """The video API's jobs that may be this one, for import."""


@_documented
class VideoView(TypedDict):
    """One video of a job."""

    index: int
    generation_id: str
    status: Literal["pending", "stored", "expired"]
    length: int | None
    """Bytes."""
    sha256: str | None
    width: int | None
    """Pixels."""
    height: int | None
    """Pixels."""
    duration_seconds: float | None
    verified: bool | None
    """False if every download gave the same bytes and they are not a well-formed MP4."""
    problem: str | None
    """Why the last download failed."""
    next_try_at: Time | None
    """When it is downloaded next; null if it is stored or lost."""
    url: Url | None
    """Reads this one blob. Request the job again for a new URL."""
    download_url: Url | None
    """The same, for a browser to save rather than to play."""
    url_expires_at: Time | None
    thumbnail_url: Url | None


@_documented
class EventView(TypedDict):
    """Something that happened to a job."""

    at: Time
    event: str
    """A stable name; docs/reference/events.md explains each."""
    detail: str | None
    backend_request_id: str | None
    times: int
    """How often it happened, with no other event in between."""
    first_at: Time | None
    """When it happened first, if `times` is above 1."""


@_documented
class DeliveryView(TypedDict):
    """One try to tell the webhook that the job has ended."""

    at: Time
    status_code: int | None
    """What the receiver answered; null where no answer came."""
    problem: str | None
    """Null for a success."""
    seconds: float


@_documented
class WebhookView(TypedDict):
    """The webhook of a job's end, and the state of its delivery."""

    url: Url | None
    """Scheme and host: the rest may hold a secret. Null for the app's own."""
    event_id: str | None
    """The header `webhook-id` of every delivery; null until the job has ended."""
    status: WebhookStatus
    next_try_at: Time | None
    """When the next try comes. Null until the job has ended, and after the webhook is delivered or given up."""
    deliveries: list[DeliveryView]
    """The last twenty, oldest first."""


@_documented
class JobView(TypedDict):
    """A job: one attempt to turn a prompt into videos that stay."""

    id: str
    status: Status
    created_at: Time
    updated_at: Time
    finished_at: Time | None
    prompt: str
    """Empty if the job was made elsewhere and the video API does not tell it."""
    size: str | None
    """WIDTHxHEIGHT in pixels; null if only the model knows which size it makes from an aspect ratio or a
    resolution."""
    seconds: int | None
    variants: int
    input_image: InputImageView | None
    last_image: InputImageView | None
    reference_images: list[InputImageView]
    aspect_ratio: str | None
    """As requested, else null."""
    resolution: str | None
    audio: bool | None
    """Null: the model's default."""
    seed: int | None
    negative_prompt: str | None
    options: dict[str, Any] | None
    """Sent to the provider unchanged."""
    metadata: dict[str, str]
    backend: BackendView
    backend_job_id: str | None
    backend_status: str | None
    """The video API's own word."""
    backend_request_id: str | None
    retry_of: str | None
    """The earlier job that this one retries."""
    retried_as: str | None
    """The later job that retries this one."""
    imported: bool
    cancel_requested_at: Time | None
    cancel_refused: str | None
    """Why the video API did not stop the job."""
    backend_expires_at: Time | None
    """When the video API deletes the job and its bytes."""
    cost: CostView | None
    """Null until the video API tells it; some never do."""
    progress: int | None
    """Percent; it never falls."""
    expected_at: Time | None
    """When its videos are likely to be generated."""
    queue_position: int | None
    """While it is waiting: its position in the backend's line, from 1."""
    reason: str | None
    """Why it does not go on."""
    warning: str | None
    """What to know about a job that succeeded."""
    alarm: str | None
    """A generated video is not stored yet, and the video API will soon delete it. Read `reason` now."""
    error: JobErrorView | None
    webhook: WebhookView | None
    videos: list[VideoView]


@_documented
class JobWithHistory(JobView):
    """A job, and what happened to it."""

    history: list[EventView]
    """The last fifty events, oldest first."""
