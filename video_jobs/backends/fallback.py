"""Downloads from the first of several addresses that has a video."""

from __future__ import annotations

import contextlib
import itertools
import time

from video_jobs.backends.http import BackendHttp
from video_jobs.domain.errors import BackendError, NotAVideo
from video_jobs.media.body_kind import is_no_video, not_a_video
from video_jobs.ports import ContentStream

_SAMPLE = 64 << 10  # bytes by which a picture is known again


def open_one_of(
    http: BackendHttp, stack: contextlib.ExitStack, addresses: list[str], deadline: float
) -> ContentStream:
    """Open the first address with a video. `deadline`: seconds for all addresses. If none has a video, raise the last one's error."""
    ends_at = time.monotonic() + deadline
    problem: BackendError = NotAVideo("The video API names an address at which there is no video.")
    read = ((address, address.replace("&amp;", "&")) for address in addresses)  # some are escaped for HTML
    for address in dict.fromkeys(itertools.chain.from_iterable(read)):
        try:
            left = max(ends_at - time.monotonic(), 0.001)
            content = stack.enter_context(http.open_address(address, left))
            beginning = content.beginning(_SAMPLE)
            if not is_no_video(content.content_type, beginning):
                return content
            if isinstance(problem, NotAVideo):
                problem = not_a_video(str(problem), beginning)
        except BackendError as error:
            problem = error
    raise problem
