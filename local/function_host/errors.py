"""What the function host refuses to start with."""


class AppError(ValueError):
    """The app needs something that this host can't do. The message names the function and says what to do."""


class HostJsonError(ValueError):
    """host.json holds a value that is not understood; the message names the setting."""
