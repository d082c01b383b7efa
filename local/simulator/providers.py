"""The providers whose imitations share `provider.Provider`."""

from .fal import Fal
from .provider import Provider
from .replicate import Replicate
from .xai import Xai

PROVIDERS: tuple[type[Provider], ...] = (Xai, Replicate, Fal)
