"""`python -m local.simulator`: the simulated video API until Ctrl-C or SIGTERM."""

import argparse
import signal
import sys

from local.stop_signal import StopSignal

from .server import Simulator
from .settings import Settings, UnknownSettingError


def main() -> int:
    """Run until a signal stops it. The exit code is 2 if an argument is not usable."""
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description="A simulated video API.")
    parser.add_argument("--port", type=int, default=8080, help="0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--pace",
        type=float,
        default=1.0,
        help="how many times faster than at the real services a job is done; the clock keeps the real time (default: 1)",
    )
    parser.add_argument(
        "--api-key", default="sim-key", help="the only key that is accepted (default: %(default)s)"
    )
    chosen = parser.parse_args()

    if chosen.pace <= 0:
        parser.error("--pace wants a number above 0")
    usual = Settings()
    timings = {
        "queue_seconds": usual.queue_seconds / chosen.pace,
        "run_seconds": usual.run_seconds / chosen.pace,
    }

    stop = StopSignal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.ask())
    try:
        with Simulator(api_key=chosen.api_key, port=chosen.port, **timings) as simulator:
            print(
                f"Simulated video API at {simulator.url} with signed links at {simulator.signed_origin}",
                flush=True,
            )
            stop.wait()
    except UnknownSettingError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"Port {chosen.port} can't be used ({error.strerror}): choose another with --port.",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
