"""Microsoft's own Python worker library, which Azure runs from Python 3.13 on, started without its host.

As a program it starts the app that lies in the folder it runs in, and prints the names of its functions and what some
of them answer: `python tests/azure_worker.py PATH…`, each path one of an anonymous GET.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class _Message(SimpleNamespace):
    """A stand-in for any protobuf message: the worker only sets and reads attributes."""


def _message(name: str, **constants: Any) -> type:
    return type(name, (_Message,), constants)


PROTOS = SimpleNamespace(
    BindingInfo=_message("BindingInfo", undefined=None, **{"in": 0, "out": 1, "inout": 2}),
    StatusResult=_message("StatusResult", Success="success", Failure="failure"),
    **{
        name: _message(name)
        for name in (
            "FunctionMetadataResponse",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcLog",
            "WorkerInitResponse",
            "WorkerMetadata",
        )
    },
)


def start(folder: Path) -> dict[str, Any]:
    """Index the app in a folder; gives its functions' metadata by name."""
    import azure_functions_runtime as worker

    worker.start_threadpool_executor()
    init = SimpleNamespace(capabilities={}, function_app_directory=str(folder))
    request = SimpleNamespace(
        request=SimpleNamespace(worker_init_request=init),
        properties={"host": "127.0.0.1", "protos": PROTOS},
    )
    answer = asyncio.run(worker.worker_init_request(request))
    assert answer.result.status == "success", vars(answer.result.exception)
    indexed = asyncio.run(worker.functions_metadata_request(None))
    assert indexed.result.status == "success", vars(indexed.result.exception)
    return {function.name: function for function in indexed.function_metadata_results}


def stop() -> None:
    import azure_functions_runtime as worker

    worker.stop_threadpool_executor()


def invoke(function: Any, name: str, datum: Any, metadata: dict[str, Any] | None = None) -> Any:
    from azure_functions_runtime.native_invocation import invocation_request_native

    ok, result, _, error, trace = asyncio.run(
        invocation_request_native("invocation", function.function_id, [(name, datum)], metadata or {})
    )
    assert ok, f"{error}\n{trace}"
    return result


def get(function: Any, path: str) -> tuple[int, bytes]:
    from azure_functions_runtime.bindings.datumdef import Datum

    http = {
        "method": Datum("GET", "string"),
        "url": Datum(f"https://app.example/api/{path}", "string"),
        "headers": {},
        "query": {},
        "params": {},
        "body": Datum(b"", "bytes"),
    }
    answer = invoke(function, "req", Datum(http, "http")).value
    body = answer["body"].value
    return int(answer["status_code"].value), body if isinstance(body, bytes) else str(body).encode()


def _route(function: Any) -> str | None:
    triggers = [json.loads(text) for text in function.raw_bindings]
    return next((binding.get("route") for binding in triggers if binding["type"] == "httpTrigger"), None)


def main(paths: list[str]) -> None:
    sys.path[0] = str(Path.cwd())  # the app's folder in place of this file's
    functions = start(Path.cwd())
    answers = {}
    for path in paths:
        [function] = [each for each in functions.values() if _route(each) == path]
        status, body = get(function, path)
        answers[path] = [status, len(body)]
    modules = sorted(
        str(Path(module.__file__).relative_to(Path.cwd()))
        for module in list(sys.modules.values())
        if getattr(module, "__file__", None) and Path(module.__file__ or "").is_relative_to(Path.cwd())
    )
    stop()
    print(json.dumps({"functions": sorted(functions), "answers": answers, "modules": modules}))


if __name__ == "__main__":
    main(sys.argv[1:])
