"""One simulated job, and what can be seen of it at a given moment."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum

from .prompts import Ending
from .render import Rendering
from .scene import Shot

AZURE_SORA = "azure-sora"
OPENAI_VIDEOS = "openai-videos"
OPENROUTER = "openrouter"
RUNWAY = "runway"
REPLICATE = "replicate"
FAL = "fal"
XAI = "xai"
GEMINI = "gemini"
BYTEPLUS = "byteplus"

# Shares of the run at which one phase follows another, and at which failing jobs fail.
_PREPARED, _GENERATED = 0.1, 0.9
_FAILS_AT = {Ending.BLOCKED_INPUT: 0.1, Ending.BROKEN: 0.5, Ending.BLOCKED_OUTPUT: 1.0}
_FAILURES = {
    Ending.BLOCKED_INPUT: "input_moderation",
    Ending.BLOCKED_OUTPUT: "output_moderation",
    Ending.BROKEN: "internal_error",
}


class Phase(Enum):
    """The phase of a job. The values are the words of azure-sora, which has more of them."""

    #: Accepted, nothing begun.
    QUEUED = "queued"
    #: The prompt is being looked at.
    PREPROCESSING = "preprocessing"
    #: Frames are being made.
    RUNNING = "running"
    #: The frames become a file.
    PROCESSING = "processing"
    #: Ended, whatever there is can be downloaded.
    SUCCEEDED = "succeeded"
    #: Ended without an output.
    FAILED = "failed"
    #: Stopped by the client, and still shown.
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether no other phase follows."""
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED)


@dataclass(frozen=True)
class Order:
    """What a client asked for.

    prompt, model: str
    width, height: int, pixels
    seconds, variants: int
    inpaint_items: as the client sent them, checked
    remixed_from: str | None, the id of the video that this one takes up
    given: the fields of a JSON body as they came, long texts cut
    from_image: bool, whether a picture came with it
    """

    prompt: str
    model: str
    width: int
    height: int
    seconds: int
    variants: int = 1
    inpaint_items: tuple[dict[str, object], ...] = ()
    remixed_from: str | None = None
    given: Mapping[str, object] = field(default_factory=dict)
    from_image: bool = False

    def shot(self, variant: int) -> Shot:
        """What the video of this variant, counted from 1, shows."""
        return Shot(self.prompt, self.width, self.height, self.seconds, variant, self.variants)


@dataclass
class RenderedOutput:
    """A generation: its id, what it shows, and the file that is being made in the background.

    `done_at` is the simulated time at which the file was there, None until then.
    """

    id: str
    shot: Shot
    rendering: "Future[Rendering]"
    done_at: float | None = None

    @property
    def broken(self) -> bool:
        """Whether the renderer gave up."""
        return self.rendering.cancelled() or (
            self.rendering.done() and self.rendering.exception() is not None
        )


@dataclass(frozen=True)
class Snapshot:
    """What a client may know of a job at one moment.

    progress: int, percent
    finished_at: float | None, simulated unix seconds
    failure: str | None, in the words of azure-sora
    """

    phase: Phase
    progress: int
    finished_at: float | None = None
    failure: str | None = None


@dataclass
class Job:
    """A create that was accepted. Times are simulated unix seconds.

    The outputs are known from the start, though a client must not see them before the job succeeded.
    """

    id: str
    dialect: str
    order: Order
    ending: Ending
    created_at: float
    queue_seconds: float
    run_seconds: float
    expires_at: float
    pad_to_bytes: int | None
    outputs: list[RenderedOutput] = field(default_factory=list)
    deleted_at: float | None = None
    cancelled_at: float | None = None

    def snapshot(self, now: float) -> Snapshot:
        """The job at `now`. It depends only on times, except the end: a success waits for its files."""
        if self.cancelled_at is not None:
            return Snapshot(Phase.CANCELLED, self._progress(self.cancelled_at), self.cancelled_at)
        if self.ending in _FAILS_AT:
            fails_at = self.created_at + self.queue_seconds + self.run_seconds * _FAILS_AT[self.ending]
            if now >= fails_at:
                return Snapshot(Phase.FAILED, self._progress(fails_at), fails_at, _FAILURES[self.ending])
            return Snapshot(self._phase(now), self._progress(now))
        planned_end = self.created_at + self.queue_seconds + self.run_seconds
        if now < planned_end:
            return Snapshot(self._phase(now), self._progress(now))
        if any(output.broken for output in self.outputs):
            return Snapshot(Phase.FAILED, 99, planned_end, _FAILURES[Ending.BROKEN])
        ready = [output.done_at for output in self.outputs if output.done_at is not None]
        if len(ready) < len(self.outputs):
            return Snapshot(Phase.PROCESSING, 99)
        return Snapshot(Phase.SUCCEEDED, 100, max([planned_end, *ready]))

    def _share(self, now: float) -> float:
        """How much of the run is done, from 0 to 1."""
        elapsed = now - self.created_at - self.queue_seconds
        if elapsed < 0:
            return 0.0
        return min(1.0, elapsed / self.run_seconds) if self.run_seconds else 1.0

    def _phase(self, now: float) -> Phase:
        if now < self.created_at + self.queue_seconds:
            return Phase.QUEUED
        share = self._share(now)
        if share < _PREPARED:
            return Phase.PREPROCESSING
        return Phase.RUNNING if share < _GENERATED else Phase.PROCESSING

    def _progress(self, now: float) -> int:
        return min(99, int(self._share(now) * 100))
