"""Access keys, as the Functions host asks for them.

FUNCTION takes the function key or the master key, ADMIN the master key only, ANONYMOUS none.
https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AccessKeys:
    """The host's keys. Who has neither asks nobody: then every function is open, as under `func start`."""

    function: str | None = field(default=None, repr=False)
    master: str | None = field(default=None, repr=False)

    def admit(self, auth_level: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request may call a function of that level; header names are lower case.

        Measured at the real host: case and blanks don't matter, the parameter's name may be in any case, of a key that
        is sent twice the first counts.
        """
        if auth_level == "anonymous" or not (self.function or self.master):
            return True
        by_query = next((value for name, value in query.items() if name.lower() == "code"), "")
        # Both at once: the header counts, and the parameter is not looked at.
        given = headers.get("x-functions-key", by_query).partition(",")[0].strip().lower()
        taken = (self.master,) if auth_level == "admin" else (self.function, self.master)
        return any(hmac.compare_digest(given.encode(), key.lower().encode()) for key in taken if key)
