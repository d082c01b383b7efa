"""What the function host refuses to start with."""


class AppError(ValueError):
    """The app asks for something this host cannot do; the message names the function and the way out."""


class HostJsonError(ValueError):
    """host.json holds a value that is not understood; the message names the setting."""
