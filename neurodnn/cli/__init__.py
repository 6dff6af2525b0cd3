"""The command line: arguments to pipeline, faults to exit codes.

Imports stand inside the handlers, so that ``neurodnn --help`` waits for no library.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from neurodnn._checks import InputError
from neurodnn.cli import arguments
from neurodnn.cli.signals import Stopped, stoppable

_FIELDS_OF_PLACES = ("bids_dir", "output_dir", "level", "directory")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 all done or skipped, 1 a fault of neurodnn, 2 bad input or usage, 3 some subjects
        failed, 130 and 143 interrupted.

    Examples
    --------
    >>> main(["--version"])
    neurodnn 0.1.0
    0
    """
    argv = arguments.with_dashes(list(sys.argv[1:] if argv is None else argv))
    debug = "--debug" in argv
    try:
        with stoppable():
            return _dispatch(argv or ["--help"])
    except SystemExit as leaving:  # argparse: usage, --help, --version
        return leaving.code if isinstance(leaving.code, int) else 2
    except (Stopped, KeyboardInterrupt) as stop:
        code = stop.code if isinstance(stop, Stopped) else 130
        say("neurodnn: interrupted; run the same command again to go on.", sys.stderr)
        return code
    except InputError as error:
        if debug:
            _traceback()
        say(f"neurodnn: error: {error}", sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        return 0
    except Exception as error:  # the edge of the program: everything else is our fault
        if debug:
            _traceback()
        kind = type(error).__name__
        say(
            f"neurodnn: unexpected failure, {kind}: {' '.join(str(error).split())[:300]}\n"
            "This is a fault of neurodnn: please report it with the run's log; --debug shows "
            "where it happened.",
            sys.stderr,
        )
        return 1


def say(text: str, stream: TextIO | None = None) -> None:
    """Write one text to the screen; the only place of the package that does."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:  # a terminal without UTF-8
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _dispatch(argv: list[str]) -> int:
    handlers: dict[str, Callable[[list[str]], int]] = {
        "check": _check,
        "demo": _demo,
        "layers": _layers,
        "report": _report,
    }
    handler = handlers.get(argv[0])
    return handler(argv[1:]) if handler else _app(argv)


def _app(argv: list[str]) -> int:
    space = arguments.app_parser().parse_args(argv)
    given = _given(space)
    from neurodnn import pipeline
    from neurodnn.pipeline.config import make_config

    config = make_config(space.bids_dir, space.output_dir, space.level, given)
    with pipeline.logging_to_screen(config):
        if config.boilerplate_only:
            say(pipeline.boilerplate(config))
            return 0
        if config.reports_only:
            return pipeline.rebuild_reports(config.output_dir, config.participant_label)
        return pipeline.run(pipeline.plan(config), show=_show)


def _check(argv: list[str]) -> int:
    space = arguments.check_parser().parse_args(argv)
    from neurodnn import pipeline
    from neurodnn.pipeline.config import make_config
    from neurodnn.pipeline.counts import plan_table

    config = make_config(space.bids_dir, None, given=_given(space))
    with pipeline.logging_to_screen(config):
        plan = pipeline.plan(config)
        say(plan_table(plan))
        for fault in plan.faults:
            say(f"neurodnn: error: {fault}", sys.stderr)
    return 2 if plan.faults else 0


def _layers(argv: list[str]) -> int:
    space = arguments.layers_parser().parse_args(argv)
    say(f"loading torch and {space.network} ...", sys.stderr)
    from neurodnn.dnn.networks import (
        default_layers,
        describe_layers,
        layer_names,
        load_network,
    )

    network, transform = load_network(
        space.network,
        weights=getattr(space, "weights", None),
        trust_checkpoint=getattr(space, "trust_checkpoint", None),
    )
    if getattr(space, "shapes", False):
        table = describe_layers(network, getattr(transform, "size", 224))
        default = set(default_layers(network))
        table["default"] = ["yes" if name in default else "" for name in table["name"]]
    else:
        import pandas as pd

        names = default_layers(network)
        kinds = {name: type(module).__name__ for name, module in network.named_modules()}
        default = set(names)
        table = pd.DataFrame({
            "name": layer_names(network),
            "type": [kinds[name] for name in layer_names(network)],
            "default": ["yes" if name in default else "" for name in layer_names(network)],
        })  # fmt: skip
    say(table.to_csv(sep="\t", index=False).rstrip("\n"))
    return 0


def _report(argv: list[str]) -> int:
    space = arguments.report_parser().parse_args(argv)
    from neurodnn import pipeline

    with pipeline.logging_to_screen(None):
        return pipeline.rebuild_reports(
            space.output_dir, tuple(getattr(space, "participant_label", ()))
        )


def _demo(argv: list[str]) -> int:
    space = arguments.demo_parser().parse_args(argv)
    from neurodnn import demo

    given = {key: value for key, value in _given(space).items() if key != "debug"}
    given = {key: int(value) for key, value in given.items()}
    return demo.run(space.directory, debug=hasattr(space, "debug"), **given)


def _given(space: object) -> dict[str, object]:
    return {k: v for k, v in vars(space).items() if k not in _FIELDS_OF_PLACES}


def _show(text: str) -> None:
    say(text, sys.stderr)


def _traceback() -> None:
    import traceback

    say(traceback.format_exc().rstrip(), sys.stderr)


