"""python -m local.function_host [--port 7071] [--app-root DIR] [--lease-seconds N] [--function-key KEY]"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from local.function_host.console import log_to_stderr
from local.function_host.errors import AppError, HostJsonError
from local.function_host.host import LEASE_SECONDS, FunctionHost
from local.function_host.host_json import HostJson
from local.function_host.keys import AccessKeys
from local.function_host.storage_watch import watch_storage
from local.function_host.workers import WorkerProcess
from local.stop_signal import StopSignal

log = logging.getLogger("local.function_host")


class _End(StopSignal):
    """Why the host must end: a signal, a third crash of the worker, or storage out of reach."""

    def ask_because(self, why: str) -> None:
        log.warning("Stopping: %s", why)
        self.ask()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, _exit_at_once)
        self.ask()


def main() -> int:
    """Run the app until it is told to stop. The exit code: 0, or 1 for an app that cannot be run."""
    options = _options()
    app_root: Path = options.app_root.resolve()
    end = _End()
    signal.signal(signal.SIGINT, end.on_signal)
    signal.signal(signal.SIGTERM, end.on_signal)
    try:
        os.chdir(app_root)
        settings = HostJson.read(app_root / "host.json")
        log_to_stderr(settings.logs)
        load_settings(app_root / "local.settings.json")
        worker = WorkerProcess(
            app_root,
            settings.logs,
            lambda: end.ask_because("the worker died for the third time in half an hour"),
        )
        try:
            host = FunctionHost(
                worker,
                host_json=settings,
                port=options.port,
                lease_seconds=options.lease_seconds,
                app_root=app_root,
                keys=AccessKeys(options.function_key, options.master_key),
            )
        except BaseException:
            worker.close()
            raise
    except (AppError, HostJsonError, OSError, ValueError) as error:
        print(f"The function host cannot start: {error}", file=sys.stderr)
        return 1
    _serve(host, end)
    # Otherwise the interpreter would wait for threads that still run.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


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


def _serve(host: FunctionHost, end: _End) -> None:
    starting = threading.Thread(target=host.start, name="start", daemon=True)
    starting.start()
    while starting.is_alive() and not end.is_asked:
        starting.join(0.1)
    if not end.is_asked:
        print("Functions:", *host.describe(), sep="\n  ", flush=True)
        print(f"Ready on {host.url} (Ctrl-C stops it)", flush=True)
        if host.storage_endpoint is not None:
            watch_storage(host.storage_endpoint, lambda: end.ask_because("storage refuses connections"))
        end.wait()
    host.stop()


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


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
