"""The paid call: whatever comes back, it says whether a job was made, was not made, or may have been made."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from video_jobs.backends.answers import BackendMessage, identifier
from video_jobs.backends.elsewhere import REDIRECTS
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.responses import (
    REFUSALS,
    Answer,
    Believed,
    read_answer,
    read_believed,
    redactor_of,
)
from video_jobs.backends.session import TROUBLE, cut_off, new_session, reason_of, was_never_sent
from video_jobs.backends.upload import Upload
from video_jobs.domain.errors import BackendError, NotSent, Unavailable, UnknownOutcome
from video_jobs.net.deadline import Deadline
from video_jobs.net.pinned import CONNECT_TIMEOUT

_TELL_AN_ADDRESS = ("operation-location", "location")
_SEE_OTHER = (302, 303)  # to the new job
_MEND = {
    **dict.fromkeys(
        REDIRECTS, " It redirects: the backend's base_url must be the address to which it leads."
    ),
    405: " It takes no jobs at this address: check the backend's base_url.",
}
_LEAST_SHARE = 0.1  # the part of the paid call's time limit that must be left when the call begins


def post_once(
    http: BackendHttp,
    path: str,
    deadline: float,
    *,
    is_under_way: Believed = lambda body: False,
    jobs_path: str | None = None,
    upload: Upload | None = None,
    **content: Any,
) -> Answer:
    """The paid call: one connection of its own, no redirect, no retry, one time limit for everything. `is_under_way`:
    whether a body describes the new job, whatever the status. `jobs_path`: the path of a job up to its id, where that is
    not below `path`.

    Raises NotSent or a refusal only if that proves that nothing was created. Raises UnknownOutcome for everything
    else that is not a readable success.
    """
    watch = Deadline(deadline)
    headers = http.headers()
    if watch.left < deadline * _LEAST_SHARE:
        raise NotSent("The call was not made, because its authentication took too long.")
    if upload is not None:
        headers["Content-Type"], content = upload.content_type, {"data": upload}
    status: int | None = None
    with new_session(1, http.address_of("")) as session, watch.watching():
        try:
            response = session.post(
                http.address_of(path),
                params=http.params,
                headers=headers,
                timeout=(CONNECT_TIMEOUT, deadline),
                allow_redirects=False,
                stream=True,
                **content,
            )
            with contextlib.closing(response):
                status = response.status_code
                new_id = _id_in_address(response, jobs_path or f"{path}/", path)
                if 200 <= status < 300 or (status in _SEE_OTHER and new_id is not None):
                    answer = read_answer(response, watch, is_optional=new_id is not None)
                    return answer._replace(new_id=new_id)
                return _no_success(response, is_under_way)
        except TROUBLE as error:
            if was_never_sent(error, watch):
                raise NotSent(f"The video API could not be reached: {reason_of(error)}.") from None
            raise UnknownOutcome(cut_off(watch)) from None
        except Unavailable as error:
            raise UnknownOutcome(
                f"The video API answered {status}, but the answer can't be read: {error}", status=status
            ) from None


def _id_in_address(response: requests.Response, jobs_path: str, path: str) -> str | None:
    """The id of the new job, if a header tells the job's address. `jobs_path`: what stands before the id; before that, a
    gateway's base URL may differ. `path`: of the create. An address at or below it is of another form, unless jobs are there."""
    for name in _TELL_AN_ADDRESS:
        try:
            address = urlsplit(response.headers.get(name, "")).path + "/"
        except ValueError:
            continue
        _, found, rest = address.rpartition(jobs_path)
        if found and (jobs_path == f"{path}/" or f"{path}/" not in address):
            return identifier(redactor_of(response).text(unquote(rest.partition("/")[0])))
    return None


def _no_success(response: requests.Response, is_under_way: Believed) -> Answer:
    """The paid call's answer, if it describes the new job under another status. Raises a refusal or UnknownOutcome."""
    status = response.status_code
    try:
        return read_believed(response, is_under_way)
    except BackendError as error:
        if status in REFUSALS:
            raise
        said = BackendMessage(error.code, error.detail).in_words
        raise UnknownOutcome(
            f"The video API answered {status}{said}, which does not say whether it made the job.{_MEND.get(status, '')}",
            status=status,
            code=error.code,
            detail=error.detail,
            request_id=error.request_id,
        ) from None
