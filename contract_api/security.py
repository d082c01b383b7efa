"""The keys of the contract, and which of them let a caller in."""

from __future__ import annotations

from collections.abc import Mapping

from http_edge.operations import Security

SCHEMES: Mapping[str, Mapping[str, str]] = {
    "function_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "A function key of the app in Azure. The local host needs none.",
    },
    "function_key_in_query": {
        "type": "apiKey",
        "in": "query",
        "name": "code",
        "description": "The same key, in the address.",
    },
    "master_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "The app's master key in Azure, for the operator.",
    },
    "api_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key from the app's settings.",
    },
    "api_key_in_header": {
        "type": "apiKey",
        "in": "header",
        "name": "api-key",
        "description": "The same key, as for Azure OpenAI.",
    },
}
LETS_IN: Mapping[Security, list[dict[str, list[str]]]] = {
    "function_key": [{"function_key": []}, {"function_key_in_query": []}],
    "master_key": [{"master_key": []}],
    "api_key": [{"api_key": []}, {"api_key_in_header": []}],
    "anonymous": [],
}
BY_LEVEL: Mapping[str, Security] = {
    "function": "function_key",
    "admin": "master_key",
    "anonymous": "anonymous",
}
