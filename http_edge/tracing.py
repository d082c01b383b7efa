"""Hands the trace of a request on to what it starts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import azure.functions as func

from video_jobs.trace import following

Handler = Callable[[func.HttpRequest], func.HttpResponse]
TracedHandler = Callable[..., func.HttpResponse]

_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    for name, annotation in (("req", func.HttpRequest), ("context", func.Context))
]


def traced(handler: Handler) -> TracedHandler:
    """The host makes a trace for each request, or takes that of the client's `traceparent`, and gives it with the
    context, which a handler gets by asking for it."""

    @functools.wraps(handler)
    def tracing(req: func.HttpRequest, context: func.Context | None = None) -> func.HttpResponse:
        trace = getattr(context, "trace_context", None)
        with following(getattr(trace, "Traceparent", None)):
            return handler(req)

    tracing.__signature__ = inspect.Signature(_PARAMETERS, return_annotation=func.HttpResponse)  # type: ignore[attr-defined]
    tracing.__annotations__ = {"req": func.HttpRequest, "context": func.Context, "return": func.HttpResponse}
    return tracing
