"""How many clients of a backend a process keeps: an import names any model, and each client keeps a connection open."""

from __future__ import annotations

import gc
import weakref

from tests.settings_examples import BACKENDS


def test_models_that_imports_name_leave_a_hundred_clients_at_most() -> None:
    usual = BACKENDS.client(BACKENDS.default_ref(None))
    named = []
    for number in range(300):
        named.append(weakref.ref(BACKENDS.client(BACKENDS.default_ref(None, f"model-{number}"))))
        assert BACKENDS.client(BACKENDS.default_ref(None)) is usual, "the client in use is kept"
    gc.collect()
    assert sum(client() is not None for client in named) < 100
