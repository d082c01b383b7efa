"""Passes a request's trace and invocation on to the messages that a handler sends and the threads that it uses.

The host accepts a log line only from a thread that belongs to an invocation. Log lines of other threads are lost. https://learn.microsoft.com/azure/azure-functions/functions-reference-python#log-from-created-threads
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

import azure.functions as func

from video_jobs.domain.trace import following

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])

Handler = Callable[[func.HttpRequest], func.HttpResponse]
AsyncHandler = Callable[[func.HttpRequest], Coroutine[Any, Any, func.HttpResponse]]

_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    for name, annotation in (("req", func.HttpRequest), ("context", func.Context))
]
_context: ContextVar[func.Context | None] = ContextVar("context", default=None)


def traced(handler: Handler) -> Callable[..., func.HttpResponse]:
    """Everything that the handler sends and logs gets the request's trace: the client's `traceparent`, or else the host's."""

    @functools.wraps(handler)
    def tracing(req: func.HttpRequest, context: func.Context | None = None) -> func.HttpResponse:
        trace = getattr(context, "trace_context", None)
        with following(getattr(trace, "Traceparent", None)):
            return handler(req)

    return _taking_context(tracing)


def with_threads(handler: AsyncHandler) -> Callable[..., Coroutine[Any, Any, func.HttpResponse]]:
    """For a handler that uses `on_thread`."""

    @functools.wraps(handler)
    async def keeping(req: func.HttpRequest, context: func.Context | None = None) -> func.HttpResponse:
        _context.set(context)  # in the task's own copy
        return await handler(req)

    return _taking_context(keeping)


async def on_thread(call: Callable[[], T]) -> T:
    """Call the function on another thread whose log lines belong to this invocation; give its result."""
    context = _context.get()
    local = getattr(context, "thread_local_storage", None)

    def known() -> T:
        if context is None or local is None:
            return call()
        local.invocation_id = context.invocation_id
        try:
            return call()
        finally:
            local.invocation_id = None

    return await asyncio.to_thread(known)


def _taking_context(handler: C) -> C:
    """Give the handler a `context` parameter: the host reads the parameters' names to decide what it passes."""
    handler.__signature__ = inspect.Signature(_PARAMETERS, return_annotation=func.HttpResponse)  # type: ignore[attr-defined]
    handler.__annotations__ = {"req": func.HttpRequest, "context": func.Context, "return": func.HttpResponse}
    return handler
