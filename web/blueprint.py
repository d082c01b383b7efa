"""The bindings: the shell and its files, open to all. What they show is behind the API's key."""

from __future__ import annotations

import azure.functions as func

from http_edge.etags import has_already
from http_edge.operations import ETAG, IF_NONE_MATCH, Answer, Header, Operation, Parameter
from http_edge.problems import HttpProblem, answers_problems
from video_jobs.services import storage_origin
from web.files import SHELL, page_files, takes_gzip
from web.policy import POLICY_HEADERS, security_headers

blueprint = func.Blueprint()

_HEADERS = [
    ETAG,
    Header("Vary", "Accept-Encoding: compressed, it is another one."),
    *(Header(name, purpose) for name, purpose in POLICY_HEADERS.items()),
]
_SENT = [*_HEADERS, Header("Content-Encoding", "gzip, where it is taken.", required=False)]
_UNCHANGED = Answer("It is as you have it", headers=_HEADERS)


@blueprint.function_name("get_studio")
@blueprint.route("studio", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "The page for people",
    tag="Page",
    parameters=[IF_NONE_MATCH],
    answers={200: Answer("The page", media_type="text/html", headers=_SENT), 304: _UNCHANGED},
)
@answers_problems
def get_studio_function(req: func.HttpRequest) -> func.HttpResponse:
    return _file(req, SHELL)


@blueprint.function_name("get_studio_file")
@blueprint.route("studio/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "One of the page's files",
    tag="Page",
    parameters=[Parameter("name", "path", "A script, a style sheet or a drawing."), IF_NONE_MATCH],
    answers={200: Answer("The file", media_type="*/*", headers=_SENT), 304: _UNCHANGED},
    problems={404: ["page_not_found"]},
)
@answers_problems
def get_studio_file_function(req: func.HttpRequest) -> func.HttpResponse:
    return _file(req, req.route_params["name"])


def _file(req: func.HttpRequest, name: str) -> func.HttpResponse:
    file = page_files().get(name)
    if file is None:
        raise HttpProblem(
            404, "page_not_found", "The page has no file of this name. It begins at /api/studio."
        )
    packed = takes_gzip(req.headers.get("accept-encoding", ""))
    etag = file.gzipped_etag if packed else file.etag
    headers = {
        **security_headers(storage_origin()),
        "Cache-Control": "no-cache",  # kept, and asked about: a deployment shows at the next visit
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if has_already(req.headers, etag):
        return func.HttpResponse(status_code=304, headers=headers)
    headers["Content-Type"] = file.content_type
    if packed:
        headers["Content-Encoding"] = "gzip"
    return func.HttpResponse(file.gzipped if packed else file.content, headers=headers)
