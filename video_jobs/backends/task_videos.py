"""The client of every provider that `task_api` can describe: the paid call, reading the task, the list if there is
one, and the download from the addresses in the task, which is read again each time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from video_jobs.backends.answers import (
    BackendMessage,
    ToldHeaders,
    identifier,
    names_a_state,
    reason_in,
    status_in,
    text,
)
from video_jobs.backends.bodies import create_job, every_job, job_asked_for, job_in, read_job
from video_jobs.backends.fallback import open_one_of
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.job_list import read_list
from video_jobs.backends.responses import Answer
from video_jobs.backends.task_api import Images, TaskApi, addresses_anywhere, path_of
from video_jobs.backends.upload import JsonUpload
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.capabilities import ModelTakes
from video_jobs.domain.errors import BackendError, Gone, NotFound, Rejected, Unavailable
from video_jobs.domain.job import VideoRequest
from video_jobs.domain.provider_options import with_options
from video_jobs.net.told import moment
from video_jobs.ports import ContentStream, Image, ListedJobs

_OUTPUT = "#"  # between a task's id and the number of a further output
_NO_SUCH_CALL = 501  # what a server that keeps no list would answer
_LONGEST_LISTING = 8.0  # seconds for the models: a client waits for them
_MAY_PASS = (401, 402, 403, 408, 409, 410, 423, 425, 429)  # of the statuses in place of a result
_NO_MORE = (BackendState.CANCELLED, BackendState.EXPIRED)


class TaskVideos:
    """See `ports.Backend`. The first output has the task's id, a further one the id and a number."""

    def __init__(self, http: BackendHttp, api: TaskApi, model: str) -> None:
        self._http = http
        self._api = api
        self._model = model

    def create(self, request: VideoRequest, images: Mapping[int, Image], deadline: float) -> BackendJob:
        upload = JsonUpload()
        kinds = {number: image.content_type for number, image in request.images.items()}
        urls = {number: upload.data_url(images[number], kind) for number, kind in kinds.items()}
        call = self._api.call(self._model, request, Images.of(urls))
        return create_job(
            self._http,
            call.path,
            deadline,
            self._job,
            self._api.id_name,
            jobs_path=self._path(self._api.job_path.partition("{id}")[0], ""),
            upload=upload.of(with_options(call.body, request.options)),
        )

    def models(self) -> Mapping[str, ModelTakes]:
        """As the provider tells them now. Raises BackendError, and NotFound if it has no list."""
        told = self._api.model_list
        if told is None:
            raise NotFound("This video API does not tell its models.", status=_NO_SUCH_CALL)
        return told.read(self._http.get(told.path, seconds=_LONGEST_LISTING).body)

    def get(self, backend_job_id: str) -> BackendJob:
        return read_job(self._told(backend_job_id), backend_job_id, self._job)

    def addresses(self, backend_job_id: str) -> list[str]:
        """All outputs that the task names now."""
        return [
            address for output in self._api.outputs(self._told(backend_job_id).body) for address in output
        ]

    def list_jobs(self, after: str | None) -> ListedJobs:
        tasks = self._api.tasks
        if tasks is None:
            raise NotFound("This video API keeps no list of jobs.", status=_NO_SUCH_CALL)
        with self._http.stream(tasks.path, **tasks.query(after)) as (content, told, redactor):

            def listed(entry: dict[str, Any]) -> BackendJob | None:
                entry = redactor.data(entry)
                task_id = identifier(entry.get("id"))
                if task_id is None:
                    return None
                asked = tasks.asked(entry)
                return self._job(entry, ToldHeaders(), task_id)._replace(
                    prompt=asked.prompt,
                    width=asked.width,
                    height=asked.height,
                    seconds=asked.seconds,
                    from_image=asked.from_image,
                )

            page = read_list(content, listed, tasks.entries)
        next_after = tasks.next_page(page.said, after, len(page.entries) + page.passed_over)
        if page.has_more and next_after is None:
            raise Unavailable("The video API's list can't be read: a page of it is too long.")
        return ListedJobs(
            jobs=tuple(page.entries),
            next_after=next_after,
            says_more=next_after is not None,
            passed_over=page.passed_over,
            told_at=told.date,
        )

    def recent(self) -> Iterator[BackendJob]:
        return every_job(self.list_jobs)

    def delete(self, backend_job_id: str) -> None:
        """Stops the task. An empty answer counts as a success; after any other answer, a poll shows whether the task
        stopped."""
        stop = self._api.stop
        if stop is None:
            raise Rejected("This video API has no call that stops a job.")
        if self._http.delete(self._path(stop.path, backend_job_id), stop.method) == {}:
            return
        try:
            stopped = self.get(backend_job_id).state in _NO_MORE
        except (NotFound, Gone):
            return
        if not stopped:
            raise Rejected(
                f"The video API accepted the request to stop {backend_job_id}, but the task goes on."
            )

    def job_of(self, generation_id: str) -> str:
        return generation_id.partition(_OUTPUT)[0]

    def unnamed_outputs(self, backend_job_id: str) -> tuple[str, ...]:
        return (backend_job_id,)

    @contextlib.contextmanager
    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float, attempt: int = 0
    ) -> Iterator[ContentStream]:
        """From the addresses that the task names now: signed addresses expire, and some providers renew them at each
        poll. Every second attempt tries them in the opposite order, for an address whose bytes are never complete."""
        began = time.monotonic()
        answer = self._told(backend_job_id)
        body, state = answer.body, self._api.state(answer.body)
        if state is BackendState.EXPIRED:
            raise Gone("The video API no longer has the video of this task.", status=410)
        # An address that may be the wrong one is better than none.
        outputs = self._api.outputs(body) or addresses_anywhere(body)
        number = generation_id.removeprefix(backend_job_id + _OUTPUT)
        index = int(number) if number != generation_id and number.isdecimal() else 0
        addresses = outputs[index] if index < len(outputs) else []
        if self._api.content_path is not None:
            own = path_of(self._api.content_path, self._model, backend_job_id, index)
            addresses = list(dict.fromkeys((*addresses, self._http.address_of(own))))
        if not addresses:
            told = self._job(body, answer.told, backend_job_id)
            said = BackendMessage(told.status, told.failure_message or told.failure_code).in_words
            kind = Gone if state in (BackendState.FAILED, BackendState.CANCELLED) else Unavailable
            raise kind(f"The video API's answer has no address of this video{said}.")
        if attempt % 2:
            addresses = addresses[::-1]
        left = max(deadline - (time.monotonic() - began), 0.001)
        with contextlib.ExitStack() as stack:
            yield open_one_of(self._http, stack, addresses, left)

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        raise NotFound("This video API makes no thumbnails.")

    def _path(self, template: str, task_id: str) -> str:
        return path_of(template, self._model, task_id)

    def _told(self, task_id: str) -> Answer:
        """What the API says of the task now, with its result if that has a path of its own."""
        answer = job_asked_for(self._http, self._path(self._api.job_path, task_id), task_id)
        answer = answer._replace(body=job_in(answer.body, task_id))
        if not self._api.names_itself and answer.body.get(self._api.id_name) in (None, task_id):
            answer = _naming(answer, task_id)
        if answer.is_accepted and not names_a_state(answer.body):
            answer = answer._replace(body={**answer.body, "status": "pending"})
        if self._api.result_path is None or self._api.state(answer.body) is not BackendState.SUCCEEDED:
            return answer
        try:
            result = self._http.get(self._path(self._api.result_path, task_id))
        except BackendError as error:
            if not _is_about_the_task(error):
                raise
            said = {"code": error.code, "message": error.detail or "it gave no reason"}
            return answer._replace(body={**answer.body, "error": said})
        return answer._replace(body={**result.body, **answer.body})

    def _wait(self, told: ToldHeaders) -> float | None:
        return max(told.wait or 0, self._api.shortest_poll) or told.wait

    def _job(self, body: dict[str, Any], told: ToldHeaders, task_id: str) -> BackendJob:
        """Without an expiry: the one that the API gives is the address's, and the video may exist longer."""
        state = self._api.state(body)
        failure = self._api.failure(body)
        if not (failure.code or failure.text):
            failure = reason_in(body)
        outputs = self._api.outputs(body)
        return BackendJob(
            id=task_id,
            state=state,
            status=status_in(body),
            progress=self._api.progress(body),
            created_at=moment(body.get("created_at")) or moment(body.get("createdAt")),
            finished_at=moment(body.get("completed_at")),
            generation_ids=self._output_names(task_id, body, len(outputs))
            if state is BackendState.SUCCEEDED
            else (),
            model=text(body.get("model")),
            cost=self._api.cost(body),
            failure_code=failure.code,
            failure_message=failure.text,
            seems_done=state is BackendState.UNKNOWN and bool(outputs),
            poll_after=self._wait(told),
            request_id=told.request_id,
            told_at=told.date,
        )

    def _output_names(self, task_id: str, body: dict[str, Any], outputs: int) -> tuple[str, ...]:
        """The ids of the outputs; empty if nothing says where a video is."""
        if not outputs and self._api.content_path is None and not addresses_anywhere(body):
            return ()
        return (task_id, *(f"{task_id}{_OUTPUT}{number}" for number in range(1, outputs)))


def _is_about_the_task(error: BackendError) -> bool:
    """Whether an error in place of a result is about the task, and so is final; any other error may pass."""
    said = (error.detail or "").lower()
    if error.status == 404:
        return "path" in said  # the model has no such call
    if "in progress" in said:  # fal's result may lag behind its status
        return False
    return 400 <= (error.status or 0) < 500 and error.status not in _MAY_PASS


def _naming(answer: Answer, task_id: str) -> Answer:
    """The answer with the id in the usual place."""
    return answer._replace(body={**answer.body, "id": task_id})
