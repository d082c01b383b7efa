"""The providers whose imitations share `provider.Provider`."""

from .provider import Provider
from .replicate import Replicate

PROVIDERS: tuple[type[Provider], ...] = (Replicate,)
