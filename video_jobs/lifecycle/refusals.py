"""The words for a submission that did not succeed: for the client in the job, for the operator in the log."""

from __future__ import annotations

import re
from typing import Literal

from video_jobs.domain.errors import BackendError, Gone, Unauthorised
from video_jobs.domain.job import Job, JobError
from video_jobs.domain.refusal_kinds import is_moderation

SignsInWith = Literal["key", "identity", "nothing"]

_NETWORK = re.compile(r"network|firewall|private endpoint|virtual network|\bvnet\b|ip address|traffic")
_REGION = re.compile(r"\bregion|countr|territor|location")
_ACCESS = re.compile(r"\bmodel|deployment|verif|organi[sz]ation|subscription plan|\btier\b")


def unconfirmed(job: Job, candidates: tuple[str, ...], list_told: str) -> JobError:
    """The error of a job whose paid call may have created a backend job, but nothing proves it.

    `list_told`: the result of reading the backend's list, as a sentence.
    """
    outcomes = [event.detail for event in job.history if event.what == "outcome_unknown" and event.detail]
    what = outcomes[-1] if outcomes else "The app ended before it could store what the video API answered."
    named = (
        f" It may be {', '.join(candidates)}: compare it there, and import it if it is yours."
        if candidates
        else ""
    )
    return JobError(
        code="submission_unconfirmed",
        message=(
            f"{what} So the video API may have made this job, and may bill it. {list_told}{named} It was not sent "
            f"again, so that nothing is paid for twice. A retry reads the list once more before anything is sent."
        ),
        candidates=candidates,
    )


def misconfiguration(job: Job, error: BackendError, signs_in_with: SignsInWith) -> str:
    """Why no job reaches this backend, and which setting to check."""
    backend = f"The backend '{job.backend.name}'"
    match error:
        case Unauthorised(status=403):
            words = f"{backend} recognises us and denies access: {_advice_for_403(job, error, signs_in_with)}"
        case Unauthorised():
            words = {
                "key": f"{backend} does not take our key: check its API key setting, and that key and endpoint "
                f"belong together",
                "identity": f"{backend} does not take the app's identity: check that it is of the same tenant, and "
                f"the token's scope",
                "nothing": f"{backend} wants a key, and its auth is 'none': name the key's setting in api_key_setting",
            }[signs_in_with]
        case _:
            words = (
                f"{backend} knows no '{job.backend.model}' at {job.backend.base_url}: check the deployment's name (elsewhere the model's), the "
                f"endpoint and the dialect. A new deployment takes minutes to answer"
            )
    return f"{words}. It says: {error.detail or 'nothing more'}"


def _advice_for_403(job: Job, error: BackendError, signs_in_with: SignsInWith) -> str:
    said = f"{error.code or ''} {error.detail or ''}".lower()
    if _NETWORK.search(said):
        return "check the resource's network rules; they must let the app in"
    if _REGION.search(said):
        return "it does not serve the region from which the app calls"
    if _ACCESS.search(said):
        return f"its account has no access to the model '{job.backend.model}'; ask for it, or choose another model"
    if signs_in_with == "identity":
        return (
            "give the app's identity the role Cognitive Services User on the resource, and check its network "
            "rules"
        )
    return "check what the key is allowed to do, and the resource's network rules"


def out_of_money(job: Job, error: BackendError) -> str:
    """Why no job reaches this backend until somebody pays."""
    said = error.detail or error.code or f"it answered {error.status}"
    return (
        f"The account at the backend '{job.backend.name}' has no money or quota left: pay, or raise its limit. Jobs wait, "
        f"and go on by themselves. It says: {said}"
    )


def refusal(job: Job, error: BackendError) -> JobError:
    """The meaning of the backend's refusal of this one job."""
    backend = f"The backend '{job.backend.name}'"
    if is_moderation(error.code, error.detail, job.request.prompt, error.status):
        code, words = "moderation_blocked", f"{backend} refused the content"
    elif isinstance(error, Gone):
        code = "model_retired"
        words = f"{backend} has retired '{job.backend.model}' for good: deploy another model or choose another backend"
    else:
        code, words = "backend_rejected", f"{backend} refused the request"
    return JobError(
        code=code,
        message=f"{words}. It says: {error.detail or 'nothing more'}",
        backend_code=error.code,
        backend_message=error.detail,
        backend_request_id=error.request_id,
    )
