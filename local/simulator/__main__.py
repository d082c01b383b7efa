"""`python -m local.simulator`: the simulated video API until Ctrl-C or SIGTERM."""

import argparse
import signal
import sys

from local.stop_signal import StopSignal

from .server import Simulator
from .settings import UnknownSettingError


def main() -> int:
    """Run until a signal stops it. The exit code is 2 if an argument is not usable."""
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description="A simulated video API.")
    parser.add_argument("--port", type=int, default=8080, help="0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="simulated seconds in a real one (default: 1)"
    )
    parser.add_argument(
        "--api-key", default="sim-key", help="the only key that is accepted (default: %(default)s)"
    )
    chosen = parser.parse_args()

    stop = StopSignal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.ask())
    try:
        with Simulator(api_key=chosen.api_key, speed=chosen.speed, port=chosen.port) as simulator:
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
