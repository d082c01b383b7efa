"""The providers whose imitations share `provider.Provider`."""

from .fal import Fal
from .provider import Provider
from .replicate import Replicate

PROVIDERS: tuple[type[Provider], ...] = (Replicate, Fal)
