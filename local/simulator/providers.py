"""The providers whose imitations share `provider.Provider`."""

from .fal import Fal
from .gemini import Gemini
from .provider import Provider
from .replicate import Replicate
from .xai import Xai

PROVIDERS: tuple[type[Provider], ...] = (Xai, Replicate, Gemini, Fal)
