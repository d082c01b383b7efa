"""Standard error instead of Application Insights: the lines that the real host sends and, marked, those that it loses."""

from __future__ import annotations

import logging
import sys

from local.function_host.functions import current_function
from local.function_host.log_filter import LogFilter

_LOST = "  [logged outside of the function's own thread: Azure never shows it]"
_HOST = "local.function_host"


class _Console(logging.Handler):
    def __init__(self, levels: LogFilter) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._levels = levels

    def emit(self, record: logging.LogRecord) -> None:
        function = current_function()
        is_hosts = record.name.startswith(_HOST)
        own = f"Function.{function}" if function else "Host"
        category = own if is_hosts else f"{own}.User"
        if record.levelno < self._levels.level(category):
            return
        lost = not is_hosts and function is None
        print(self.format(record) + (_LOST if lost else ""), file=sys.stderr, flush=True)


def log_to_stderr(levels: LogFilter) -> None:
    root = logging.getLogger()
    root.handlers = [_Console(levels)]
    root.setLevel(min(levels.level("Function.any.User"), logging.INFO))
    # These log every single request to the storage.
    for chatty in ("azure", "urllib3", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
