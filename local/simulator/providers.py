"""The simulated providers that share `provider.Provider`."""

from .byteplus import BytePlus
from .fal import Fal
from .gemini import Gemini
from .provider import Provider
from .replicate import Replicate
from .xai import Xai

PROVIDERS: tuple[type[Provider], ...] = (Xai, Replicate, Gemini, BytePlus, Fal)
