"""Finds out what an id means: a backend job, one of its generations, or a job of this app, and its state."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from doctor.wire import Wire
from video_jobs.backends.credentials import signer
from video_jobs.backends.registry import client_of
from video_jobs.backends.task_videos import TaskVideos
from video_jobs.backends.video_address import addresses_in
from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import BackendError, Gone, JobNotFound, NotFound, Rejected, StorageNotSetUp
from video_jobs.domain.job import DEFAULT_OWNER, Job
from video_jobs.net.web_address import read_address
from video_jobs.ports import Backend, Claim, Claims, JobStore
from video_jobs.settings.backends import BackendSettings

_NOT_THERE = (NotFound, Gone, Rejected)


@dataclass(frozen=True)
class Subject:
    backend: BackendSettings
    job_id: str | None  #: the backend's
    generation_id: str | None
    found: BackendJob | None  #: None where the backend does not know it
    named_urls: tuple[str, ...] = ()
    problem: str = ""  #: why it could not be asked


def find_claim(claims: Claims, base_url: str, backend_job_id: str) -> Claim | None:
    """This app's claim on a backend job. An app that has never started has claimed none. Raises StorageUnavailable."""
    try:
        return claims.find(base_url, backend_job_id)
    except StorageNotSetUp:
        return None


def find_ours(jobs: JobStore, claims: Claims, job_id: str) -> Job | None:
    """A job of this app, whoever owns it. Raises StorageUnavailable."""
    owners = [DEFAULT_OWNER, *(claim.owner for claim in claims.of_job(job_id))]
    for owner in owners:
        try:
            return jobs.get(owner, job_id).job
        except JobNotFound:
            continue
    return None


def find_subject(backends: Sequence[BackendSettings], api_keys: Mapping[str, str], named: str) -> Subject:
    """At the first backend that knows the id, since an id belongs to one resource. Else at the first one, as unknown."""
    unknown: list[Subject] = []
    for backend in backends:
        client = client_of(backend, api_keys.get(backend.name), backend.base_url, backend.model)
        try:
            subject = _poll(client, backend, named)
        except BackendError as error:
            subject = Subject(backend, *_guess(backend, named), None, problem=str(error))
        if subject.found is not None:
            urls: tuple[str, ...] = ()
            if isinstance(client, TaskVideos):
                with contextlib.suppress(BackendError):
                    urls = tuple(client.addresses(client.job_of(named)))
            elif backend.dialect != "azure-sora":
                urls = _named_urls(backend, api_keys.get(backend.name), named)
            return Subject(backend, subject.job_id, subject.generation_id, subject.found, urls)
        unknown.append(subject)
    return unknown[0]


def _guess(backend: BackendSettings, named: str) -> tuple[str | None, str | None]:
    """The id as a job's and as a generation's, judged by its form."""
    if backend.dialect != "azure-sora":
        return named, named
    return (named, None) if named.startswith("task_") else (None, named)


def _poll(client: Backend, backend: BackendSettings, named: str) -> Subject:
    job_id, generation_id = _guess(backend, named)
    if backend.dialect == "azure-sora" and job_id is None:
        try:
            job_id = client.job_of(named)
        except _NOT_THERE:
            job_id, generation_id = named, None  # it may be a job's id
    try:
        found = client.get(job_id or named)
    except _NOT_THERE:
        return Subject(backend, *_guess(backend, named), None)
    if generation_id is None and found.generation_ids:
        generation_id = found.generation_ids[0]
    return Subject(backend, job_id, generation_id, found)


def _named_urls(backend: BackendSettings, api_key: str | None, video_id: str) -> tuple[str, ...]:
    wire = Wire(backend.base_url, signer(backend, api_key))
    response = wire.get(f"{backend.base_url}/videos/{quote(video_id, safe='')}", 1 << 20)
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        return ()
    base = read_address(backend.base_url)
    urls = []
    for named in addresses_in(body):
        try:
            urls.append(str(read_address(named, str(base))))
        except ValueError:
            urls.append(named)  # to be shown as unusable
    return tuple(dict.fromkeys(urls))
