"""What can be changed about the simulated services, each with its default, unit and reason."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

_Check = Callable[[object], bool]


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_at_least_zero(value: object) -> bool:
    return _number(value) and value >= 0  # type: ignore[operator]


def _is_positive(value: object) -> bool:
    return _number(value) and value > 0  # type: ignore[operator]


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_names(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _one_of(*words: str) -> _Check:
    return lambda value: value in words


def _optional(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _setting(default: Any, check: _Check, expected: str) -> Any:
    return field(default=default, metadata={"check": check, "expected": expected})


def _switch() -> Any:
    return _setting(False, _is_switch, "true or false")


class UnknownSettingError(ValueError):
    """A name that is no setting, or a value that it can't take. The message says what it can."""


@dataclass(frozen=True)
class Settings:
    """A job keeps the timings, retention and padding of its creation. All other changes hold from the next call."""

    #: Simulated seconds that pass in one real second.
    speed: float = _setting(1.0, _is_positive, "a number above 0")
    #: Simulated seconds from the create to the first sign of work.
    queue_seconds: float = _setting(10.0, _is_at_least_zero, "seconds, 0 or more")
    #: Simulated seconds of work.
    run_seconds: float = _setting(30.0, _is_at_least_zero, "seconds, 0 or more")
    #: Simulated seconds by which a job's work may take more or less than that: at random, but the same ones in
    #: the same order after every start and reset.
    run_spread_seconds: float = _setting(0.0, _is_at_least_zero, "seconds, 0 or more")
    #: Simulated seconds from the create until the service deletes what it made.
    retention_seconds: float = _setting(86_400.0, _is_at_least_zero, "seconds, 0 or more")
    #: Simulated seconds from a job's end for which a provider's address of its video works; null: as long as that.
    address_seconds: float | None = _setting(
        None, _optional(_is_at_least_zero), "seconds, 0 or more, or null"
    )

    #: Unfinished jobs at once in azure-sora; null for no limit. Azure allows two a resource.
    running_limit: int | None = _setting(2, _optional(_is_count), "a count or null")
    #: The same for openai-videos.
    videos_running_limit: int | None = _setting(None, _optional(_is_count), "a count or null")
    #: `retry-after` on refusals by the two limits above, real seconds; null leaves it out, as Azure does.
    running_retry_after: int | None = _setting(None, _optional(_is_count), "seconds or null")
    #: Creates in one simulated minute, counted for each dialect; null for no limit.
    creates_per_minute: int | None = _setting(None, _optional(_is_count), "a count or null")
    #: Model or deployment names that exist, and are listed; null lets any name pass, and lists none.
    deployments: tuple[str, ...] | None = _setting(None, _optional(_is_names), "a list of names or null")
    #: Every create answers 410, as a service does whose model was taken away, and the list of models says since when.
    retired: bool = _switch()
    #: Every create of a provider that is paid in advance answers 402.
    out_of_credit: bool = _switch()
    #: DELETE of a job that has not ended answers 409: OpenAI's description has it for those that have.
    refuse_delete_running: bool = _switch()

    #: Length of every served MP4 in bytes, filled up at its end; null or less than the video: as rendered.
    pad_to_bytes: int | None = _setting(None, _optional(_is_count), "bytes or null")

    # The following settings imitate how openai-videos servers deviate from OpenAI's own.
    #: Value of `openai-poll-after-ms` on unfinished jobs, real milliseconds; null leaves it out.
    poll_after_ms: int | None = _setting(None, _optional(_is_count), "milliseconds or null")
    #: Any even size and any whole number of seconds up to 60.
    any_size: bool = _switch()
    #: Form of new ids: hex, Base64 with all its odd characters, or with a colon in it.
    id_style: str = _setting("plain", _one_of("plain", "base64", "colon"), "plain, base64 or colon")
    #: Content answers 302 to a signed URL at another origin that refuses credentials.
    content_redirect: bool = _switch()
    #: Status of content that is asked for too early.
    not_ready_status: int = _setting(404, lambda value: value in (400, 404, 409, 422), "400, 404, 409 or 422")
    #: `error.code` is a number.
    error_code_int: bool = _switch()
    #: A failed job's `error` has only a message.
    error_without_code: bool = _switch()
    #: Refusals are `{"detail": …}`.
    detail_errors: bool = _switch()
    #: The prompt is null in what is read back.
    hide_prompt: bool = _switch()
    #: Fields without a value are left out in place of null.
    sparse: bool = _switch()
    #: A completed job carries `url` and `video_url`.
    carry_url: bool = _switch()
    #: DELETE says `status: "deleted"` in place of `deleted: true`.
    delete_says_status: bool = _switch()
    #: Create takes only multipart, or only JSON.
    multipart_only: bool = _switch()
    json_only: bool = _switch()

    @property
    def address_lifetime(self) -> float:
        """Seconds for which a provider's address works."""
        return self.retention_seconds if self.address_seconds is None else self.address_seconds

    def evolve(self, changes: Mapping[str, object]) -> "Settings":
        """These settings with `changes`. Raises UnknownSettingError, and then nothing has changed."""
        known = {item.name: item for item in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise UnknownSettingError(f"{name!r} is no setting. Known: {', '.join(known)}.")
            if not known[name].metadata["check"](value):
                raise UnknownSettingError(
                    f"{name} can't be {value!r}: give {known[name].metadata['expected']}."
                )
        frozen = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
        return replace(self, **frozen)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, object]:
        """All settings by name, ready for JSON."""
        return asdict(self)
