"""A watch over the whole run: every answer of an app on a function host in this process keeps the contract.

Its status, headers and body are those of its operation in the OpenAPI document. What the contract leaves open for
later fields is closed here: a field that it does not name is a mistake now.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from functools import cache, cached_property
from typing import Any
from unittest.mock import patch

from jsonschema_rs import Draft202012Validator

from contract_api.openapi import HttpFunction, http_functions, openapi
from http_edge.operations import Operation
from local.function_host.calls import Answer, HttpCall, Invocation
from local.function_host.functions import Functions

_ALWAYS_ALLOWED = {"content-type", "cache-control"}


class Contract:
    """The document, ready to hold answers against it."""

    @cached_property
    def _document(self) -> dict[str, Any]:
        import function_app

        document = openapi(function_app.blueprints)
        schemas = document["components"]["schemas"]
        document["components"]["schemas"] = {name: closed(schema) for name, schema in schemas.items()}
        return document

    @cached_property
    def _functions(self) -> Mapping[str, HttpFunction]:
        import function_app

        return {function.name: function for function in http_functions(function_app.blueprints)}

    def wrong_with(self, function: str, method: str, answer: Answer) -> list[str]:
        """What an answer of this function has that the contract does not, in words."""
        path, operation = self._functions[function].path, self._functions[function].operation
        if operation is not None and not operation.listed:
            return []
        described = self._document["paths"][path][method.lower()]["responses"].get(str(answer.status))
        place = f"{method} {path} {answer.status}"
        if described is None:
            return [f"{place}: the status is not in the contract: {answer.body[:200]!r}"]
        headers = {name.lower(): value for name, value in answer.headers}
        wrong = [*self._wrong_headers(described, headers), *self._wrong_body(described, headers, answer.body)]
        return [f"{place}: {what}" for what in wrong]

    def _wrong_headers(self, described: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
        named = {name.lower(): header for name, header in described.get("headers", {}).items()}
        for name in headers.keys() - named.keys() - _ALWAYS_ALLOWED:
            yield f"the header {name} is not in the contract"
        for name, header in named.items():
            if name not in headers:
                if header["required"]:
                    yield f"the header {name} is missing"
                continue
            value = headers[name]
            number = header["schema"].get("type") == "integer" and value.isdecimal()
            yield from (
                f"the header {name}: {error}"
                for error in self._errors(header["schema"], int(value) if number else value)
            )

    def _wrong_body(
        self, described: Mapping[str, Any], headers: Mapping[str, str], body: bytes
    ) -> Iterator[str]:
        content = described.get("content")
        if content is None:
            if body:
                yield f"a body that is not in the contract: {body[:200]!r}"
            return
        kind = headers.get("content-type", "").partition(";")[0]
        if "*/*" in content:
            return  # whatever it is
        if kind not in content:
            yield f"the content type {kind}; the contract has {', '.join(content)}"
        elif "schema" in content[kind]:
            packed = headers.get("content-encoding") == "gzip"
            try:
                value = json.loads(gzip.decompress(body) if packed else body)
            except ValueError:
                yield f"a body that is not JSON: {body[:200]!r}"
                return
            yield from (f"the body: {error}" for error in self._errors(content[kind]["schema"], value))

    def _errors(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        errors = self._validator(json.dumps(schema)).iter_errors(value)
        return [f"{'/'.join(map(str, error.instance_path))}: {error.message}"[:500] for error in errors]

    @cache  # noqa: B019 - there is one, as long as the run
    def _validator(self, schema: str) -> Draft202012Validator:
        whole = {**json.loads(schema), "components": self._document["components"]}
        return Draft202012Validator(whole, validate_formats=True)


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """With no room for fields that it does not name."""
    copy = deepcopy(dict(schema))
    if "properties" in copy:
        copy.setdefault("additionalProperties", False)
    return copy


class ContractWatch:
    """From `begin` to `end`, notes each answer that does not keep the contract."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._stack = ExitStack()
        self.found: list[str] = []

    def begin(self) -> None:
        run = Functions.run

        def run_and_check(functions: Functions, invocation: Invocation) -> Answer | None:
            answer = run(functions, invocation)
            call, handler = invocation.call, functions.handler(invocation.function)
            # Tests of the host itself have functions of their own, which promise nothing.
            if Operation.of(handler) is not None and isinstance(call, HttpCall) and answer is not None:
                self.found += self._contract.wrong_with(invocation.function, call.method, answer)
            return answer

        self._stack.enter_context(patch.object(Functions, "run", run_and_check))

    def end(self) -> None:
        self._stack.close()

    def refuse(self) -> None:
        """Fails when an answer since the last time was not as promised."""
        found, self.found = self.found, []
        assert not found, "\n".join(found)
