"""How many storage transactions a job costs, counted by the storage itself.

One small video, from the client's request to the last message of the job's chain, under the function host.
Left out: creating tables, queues and containers, which happens once a process, what the local host asks before it opens
its port, and looking into empty queues, which depends on how long there is nothing to do. The sweeper, which reads each live job once a minute,
is not running; what the gate costs is counted apart.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import requests

from tests.bench.azurite_log import Request, read_requests
from tests.bench.report import say, table, verdict
from tests.bench.stack import Stack, running_stack
from video_jobs.domain.queue_messages import FETCH_QUEUE, POLL_QUEUE
from video_jobs.storage.estimates import ESTIMATES_TABLE
from video_jobs.storage.gates import GATES_TABLE

MOST_A_POLL = 4  # dequeue, enqueue, update, delete; one more where another process has polled the job before
MOST_BESIDES = 20  # the gate included

SUBMIT, FETCH, END, LEARN = "submit", "fetch", "end", "learn"
# In place of minutes, and later than an idle queue is polled, so that the fetch comes before it.
_GUARD_SECONDS = 12
_SET_UP = {"Queue_Create", "Container_Create", "Table_Create", "Service_GetProperties"}
_WORDS = {  # for Azurite's names
    "Messages_Enqueue": "enqueue",
    "Messages_Dequeue": "dequeue",
    "MessageId_Delete": "delete message",
    "Table_Batch": "insert rows",
    "Table_InsertEntity": "insert row",
    "Table_MergeEntity": "upsert row",
    "Table_UpdateEntity": "update row",
    "Table_DeleteEntity": "delete row",
    "Table_QueryEntitiesWithPartitionAndRowKey": "read row",
    "Blob_GetProperties": "look for blob",
    "BlockBlob_StageBlock": "stage block",
    "BlockBlob_CommitBlockList": "commit blocks",
    "BlockBlob_Upload": "upload blob",
}
_LONGEST_WAIT = 90.0  # seconds
_ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Step:
    name: str
    operations: list[str] = field(default_factory=list)
    gate: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Transactions:
    steps: list[Step]

    @property
    def most_a_poll(self) -> int:
        """With the gate left out."""
        return max(len(step.operations) for step in self.steps if step.name.startswith("poll"))

    @property
    def besides_polls(self) -> int:
        """With all that the gate costs, that of the polls as well."""
        besides = sum(len(step.operations) for step in self.steps if not step.name.startswith("poll"))
        return besides + sum(len(step.gate) for step in self.steps if not _only_looks(step))


def run() -> None:
    say("Storage transactions of one job with one small video")
    counted = count()
    rows = [
        [step.name, str(len(step.operations)), str(len(step.gate)), _in_words(step.operations)]
        for step in counted.steps
    ]
    table("Storage transactions", ["step", "count", "gate", "which"], rows, words=1)
    polls, besides = counted.most_a_poll, counted.besides_polls
    say(f"  most in one poll, the gate left out: {verdict(polls, f'≤ {MOST_A_POLL}', polls <= MOST_A_POLL)}")
    say(
        f"  all the rest, the gate included: {verdict(besides, f'≤ {MOST_BESIDES}', besides <= MOST_BESIDES)}"
    )
    say(f"  (the guard's messages came after {_GUARD_SECONDS} s, not after minutes)")


def count(run_seconds: float = 8.0) -> Transactions:
    """Takes one job, which the video API works on so long, through the app: what did the storage have to do?"""
    with tempfile.TemporaryDirectory(prefix="reelkeep-bench-") as folder:
        log = Path(folder) / "azurite.log"
        with running_stack(debug_log=log) as stack:
            stack.api.configure(speed=1, queue_seconds=0, run_seconds=run_seconds)
            with _running_app(stack) as url:
                # The only request that a client makes: reading the job would count as well.
                answer = requests.post(f"{url}/api/jobs", json={"prompt": "a small video"}, timeout=60)
                answer.raise_for_status()
                served = _wait_for_the_end(log)
        return Transactions(_steps(served))


def _wait_for_the_end(log: Path) -> list[Request]:
    """Until every message that was sent has been deleted."""
    give_up_at = time.monotonic() + _LONGEST_WAIT
    while time.monotonic() < give_up_at:
        served = read_requests(log)
        done = Counter(request.operation for request in served)
        if done["Messages_Enqueue"] == done["MessageId_Delete"] > 0:
            return served
        time.sleep(0.2)
    raise TimeoutError(f"After {_LONGEST_WAIT:.0f} s the job's messages are not all done.")


def _steps(served: list[Request]) -> list[Step]:
    """A request belongs to the step that began last, and a message's deletion to the step that took it.

    That is exact for one job with one output: nothing but its deletion comes of a poll once it has asked for
    the download.
    """
    submit, fetch, end, learn = Step(SUBMIT), Step(FETCH), Step(END), Step(LEARN)
    polls: list[Step] = []
    now, taken_by = submit, dict[str, Step]()
    for request in served:
        if request.operation in _SET_UP:
            continue
        step = now
        if request.operation == "Messages_Dequeue":
            if not request.message_ids:
                continue
            if request.queue == POLL_QUEUE:
                polls.append(Step(f"poll {len(polls) + 1}"))
            step = now = polls[-1] if request.queue == POLL_QUEUE else fetch
            taken_by |= dict.fromkeys(request.message_ids, step)
        elif request.operation == "MessageId_Delete":
            step = taken_by[request.path.split("/")[2]]
        elif request.operation == "Messages_Enqueue" and request.queue == FETCH_QUEUE:
            step = fetch
        elif now is fetch and _ends_a_job(request):
            step = end
        elif request.path.startswith(ESTIMATES_TABLE):
            step = learn
        (step.gate if request.path.startswith(GATES_TABLE) else step.operations).append(request.operation)
    return [submit, *polls, fetch, end, learn]


def _only_looks(step: Step) -> bool:
    """A poll that reads the gate to know whether others wait, and does nothing to it."""
    return step.name.startswith("poll") and all(_WORDS.get(name) == "read row" for name in step.gate)


def _ends_a_job(request: Request) -> bool:
    return request.path.endswith("/job.json") or (
        request.method == "DELETE" and request.path.startswith("livejobs")
    )


def _in_words(operations: list[str]) -> str:
    return ", ".join(_WORDS.get(name, name) for name in operations)


@contextlib.contextmanager
def _running_app(stack: Stack) -> Iterator[str]:
    """The app under the function host, in a process of its own: the app reads its settings once a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.transactions"],
        env={**os.environ, **stack.environment, "VIDEO_RUNNING_LIMIT": "2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url.startswith("http://"):
            raise RuntimeError("The app did not start; what it said is above.")
        yield url
    finally:
        process.communicate()


def _serve() -> None:
    """Run the app until standard input ends."""
    import azure.functions as func

    import fetch_video.blueprint
    import poll_job.blueprint
    import poll_job.poll
    import submit_job.blueprint
    from local.function_host.host import FunctionHost

    poll_job.poll.guard_delay = lambda job, now: timedelta(seconds=_GUARD_SECONDS)  # type: ignore[attr-defined]
    app = func.FunctionApp()
    for blueprint in (submit_job.blueprint, poll_job.blueprint, fetch_video.blueprint):
        app.register_functions(blueprint.blueprint)  # type: ignore[no-untyped-call]
    with FunctionHost(app, host_json=_ROOT / "host.json") as host:
        print(host.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve()
