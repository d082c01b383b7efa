"""One run of the doctor: which checks it makes, and in which order, for one set of settings."""

from __future__ import annotations

from doctor.backend_check import check_backend
from doctor.configuration import Configuration
from doctor.downloads import show_downloads
from doctor.findings import Mark, right, unknown, warning, wrong
from doctor.gate_check import check_gate
from doctor.orphans import show_orphans
from doctor.printer import Printer
from doctor.storage_check import check_storage
from doctor.subject import find_claim, find_ours, find_subject
from video_jobs.domain.errors import InvalidSettings, StorageUnavailable, UnreadableRow
from video_jobs.domain.ids import is_job_id
from video_jobs.domain.job import Job
from video_jobs.ports import Claim, Clock
from video_jobs.settings.backends import BackendSettings
from video_jobs.storage.claims import TableClaims
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.gates import TableGates
from video_jobs.storage.jobs import TableJobs


class Doctor:
    """Prints each finding at once; the printer counts what is wrong."""

    def __init__(self, printer: Printer, configuration: Configuration, clock: Clock) -> None:
        self._printer = printer
        self._configuration = configuration
        self._clock = clock

    def go_through(self) -> None:
        """Check storage, then each backend and its gate."""
        storage = self._storage()
        usable = storage is not None and self._check_storage(storage)
        for backend in self._configuration.backends:
            self._printer.title(f"Backend '{backend.name}'")
            self._printer.findings(check_backend(backend, self._key(backend), self._clock()))
            if storage is not None and usable:
                self._printer.finding(check_gate(TableGates(storage.tables), backend, self._clock()))

    def find(self, named: str, backends: list[BackendSettings]) -> None:
        """Try all forms of the download URL for the id `named`, at the first of these backends that knows it."""
        storage = self._storage()
        if is_job_id(named):
            job = self._job(storage, named)
            if job is None:
                return
            backends = self._as_submitted(job)
            if not backends or job.backend_job_id is None:
                return
            named = job.backend_job_id
        ready = [backend for backend in backends if not self._configuration.key_is_missing(backend)]
        if not ready:
            self._printer.finding(wrong("key", "is missing for every backend that could be asked."))
            return
        subject = find_subject(ready, self._configuration.api_keys, named)
        claim = self._claim(storage, subject.backend.base_url, subject.job_id or named)
        key = self._key(subject.backend)
        show_downloads(self._printer, subject, key, claim, self._is_default(subject.backend), self._clock())

    def list_orphans(self, backends: list[BackendSettings]) -> None:
        """List the jobs of each of these backends that this app has not claimed."""
        storage = self._storage()
        if storage is None:
            self._printer.finding(wrong("storage", "is not configured, and it knows what has been claimed."))
            return
        for backend in backends:
            if self._configuration.key_is_missing(backend):
                self._printer.finding(
                    wrong("key", f"{backend.api_key_setting} is missing for '{backend.name}'.")
                )
                continue
            claims = TableClaims(storage.tables)
            is_default = self._is_default(backend)
            show_orphans(self._printer, backend, self._key(backend), claims, is_default, self._clock())

    # --- storage ---

    def _storage(self) -> StorageServices | None:
        if self._configuration.storage is None:
            return None
        try:
            return connect(self._configuration.storage, retry_total=1)
        except InvalidSettings as error:
            self._printer.finding(wrong("storage", str(error)))
            return None

    def _check_storage(self, storage: StorageServices) -> bool:
        """Whether the tables can be used."""
        self._printer.title("Storage")
        usable = False
        for finding in check_storage(storage, self._clock):
            self._printer.finding(finding)
            usable |= finding.subject == "tables" and finding.mark is Mark.RIGHT
        return usable

    # --- a job of ours ---

    def _job(self, storage: StorageServices | None, job_id: str) -> Job | None:
        """Say what the job's row contains."""
        if storage is None:
            self._printer.finding(
                wrong("storage", f"is not configured, and {job_id} is a job of this app's.")
            )
            return None
        try:
            job = find_ours(TableJobs(storage.tables), TableClaims(storage.tables), job_id)
        except (StorageUnavailable, UnreadableRow) as error:
            self._printer.finding(wrong("storage", str(error), "Without an id, the doctor says more."))
            return None
        if job is None:
            words = f"{job_id} is in the table of jobs no more, or no video API has it yet."
            self._printer.finding(
                wrong("job", words, "An id of the video API's own (gen_…, task_…, video_…) will do too.")
            )
            return None
        stored = [output for output in job.outputs if output.stored]
        at = (
            f"at '{job.backend.name}' it is {job.backend_job_id}"
            if job.backend_job_id
            else "no video API has it"
        )
        self._printer.finding(
            right("job", f"{job_id} is {job.status}; {at}; {len(stored)} of its videos are stored")
        )
        for output in stored:
            self._printer.finding(right("stored", f"GET /api/jobs/{job_id}/videos/{output.index}"))
        if job.backend_job_id is None:
            self._printer.finding(warning("video", "There is nothing to download yet.", job.reason))
        return job

    def _as_submitted(self, job: Job) -> list[BackendSettings]:
        """The job's backend, with the address that is stored in the job."""
        for backend in self._configuration.backends:
            if (backend.name, backend.dialect) == (job.backend.name, job.backend.dialect):
                return [
                    backend.model_copy(update={"base_url": job.backend.base_url, "model": job.backend.model})
                ]
        words = f"'{job.backend.name}', which has the job, is in the settings no more."
        self._printer.finding(
            wrong("backend", words, "Put it back into VIDEO_BACKENDS until its jobs have ended.")
        )
        return []

    def _claim(self, storage: StorageServices | None, base_url: str, backend_job_id: str) -> Claim | None:
        if storage is None:
            return None
        try:
            return find_claim(TableClaims(storage.tables), base_url, backend_job_id)
        except (StorageUnavailable, UnreadableRow) as error:
            self._printer.finding(
                unknown("storage", f"whether this app has it already can't be told: {error}")
            )
            return None

    # --- backends ---

    def _key(self, backend: BackendSettings) -> str | None:
        return self._configuration.api_keys.get(backend.name)

    def _is_default(self, backend: BackendSettings) -> bool:
        return backend.name == self._configuration.backends[0].name
