"""Clients of the soak: each wants one job, repeats what it asks until it is answered, and some change their mind."""

from __future__ import annotations

import base64
import functools
import io
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import Any

import requests
from PIL import Image

from tests.faults.soak_machine import AZURE_SORA, OPENAI_VIDEOS, call

_ANSWER_WITHIN = 30.0  # seconds, for one request
_PAUSE = 0.3  # before the same request again
_READ_EVERY = 1.0
_TERMINAL = ("succeeded", "failed", "cancelled", "expired")


class Act(Enum):
    """What a client does besides submitting."""

    NOTHING = "nothing"
    CANCEL = "cancel"
    DELETE = "delete"
    RETRY = "cancel or let fail, then retry"
    IMPORT = "begin with an image, and import what may have been made of it where nobody knows"


@dataclass(frozen=True)
class Plan:
    """All that is random of a client, drawn from the seed before anything begins."""

    number: int
    backend: str
    prompt: str
    variants: int
    submit_at: float  #: seconds after the start
    impatient: bool  #: sends everything twice at once
    act: Act
    act_after: float  #: seconds after the answer

    @property
    def key(self) -> str:
        return f"soak-{self.number}"

    @property
    def body(self) -> dict[str, Any]:
        side = 480 if self.backend == AZURE_SORA else 64
        body = {"prompt": self.prompt, "size": f"{side}x{side}", "seconds": 1, "backend": self.backend}
        if self.variants > 1:
            body["variants"] = self.variants
        if self.act is Act.IMPORT:
            body["input_image"] = _image(side)
        return body


def plans(rng: random.Random, jobs: int, over: float) -> list[Plan]:
    """Half of the jobs for each dialect, at random moments. Every prompt is different, so that no two videos are
    the same, but for some twins: jobs that ask for the same at the same time."""
    made: list[Plan] = []
    for number in range(jobs):
        act = rng.choices([*Act], weights=[48, 14, 12, 13, 13])[0]
        words = f"soak {number}"
        if act is Act.RETRY and rng.random() < 0.3:
            words += " internal-failure"  # the simulated API fails such a job half-way
        backend = (AZURE_SORA, OPENAI_VIDEOS)[number % 2]
        plan = Plan(
            number=number,
            backend=backend,
            prompt=words,
            variants=rng.choice([1, 1, 2]) if backend == AZURE_SORA else 1,
            submit_at=rng.uniform(0, over),
            impatient=rng.random() < 0.2,
            act=act,
            act_after=rng.uniform(0, 10),
        )
        if number % 8 in (6, 7) and made[number - 2].act is not Act.IMPORT:
            twin = made[number - 2]
            later = twin.submit_at + rng.uniform(0, 1)
            plan = Plan(number, backend, twin.prompt, twin.variants, later, plan.impatient, Act.NOTHING, 0)
        made.append(plan)
    return made


class Client(threading.Thread):
    """Lives through one plan. What it was promised stands in its fields afterwards."""

    def __init__(self, api: str, plan: Plan, started: float, stopping: threading.Event) -> None:
        super().__init__(name=f"client-{plan.number}", daemon=True)
        self.plan = plan
        self.job_id: str | None = None
        self.retry_id: str | None = None
        self.import_id: str | None = None
        self.delete_asked = False
        self.problems: list[str] = []
        self.answers: Counter[str] = Counter()
        self._api = api
        self._begun_at = started
        self._stopping = stopping

    @property
    def job_ids(self) -> list[str]:
        """All that it was answered."""
        return [job_id for job_id in (self.job_id, self.retry_id, self.import_id) if job_id is not None]

    def run(self) -> None:
        try:
            self._live()
        except _Stopped:
            self.problems.append("it was not answered until the end")
        except Exception as error:  # noqa: BLE001 (told by the main thread)
            self.problems.append(f"{type(error).__name__}: {error}")

    def _live(self) -> None:
        plan = self.plan
        self._pause(max(self._begun_at + plan.submit_at - time.monotonic(), 0))
        self.job_id = self._ask_for_job(
            "POST", "/jobs", body=plan.body, headers={"Idempotency-Key": plan.key}
        )
        self._pause(plan.act_after)
        match plan.act:
            case Act.CANCEL:
                self._expect(self._ask("POST", f"/jobs/{self.job_id}/cancel"), 202)
            case Act.DELETE:
                self.delete_asked = True
                # A repeat of one that was carried out may come when all is gone already.
                self._expect(self._ask("DELETE", f"/jobs/{self.job_id}"), 202, 404)
            case Act.RETRY:
                if "internal-failure" not in plan.prompt:
                    self._expect(self._ask("POST", f"/jobs/{self.job_id}/cancel"), 202)
                if self._wait_for_the_end()["status"] != "succeeded":
                    self.retry_id = self._ask_for_job("POST", f"/jobs/{self.job_id}/retry")
            case Act.IMPORT:
                error = self._wait_for_the_end()["error"] or {}
                for found in error.get("candidates", [])[:1]:
                    body = {"backend": plan.backend, "backend_job_id": found}
                    self.import_id = self._ask_for_job("POST", "/jobs/import", body=body)

    def _wait_for_the_end(self) -> dict[str, Any]:
        """The job as it is then."""
        while True:
            answer = self._ask("GET", f"/jobs/{self.job_id}")
            self._expect(answer, 200)
            job: dict[str, Any] = answer.json()
            if job["status"] in _TERMINAL:
                return job
            self._pause(_READ_EVERY)

    def _ask_for_job(self, method: str, path: str, **request: Any) -> str:
        """The job's id, the same for everybody who asked. An impatient client asks twice at once, and again."""
        if self.plan.impatient:
            with ThreadPoolExecutor(2) as pool:
                answers = [*pool.map(lambda _: self._ask(method, path, **request), range(2))]
            answers.append(self._ask(method, path, **request))
        else:
            answers = [self._ask(method, path, **request)]
        for answer in answers:
            self._expect(answer, 202)
        ids = {answer.json()["id"] for answer in answers}
        if len(ids) > 1:
            self.problems.append(f"paid twice: {method} {path} gave {sorted(ids)}")
        return str(answers[0].json()["id"])

    def _ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> requests.Response:
        """As a client must that wants to be sure: again, until there is an answer that is no server's error."""
        while True:
            try:
                answer = call(method, self._api + path, json=body, headers=headers, timeout=_ANSWER_WITHIN)
            except requests.RequestException as error:
                self.answers[type(error).__name__] += 1
            else:
                self.answers[str(answer.status_code)] += 1
                if answer.status_code < 500:
                    return answer
                if answer.status_code != 503:
                    self.problems.append(
                        f"{method} {path} was answered {answer.status_code}: {answer.text[:300]}"
                    )
            self._pause(_PAUSE)

    def _expect(self, answer: requests.Response, *statuses: int) -> None:
        if answer.status_code not in statuses:
            raise AssertionError(
                f"{answer.request.method} {answer.request.path_url} was answered {answer.status_code}: {answer.text[:300]}"
            )

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _Stopped


@functools.cache
def _image(side: int) -> str:
    """A data URL."""
    content = io.BytesIO()
    Image.new("RGB", (side, side), "teal").save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


class _Stopped(Exception):
    """The soak is over, whether or not this client has what it wants."""
