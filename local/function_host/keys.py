"""Access keys, checked like in the Functions host.

FUNCTION takes the function key or the master key, ADMIN the master key only, ANONYMOUS none.
https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AccessKeys:
    """The host's keys. Without any key every function is open, as under `func start`."""

    function: str | None = field(default=None, repr=False)
    master: str | None = field(default=None, repr=False)

    def admit(self, auth_level: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request may call a function of that level; header names are lower case.

        Measured at the real host: case and blanks don't matter, the parameter's name may be in any case, and if a key is
        sent twice, the first counts.
        """
        if auth_level == "anonymous" or not (self.function or self.master):
            return True
        by_query = next((value for name, value in query.items() if name.lower() == "code"), "")
        # If both are sent, the header counts, and the parameter is ignored.
        given = headers.get("x-functions-key", by_query).partition(",")[0].strip().lower()
        taken = (self.master,) if auth_level == "admin" else (self.function, self.master)
        return any(hmac.compare_digest(given.encode(), key.lower().encode()) for key in taken if key)
