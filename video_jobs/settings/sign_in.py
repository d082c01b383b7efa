"""Whether the platform signs people in: our setting and the platform's own must both say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_OURS = "SIGN_IN"
_PLATFORMS = "WEBSITE_AUTH_ENABLED"  # set by App Service: `True` where its authentication is on
_OFF, _EASY_AUTH = "off", "easy-auth"


class SignIn(NamedTuple):
    """App Service removes the header that names the caller if a client sends it, but only while its authentication is
    on. So our setting alone must never be enough.
    """

    wanted: bool = False  #: our setting turns it on
    by_platform: bool = False  #: App Service's own setting turns it on

    @property
    def is_trusted(self) -> bool:
        return self.wanted and self.by_platform

    @property
    def problem(self) -> str | None:
        """The problem that the operator should mend; None if there is none."""
        if not self.wanted or self.by_platform:
            return None
        return (
            f"{_OURS} is {_EASY_AUTH}, but App Service's authentication is off ({_PLATFORMS} is not True), so "
            f"everybody shares the jobs of the owner 'default'. Turn authentication on for the app, or set {_OURS} "
            f"to {_OFF}."
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], problems: list[str]) -> SignIn:
        """Adds to `problems` what is wrong with our own setting."""
        said = environment.get(_OURS, "").strip().lower() or _OFF
        if said not in (_OFF, _EASY_AUTH):
            problems.append(
                f"{_OURS} must be {_OFF}, or {_EASY_AUTH} where App Service's authentication signs people in."
            )
        return cls(said == _EASY_AUTH, environment.get(_PLATFORMS, "").strip().lower() == "true")
