"""What must be true when nothing more happens: the simulated backend's books against what lies in storage."""

from __future__ import annotations

import hashlib
from collections import Counter

from backend_api.live import list_live
from tests.faults.machine import Machine
from tests.faults.scenarios import Story
from tests.pipeline import OWNER
from video_jobs.domain.job import Job, Status
from video_jobs.domain.webhook import WebhookStatus
from video_jobs.views.job_view import event_id


def broken_promises(machine: Machine, story: Story) -> list[str]:
    """In words, each with the invariant that it breaks; empty when all are kept."""
    pipeline = machine.pipeline
    everything = [job for stored in pipeline.jobs.everything() for job in [stored.job]]
    broken = _leftovers(machine, everything)
    nobodys = _nobodys(machine, everything) - story.elsewhere
    for job_id, allowed in story.ends.items():
        job = next((job for job in everything if job.id == job_id), None)
        if job is None:
            broken.append(f"lost: {job_id} is gone")
        elif job.status not in allowed and not (_is_doubt(job) and (story.doubt or not nobodys)):
            broken.append(f"{job_id} is {job.status} ({job.error}), not {' or '.join(sorted(allowed))}")
    for job in everything:
        broken += _about(machine, job)
    broken += [f"deleted: the row of {job.id} is there" for job in everything if job.id in story.deleted]
    broken += _untold(machine, everything)
    broken += [f"I11: {what} of {job_id}" for job_id, what in machine.standstills.items()]
    for job_id in story.deleted:
        names = [name for name in (*pipeline.blobs.videos, *pipeline.blobs.inputs) if job_id in name]
        broken += [f"deleted: the blob {name} is there" for name in names]
    return broken + _paid_twice(machine, everything, story)


def _is_doubt(job: Job) -> bool:
    """An outcome that is not known, said as such: fine where nothing was made, or nobody can find it."""
    return job.error is not None and job.error.code == "submission_unconfirmed"


def _nobodys(machine: Machine, everything: list[Job]) -> set[str]:
    """The backend's jobs that no job of ours names."""
    made = {entry.id for entry in machine.pipeline.simulator.world.everything()}
    return made - {job.backend_job_id for job in everything}


def _leftovers(machine: Machine, everything: list[Job]) -> list[str]:
    pipeline = machine.pipeline
    broken = [f"I3: a message is left: {message.text}" for message in pipeline.messages.queued]
    broken += [f"a live row is left: {key}" for key in pipeline.live_jobs.keys]
    for gate in pipeline.gates.all():
        broken += [f"a slot is left: {slot}" for slot in gate.slots]
        broken += ["the gate says that others wait, and nobody does"] if gate.contended else []
    held = pipeline.jobs.quota(OWNER).quota.alive
    broken += [f"{job_id} holds a place of its owner's" for job_id in held]
    owned = {(job.backend.base_url, job.backend_job_id): job.id for job in everything if job.backend_job_id}
    # Stopped while it took up what was there: it keeps that for the retry, which finds it by the claim.
    stopped = {
        job.id for job in everything if job.status is Status.CANCELLED and (job.adopts or job.retry_of)
    }
    for claim in pipeline.claims.claims.values():
        holder = owned.get((claim.base_url, claim.backend_job_id))
        if claim.job_id not in {job.id for job in everything}:
            broken.append(f"a claim is left: {claim}")
        elif holder is None and claim.job_id not in stopped:
            broken.append(f"a claim without use is left: {claim}")
    return broken


def _about(machine: Machine, job: Job) -> list[str]:
    if not job.is_terminal:
        return [f"I3: {job.id} stands still: it is {job.status} ({job.reason})"]
    broken = []
    blobs = machine.pipeline.blobs.videos
    for output in job.outputs:
        blob = blobs.get(f"{OWNER}/{job.id}/{output.index}.mp4")
        if output.stored is None:
            broken += [f"{job.id}/{output.index} has a blob that its row doesn't know"] if blob else []
        elif blob is None:
            broken.append(f"I4: {job.id}/{output.index} is stored and has no blob")
        elif hashlib.sha256(blob.content).hexdigest() != output.stored.sha256:
            broken.append(f"I4: {job.id}/{output.index} has other bytes than its row says")
        elif blob.content not in _served(machine, output.generation_id):
            broken.append(f"I4: {job.id}/{output.index} has other bytes than were generated")
    if job.status is Status.SUCCEEDED:
        if not job.outputs or any(output.stored is None for output in job.outputs):
            broken.append(f"I4: {job.id} is succeeded without its videos")
        if f"{OWNER}/{job.id}/job.json" not in blobs:
            broken.append(f"{job.id} has no job.json")
    if job.status is Status.CANCELLED and job.backend_job_id is not None:
        made = machine.pipeline.simulator.world.everything()
        if any(entry.id == job.backend_job_id and entry.deleted_at is None for entry in made):
            broken.append(f"{job.id} is cancelled, and the backend goes on with {job.backend_job_id}")
    return broken


def _untold(machine: Machine, everything: list[Job]) -> list[str]:
    """Whoever has a webhook hears of the end at least once, always under the same id."""
    broken = []
    for job in everything:
        if job.webhook is None or job.deleted_at is not None:
            continue
        told = machine.pipeline.receiver.told_of(job.id)
        if job.webhook.status is not WebhookStatus.DELIVERED:
            broken.append(f"the webhook of {job.id} is {job.webhook.status}")
        if {(one.id, one.event["type"]) for one in told} != {(event_id(job), f"job.{job.status}")}:
            broken.append(f"the receiver heard of {job.id}: {[one.id for one in told]}")
        if len({one.body for one in told}) > 1:
            broken.append(f"the receiver heard of {job.id} in different words")
    given_up = list_live(machine.pipeline.services, {"show": "given_up"})["jobs"]
    broken += [f"the operator is told that the webhook of {job['id']} was given up" for job in given_up]
    return broken + [f"a webhook is left turned off: {hook}" for hook in machine.pipeline.hooks.off]


def _served(machine: Machine, generation_id: str) -> list[bytes]:
    made = machine.pipeline.simulator.world.everything()
    return [o.rendering.result().mp4 for entry in made for o in entry.outputs if o.id == generation_id]


def _paid_twice(machine: Machine, everything: list[Job], story: Story) -> list[str]:
    """I2: each job has at most one backend job, and each backend job is some job's, or owned up to."""
    broken = []
    used = Counter(job.backend_job_id for job in everything if job.backend_job_id)
    taken_over = {job.retry_of for job in everything}
    for backend_job_id in used:
        holders = [job for job in everything if job.backend_job_id == backend_job_id]
        if len([job for job in holders if job.id not in taken_over]) > 1:
            broken.append(f"I2: {backend_job_id} is the video of {[job.id for job in holders]}")
    doubts = sum(_is_doubt(job) for job in everything)
    made = len(machine.pipeline.simulator.world.everything())
    if story.most_paid is not None and made > story.most_paid:
        broken.append(f"I2: {made} were made at the backend, and at most {story.most_paid} were wanted")
    retries = Counter(job.retry_of for job in everything if job.retry_of)
    broken += [f"{old} was tried again {times} times" for old, times in retries.items() if times > 1]
    nobodys = _nobodys(machine, everything) - story.elsewhere
    if len(nobodys) > doubts + len(story.deleted):
        broken.append(f"I2: paid for and nobody's: {sorted(nobodys)}; unconfirmed jobs: {doubts}")
    return broken
