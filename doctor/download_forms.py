"""Every form of a download's URL that is documented or that somebody tried, and why most of them can't work. Pure.

The documented ones come first. Sources: the published descriptions of both protocols, and the questions of people
whose job had succeeded and whose every download was 404.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from video_jobs.backends.providers import TASK_APIS
from video_jobs.backends.task_api import path_of
from video_jobs.settings.backends import BackendSettings

VIDEO, THUMBNAIL = "the video", "the thumbnail"


@dataclass(frozen=True)
class Form:
    url: str
    #: What a documented form gives, or, for one that is not documented, why it does not.
    words: str
    documented: bool = False
    gives_video: bool = False  #: as documented


def forms_of(
    backend: BackendSettings, job_id: str | None, generation_id: str | None, named_urls: Sequence[str]
) -> Iterator[Form]:
    """`named_urls` are the URLs in the job's own record."""
    if backend.dialect == "azure-sora":
        yield from _sora_forms(backend, job_id, generation_id)
    elif backend.dialect in TASK_APIS:
        yield from _task_forms(backend, job_id or "", named_urls)
    else:
        yield from _videos_forms(backend, generation_id or job_id or "", named_urls)


def _sora_forms(backend: BackendSettings, job_id: str | None, generation_id: str | None) -> Iterator[Form]:
    base = backend.base_url
    root = base.removesuffix("/video/generations")
    version = "api-version=preview"
    if generation_id is not None:
        of = f"{base}/{quote(generation_id, safe='')}"
        other = quote(generation_id, safe="")
        yield Form(f"{of}/content/video?{version}", VIDEO, documented=True, gives_video=True)
        yield Form(f"{of}/content/video?{version}&quality=high", VIDEO, documented=True, gives_video=True)
        yield Form(f"{of}/content/video?{version}&quality=low", VIDEO, documented=True, gives_video=True)
        yield Form(f"{of}/content/thumbnail?{version}", THUMBNAIL, documented=True)
        yield Form(f"{of}/content?{version}", "there is no bare /content: /video is missing behind it")
        yield Form(f"{of}/content", "neither /video nor the api-version")
        yield Form(f"{of}/content/video", "without api-version it means v1, which lacks these paths")
        yield Form(f"{of}/content/video?api-version=v1", "v1 lacks these paths: it must be 'preview'")
        for dated in ("2024-10-21", "2025-04-01-preview"):
            yield Form(
                f"{of}/content/video?api-version={dated}",
                "no dated version has these paths: it must be 'preview'",
            )
        yield Form(
            f"{of}?{version}", "the generation's record: it says that it exists, and never where the video is"
        )
        yield Form(
            f"{root}/generations/{other}/content/video?{version}", "/video is missing before /generations"
        )
        yield Form(
            f"{root}/generations/{other}/content?{version}",
            "/video is missing, before /generations and at the end",
        )
        yield Form(f"{root}/videos/{other}/content", "that is Sora 2's path, whose ids are other ones")
        yield Form(f"{base}/jobs/{other}/content/video?{version}", "below /jobs there is no content")
    if job_id is not None:
        job = quote(job_id, safe="")
        yield Form(f"{base}/{job}/content/video?{version}", "the job's id in place of the generation's")
        yield Form(
            f"{base}/jobs/{job}/content/video?{version}", "the job's id, and below /jobs there is no content"
        )
        yield Form(
            f"{base}/jobs/{job}/content?{version}", "the job's id, and below /jobs there is no content"
        )
        yield Form(f"{root}/videos/{job}/content", "that is Sora 2's path, whose ids are other ones")


def _task_forms(backend: BackendSettings, task_id: str, named_urls: Sequence[str]) -> Iterator[Form]:
    for url in named_urls:
        yield Form(url, VIDEO, documented=True, gives_video=True)
    path = path_of(TASK_APIS[backend.dialect].job_path, backend.model, task_id.partition("#")[0])
    yield Form(f"{backend.base_url}{path}", "the task's record: it says where the video is")


def _videos_forms(backend: BackendSettings, video_id: str, named_urls: Sequence[str]) -> Iterator[Form]:
    base = backend.base_url
    of = f"{base}/videos/{quote(video_id, safe='')}"
    yield Form(f"{of}/content", VIDEO, documented=True, gives_video=True)
    yield Form(f"{of}/content?variant=video", VIDEO, documented=True, gives_video=True)
    yield Form(f"{of}/content?variant=thumbnail", THUMBNAIL, documented=True)
    yield Form(f"{of}/content?variant=spritesheet", "a sheet of thumbnails", documented=True)
    for url in named_urls:
        yield Form(url, "named by the job's record, as some gateways do")
    yield Form(of, "the video's record: it says that it exists")
    yield Form(f"{of}/content/video", "nothing stands behind /content: the variant is a parameter")
    yield Form(f"{of}/download", "the path is /content")
    yield Form(
        f"{base}/video/generations/{quote(video_id, safe='')}/content/video?api-version=preview",
        "Sora 1's path",
    )
    if quote(video_id, safe="") != video_id:
        yield Form(f"{base}/videos/{video_id}/content", "the id must be percent-encoded")
