"""`python -m doctor`: from arguments and settings to a report and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from doctor.access_check import check_access
from doctor.azure_cli import APP_NAME, AzureCliFailed, read_app
from doctor.configuration import read_configuration
from doctor.deployed import compare, environment_of
from doctor.doctor import Doctor
from doctor.environment import FILE, Environment, read_environment
from doctor.findings import Mark, wrong
from doctor.printer import Printer, hidden
from doctor.settings_check import check_settings
from video_jobs.domain.backend_job import is_model_name
from video_jobs.domain.errors import NotSent
from video_jobs.domain.logs import quieten_libraries
from video_jobs.ports import Clock
from video_jobs.settings.backends import BackendSettings
from video_jobs.wiring import utc_now

APP = Path(__file__).resolve().parents[1]
ALL_RIGHT, SOMETHING_WRONG, USAGE = 0, 1, 2


def run(
    arguments: Sequence[str],
    environment: MutableMapping[str, str],
    folder: Path,
    out: TextIO,
    clock: Clock = utc_now,
) -> int:
    """Gives the exit code. `environment` is completed from the folder's local.settings.json."""
    options = _options(arguments)
    if options.app is not None:
        return _visit_deployed(options.app, options.resource_group, environment, out)
    read = read_environment(environment, folder)
    if options.generation and not environment.get("AZURE_OPENAI_DEPLOYMENT", "").strip():
        environment["AZURE_OPENAI_DEPLOYMENT"] = "any"  # a video is found without the name of a model
    configuration = read_configuration(environment)
    printer = Printer(out, environment, [*read.secrets(), *filter(None, configuration.api_keys.values())])
    backends = list(configuration.backends)
    if options.backend is not None:
        backends = [backend for backend in backends if backend.name == options.backend]
        if not backends:
            known = ", ".join(backend.name for backend in configuration.backends) or "none"
            printer.line(f"There is no backend '{options.backend}' in the settings; there are: {known}.")
            return USAGE
    doctor = Doctor(printer, configuration, clock)
    if (options.generation or options.orphans) and not backends:
        printer.line(
            "Set AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY first, or VIDEO_BACKENDS, or a provider's key."
        )
        return SOMETHING_WRONG
    try:
        if options.generation:
            doctor.find(options.generation, [_with_model(backend, options.model) for backend in backends])
        elif options.orphans:
            doctor.list_orphans(backends)
        else:
            printer.title("Settings")
            printer.findings(check_settings(read, configuration, APP))
            if configuration.settings is not None:
                printer.title("Who comes in, and who is told")
                printer.findings(check_access(configuration.settings))
            doctor.go_through()
            _sum_up(printer)
    except NotSent as error:  # no token: the job's record may have told why
        if printer.all_right:
            printer.finding(wrong("identity", str(error)))
    return ALL_RIGHT if printer.all_right else SOMETHING_WRONG


def _visit_deployed(name: str, group: str | None, environment: MutableMapping[str, str], out: TextIO) -> int:
    """Check only the settings of a deployed app: this machine may not reach its storage."""
    try:
        app = read_app(name, group)
    except AzureCliFailed as error:
        printer = Printer(out, environment, ())
        printer.finding(wrong("az", str(error), error.advice))
        return SOMETHING_WRONG
    settings = environment_of(app)
    configuration = read_configuration(settings.values)
    secrets = [*settings.secrets(), *Environment(app.settings, frozenset(), ()).secrets()]
    printer = Printer(out, environment, secrets)
    printer.title("The app, beside infra/")
    printer.findings(compare(app))
    printer.title("Settings")
    printer.findings(check_settings(settings, configuration, APP))
    if configuration.settings is not None:
        printer.title("Who comes in, and who is told")
        printer.findings(check_access(configuration.settings))
    _sum_up(printer)
    return ALL_RIGHT if printer.all_right else SOMETHING_WRONG


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m doctor",
        description="Goes through settings, storage and video APIs, and says of each what is right, what is wrong and "
        f"what to do. Reads the environment and, for what is not set there, {FILE} of the working folder. Calls "
        "nothing that costs money.",
        epilog="Exit code: 0 all is right, 1 something is wrong, 2 wrong arguments.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--generation",
        metavar="ID",
        help="try every form of the download URL: of gen_…, task_…, video_… or job_…",
    )
    what.add_argument(
        "--orphans", action="store_true", help="list the video API's jobs that nobody here has claimed"
    )
    what.add_argument(
        "--app",
        metavar="NAME",
        help="a deployed app: its settings, read through the Azure CLI, and what differs from infra/",
    )
    parser.add_argument("--resource-group", metavar="NAME", help="of that app; else it is looked for")
    parser.add_argument("--backend", metavar="NAME", help="of those in the settings; for the two above")
    parser.add_argument(
        "--model", metavar="NAME", help="with --generation: the model that made it; fal finds a job only so"
    )
    options = parser.parse_args(arguments)
    if options.backend is not None and not (options.generation or options.orphans):
        parser.error("--backend goes with --generation or --orphans")
    if options.model is not None and not options.generation:
        parser.error("--model goes with --generation")
    if options.model is not None and not is_model_name(options.model):
        parser.error("--model wants a model's name, like fal-ai/veo3.1")
    if options.app is not None and not APP_NAME.fullmatch(options.app):
        parser.error("--app wants a function app's name: letters, digits and hyphens")
    if options.resource_group is not None and options.app is None:
        parser.error("--resource-group goes with --app")
    if options.generation is not None and (
        options.generation in ("", ".", "..")
        or not options.generation.isprintable()
        or " " in options.generation
    ):
        parser.error("--generation wants an id as the video API gave it, without spaces")
    return options


def _with_model(backend: BackendSettings, model: str | None) -> BackendSettings:
    return backend if model is None else backend.model_copy(update={"model": model})


def _sum_up(printer: Printer) -> None:
    counts = printer.counts
    wrong, warnings = counts[Mark.WRONG], counts[Mark.WARNING]
    told = f"{wrong} wrong, {warnings} to check, {counts[Mark.RIGHT]} right, {counts[Mark.UNKNOWN]} not told"
    printer.line()
    printer.line(f"{'Something is wrong' if wrong else 'All is right'}: {told}.")


def main() -> int:
    quieten_libraries()
    # If an identity can't sign in, or a clock is wrong, the doctor reports it. The library would log it at length, each time.
    for name in ("azure", "reelkeep"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # An interruption is raised like any other error, so the probes are deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(SOMETHING_WRONG))
    sys.excepthook = _without_secrets
    try:
        return run(sys.argv[1:], os.environ, Path.cwd(), sys.stdout)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SOMETHING_WRONG


def _without_secrets(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For a bug of the doctor, print the traceback, but not the texts that libraries quote in it."""
    secrets = read_environment(dict(os.environ), Path.cwd()).secrets()
    print(hidden("".join(traceback.format_exception(kind, error, trace)), list(secrets)), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
