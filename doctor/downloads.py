"""`--generation ID`: what each form of the download URL answers, which one is right, and what to do with it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime

from doctor.download_forms import VIDEO, Form, forms_of
from doctor.findings import Mark, right, warning, wrong
from doctor.printer import Printer, Row
from doctor.subject import Subject
from doctor.wire import Response, Wire, is_own
from video_jobs.backends.credentials import key_headers, signer
from video_jobs.backends.elsewhere import Elsewhere
from video_jobs.backends.providers import TASK_APIS
from video_jobs.domain.backend_job import BackendState
from video_jobs.net.web_address import read_address
from video_jobs.ports import Claim
from video_jobs.settings.backends import BackendSettings

_MOST_REDIRECTS = 5


@dataclass(frozen=True)
class Tried:
    form: Form
    response: Response  #: what came in the end
    by: str = ""  #: "302 to HOST", where a redirect led there

    @property
    def mark(self) -> Mark | None:
        """None if the form fails as expected."""
        if self.form.documented:
            wanted = "video" if self.form.gives_video else "picture"
            return Mark.RIGHT if (self.response.status, self.response.kind) == (200, wanted) else Mark.WRONG
        return Mark.WARNING if (self.response.status, self.response.kind) == (200, "video") else None


def show_downloads(
    printer: Printer,
    subject: Subject,
    api_key: str | None,
    claim: Claim | None,
    is_default: bool,
    now: datetime,
) -> None:
    """Print the record, the table, and one sentence that says what to do. Raises NotSent if it can get no token."""
    backend = subject.backend
    named = subject.generation_id or subject.job_id or ""
    printer.title(f"Downloads of {named} at '{backend.name}'")
    _show_record(printer, subject, now)
    wire = Wire(backend.base_url, signer(backend, api_key), Elsewhere(backend.trusted_origins))
    forms = forms_of(backend, subject.job_id, subject.generation_id, subject.named_urls)
    tried = [_try(wire, form) for form in forms]
    printer.line()
    printer.table(
        ("answer", "content type", "first bytes", "bytes", "why"), [_row(entry, backend) for entry in tried]
    )
    printer.title("What to do")
    _conclude(printer, subject, tried, now)
    _show_import(printer, subject, claim, is_default)


def import_call(backend: BackendSettings, is_default: bool, **named: str) -> str:
    """The curl line that imports a backend job."""
    body = {**named} if is_default else {**named, "backend": backend.name}
    if backend.dialect in TASK_APIS and TASK_APIS[backend.dialect].finds_by_model:
        body["model"] = backend.model
    text = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"""curl -s "$API/jobs/import" -H "x-functions-key: $KEY" -H 'Content-Type: application/json' -d {text}"""


def _try(wire: Wire, form: Form) -> Tried:
    """Follows redirects, but sends the key to no other origin."""
    response, by = wire.get(form.url), ""
    for _ in range(_MOST_REDIRECTS):
        if (
            not response.redirects
            or response.location is None
            or not response.location.startswith(("http://", "https://"))
        ):
            break
        by = f"{response.status} to {response.redirect_host}"
        response = wire.get(response.location)
    return Tried(form, response, by)


def _show_record(printer: Printer, subject: Subject, now: datetime) -> None:
    found = subject.found
    if subject.problem:
        printer.finding(wrong("record", subject.problem))
        return
    if found is None:
        words = f"'{subject.backend.name}' knows neither a job nor a video of this id."
        printer.finding(
            wrong(
                "record",
                words,
                "Ids belong to one resource, and it forgets them after a day: is it this one?",
            )
        )
        return
    if subject.backend.dialect == "azure-sora":
        made = ", ".join(found.generation_ids) or "none"
        printer.finding(right("record", f"job {subject.job_id}, generations: {made}"))
    if found.state is BackendState.SUCCEEDED:
        printer.finding(right("status", found.status or ""))
    elif found.state in (BackendState.FAILED, BackendState.CANCELLED):
        why = found.failure_message or found.failure_code or "it does not say why"
        printer.finding(
            wrong("status", f"{found.status} ({why}): there is no video.", "Only a new job can bring one.")
        )
    else:
        printer.finding(
            warning("status", f"{found.status}: there is no video yet.", "Ask again when it has succeeded.")
        )
    if found.expires_at is not None:
        printer.finding(
            right("kept until", _until(found.expires_at, now))
            if found.expires_at > now
            else wrong("kept until", f"{found.expires_at:%Y-%m-%d %H:%M} UTC, which is over.")
        )


def _row(entry: Tried, backend: BackendSettings) -> Row:
    response, path = entry.response, _shown(entry.form.url, backend)
    answer = f"{response.status or 'none'}{f' by {entry.by}' if entry.by else ''}"
    kind = response.kind if response.status else ""
    length = "" if response.length is None else f"{response.length:,}"
    why = f"documented: {entry.form.words}" if entry.form.documented else entry.form.words
    return Row(
        (answer, response.content_type, kind, length, response.problem or why), entry.mark, f"GET {path}"
    )


def _shown(url: str, backend: BackendSettings) -> str:
    """For another origin only the host: the rest may contain a signature."""
    try:
        address = read_address(url)
    except ValueError:
        return "an address that can't be used"
    return address.target if is_own(url, backend.base_url) else f"{address.scheme}://{address.host}/…"


def _until(moment: datetime, now: datetime) -> str:
    minutes = int((moment - now).total_seconds() // 60)
    left = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"{moment:%Y-%m-%d %H:%M} UTC, {left} from now"


def _conclude(printer: Printer, subject: Subject, tried: list[Tried], now: datetime) -> None:
    good = next((entry for entry in tried if entry.mark is Mark.RIGHT and entry.form.gives_video), None)
    good = good or next((entry for entry in tried if entry.mark is Mark.WARNING), None)
    if good is not None:
        _use(printer, subject, good, now)
        return
    first = tried[0].response
    said = f"The documented one answers {first.in_words}"
    if first.problem:
        said = f"Of the documented one: {first.problem.removesuffix('.')}"
    state = subject.found.state if subject.found else None
    if first.status in (401, 403):
        why = "the video API does not let us have it: mend the key or the role first. A 403 on a finished video may pass"
    elif first.problem:
        why = "mend that first"
    elif state is BackendState.SUCCEEDED:
        why = "the record says that it succeeded and the bytes are not served: try again in some minutes, until it expires"
    elif subject.problem:
        why = "the video API could not be asked: `make doctor` without an id says why"
    elif state is None:
        why = "this resource does not know the id (any more), so no form of the URL can work"
    else:
        why = "there is no video to download, whatever the URL"
    printer.finding(wrong("no video", f"no form of the URL gives it. {said}. So {why}."))


def _use(printer: Printer, subject: Subject, good: Tried, now: datetime) -> None:
    backend = subject.backend
    own = is_own(good.form.url, backend.base_url)
    printer.paragraph(
        "Use this URL:" if own else "Use the URL in the job's own record; it is at another host."
    )
    if own:
        printer.command(f"curl -sL {_key_header(backend)}{shlex.quote(good.form.url)} -o video.mp4")
    if backend.dialect == "azure-sora":
        printer.paragraph(
            "The others fail since the video is the generation's (gen_…) and not the job's (task_…), lies below "
            "/video/generations, ends in /content/video, and is known under api-version=preview only."
        )
    elif backend.dialect in TASK_APIS:
        printer.paragraph("If it has ended, read the task's record again: it names another one.")
    elif good.form.words == VIDEO:
        printer.paragraph(
            "The others fail since the video is at /videos/{id}/content, with the id percent-encoded."
        )
    expires = subject.found.expires_at if subject.found else None
    if expires is not None:
        printer.paragraph(f"The video API deletes it at {_until(expires, now)}.")
    else:
        hours = f"{backend.retention_hours:g}"
        printer.paragraph(
            f"When it is deleted, its record does not say; this app expects {hours} hours after its creation."
        )


def _key_header(backend: BackendSettings) -> str:
    if backend.auth == "none":
        return ""
    if backend.api_key_setting is None:
        return '-H "Authorization: Bearer $TOKEN" '
    headers = key_headers(backend, f"${backend.api_key_setting}")
    return "".join(f'-H "{name}: {value}" ' for name, value in headers.items())


def _show_import(printer: Printer, subject: Subject, claim: Claim | None, is_default: bool) -> None:
    if claim is not None:
        printer.paragraph(
            f"This app has it already, as {claim.job_id}, and keeps it: GET /api/jobs/{claim.job_id}"
        )
        return
    if subject.found is None or subject.found.state in (BackendState.FAILED, BackendState.CANCELLED):
        return
    printer.paragraph(
        "Or let this app fetch and keep it ($API is its address with /api, $KEY its function key):"
    )
    printer.command(
        import_call(subject.backend, is_default, backend_job_id=subject.job_id or subject.found.id)
    )
