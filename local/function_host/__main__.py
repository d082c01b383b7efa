"""python -m local.function_host [--port 7071] [--app-root DIR] [--lease-seconds N] [--function-key KEY]"""

import argparse
import importlib
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import azure.functions as func

from local.function_host.errors import AppError, HostJsonError
from local.function_host.host import LEASE_SECONDS, FunctionHost
from local.function_host.host_json import HostJson
from local.function_host.keys import AccessKeys

log = logging.getLogger("local.function_host")


class _StopRequest(BaseException):
    """Ctrl-C or SIGTERM; not an Exception, so that nothing on the way takes it for an error."""


def main() -> int:
    """Run the app until it is told to stop. The exit code: 0, or 1 for an app that cannot be run."""
    options = _options()
    app_root: Path = options.app_root.resolve()
    signal.signal(signal.SIGINT, _request_stop)
    signal.signal(signal.SIGTERM, _request_stop)
    try:
        os.chdir(app_root)
        settings = HostJson.read(app_root / "host.json")
        _log_to_stderr(settings.log_level)
        load_settings(app_root / "local.settings.json")
        host = FunctionHost(
            load_app(app_root),
            host_json=settings,
            port=options.port,
            lease_seconds=options.lease_seconds,
            app_root=app_root,
            keys=AccessKeys(options.function_key, options.master_key),
        )
    except (AppError, HostJsonError, OSError, ValueError) as error:
        print(f"The function host cannot start: {error}", file=sys.stderr)
        return 1
    except _StopRequest:
        return 0
    return _serve(host)


def load_settings(path: Path) -> None:
    """Put the file's "Values" into the environment, where the name is not set already.

    Raises AppError for a file that cannot be read.
    """
    if not path.is_file():
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig")).get("Values", {})
        for name, value in values.items():
            os.environ.setdefault(name, value)
    except (ValueError, TypeError, AttributeError) as error:
        raise AppError(f"{path} must be an object whose Values are strings: {error}") from error


def load_app(app_root: Path) -> func.FunctionApp:
    """Import function_app from the app root and find the one FunctionApp in it.

    Raises AppError when it is missing or not the only one.
    """
    if not (app_root / "function_app.py").is_file():
        raise AppError(f"There is no function_app.py in {app_root}. Name its folder with --app-root.")
    if str(app_root) not in sys.path:
        sys.path.insert(0, str(app_root))
    module = importlib.import_module("function_app")
    apps = {id(value): value for value in vars(module).values() if isinstance(value, func.FunctionApp)}
    if len(apps) != 1:
        raise AppError(f"function_app.py must hold one FunctionApp, and it holds {len(apps)}.")
    return next(iter(apps.values()))


def _serve(host: FunctionHost) -> int:
    try:
        host.start()
        print("Functions:", *host.describe(), sep="\n  ", flush=True)
        print(f"Ready on {host.url} (Ctrl-C stops it)", flush=True)
        while True:
            time.sleep(3600)
    except _StopRequest:
        log.warning("Stopping: waiting for what runs; a second Ctrl-C ends it at once")
        finished = host.stop()
    if not finished:
        # The interpreter would wait for the threads of what was left behind.
        logging.shutdown()
        os._exit(0)
    return 0


def _request_stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _exit_at_once)
    raise _StopRequest


def _exit_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _log_to_stderr(level: int) -> None:
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # These tell of every single request to the storage.
    for chatty in ("azure.core", "azure.identity", "urllib3"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.function_host", description="Runs a function app without Core Tools."
    )
    parser.add_argument("--port", type=int, default=7071, help="where HTTP is served (7071; 0: a free one)")
    parser.add_argument(
        "--app-root", type=Path, default=Path(), help="the folder of function_app.py and host.json"
    )
    parser.add_argument(
        "--lease-seconds",
        type=int,
        default=LEASE_SECONDS,
        help=f"how long a killed host hides its messages ({LEASE_SECONDS})",
    )
    parser.add_argument(
        "--function-key", help="what callers must send as x-functions-key or ?code= (nothing)"
    )
    parser.add_argument("--master-key", help="the same, for functions of the admin level too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
