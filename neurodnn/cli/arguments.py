"""The argument parsers, built from the one table of options; standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import NoReturn

from neurodnn import __version__
from neurodnn._checks import closest
from neurodnn.pipeline.options import ALIASES, OPTIONS, Option

SUBCOMMANDS = ("check", "demo", "layers", "report")

_DESCRIPTION = """\
Layer-wise maps of a BIDS data set in space (fMRI) and time (MEG, EEG): which layers of a deep
network, or which RDMs of your own, account for which part of the brain, and when.

  neurodnn BIDS_DIR OUTPUT_DIR participant   maps and time courses per subject and layer
  neurodnn BIDS_DIR OUTPUT_DIR group         mean, t, corrected p over subjects and over stimuli,
                                             clusters, noise ceilings
  neurodnn check BIDS_DIR                    what would run, and every fault found
  neurodnn layers NETWORK                    names to give after --layers
  neurodnn report OUTPUT_DIR                 rebuild the pages
  neurodnn demo DIR                          simulate, analyse, report: offline
"""
_EPILOG = """\
Exit codes: 0 all done or skipped, 2 bad input or usage, 3 some subjects failed and the others
finished, 130 and 143 interrupted (run the same command again to go on), 1 a fault of neurodnn.
A data set folder named like a subcommand is given as ./demo.
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint about an unknown option names the nearest one."""

    def error(self, message: str) -> NoReturn:
        """Leave with code 2, usage and, for an unknown option, the nearest known one."""
        for word in message.split():
            if word.startswith("--"):
                known = [text for action in self._actions for text in action.option_strings]
                near = closest(word.split("=")[0], known)
                if near and near != word.split("=")[0] and "unrecognized" in message:
                    message += f". Did you mean {near}?"
                break
        self.exit(2, f"{self.format_usage_line()}neurodnn: error: {message}\n")

    def format_usage_line(self) -> str:
        """Return one line of usage; the full list belongs to --help."""
        return f"usage: {self.prog}; all options: {self.prog.split(' BIDS')[0]} --help\n"


def with_dashes(argv: list[str]) -> list[str]:
    """Return the arguments with ``--n_cpus`` spelled ``--n-cpus``, as other BIDS Apps allow."""
    spelled: list[str] = []
    for word in argv:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            word = name.replace("_", "-") + equals + value
        elif spelled and spelled[-1] == "--baseline":
            word = f"{spelled.pop()}={word}"  # -0.1:0 would be taken for an option
        spelled.append(word)
    return spelled


def app_parser() -> Parser:
    """Return the parser of the BIDS App."""
    parser = _parser("neurodnn BIDS_DIR OUTPUT_DIR {participant,group}")
    parser.add_argument("bids_dir", metavar="BIDS_DIR", help="the BIDS data set")
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="folder of the results")
    parser.add_argument(
        "level", metavar="{participant,group}", choices=("participant", "group"), help="level"
    )
    _add(parser, OPTIONS)
    return parser


def check_parser() -> Parser:
    """Return the parser of ``neurodnn check``."""
    parser = _parser("neurodnn check BIDS_DIR")
    parser.add_argument("bids_dir", metavar="BIDS_DIR", help="the BIDS data set")
    unwanted = {"dry-run", "overwrite", "on-error", "reports-only", "boilerplate-only"}
    _add(parser, [option for option in OPTIONS if option.name not in unwanted])
    return parser


def layers_parser() -> Parser:
    """Return the parser of ``neurodnn layers``."""
    parser = _parser("neurodnn layers NETWORK")
    parser.add_argument("network", metavar="NETWORK", help="as for --network")
    parser.add_argument(
        "--shapes", action="store_true", help="run one empty image to learn the output shapes"
    )
    _add(parser, [o for o in OPTIONS if o.name in ("weights", "trust-checkpoint", "debug")])
    return parser


def report_parser() -> Parser:
    """Return the parser of ``neurodnn report``."""
    parser = _parser("neurodnn report OUTPUT_DIR")
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="a folder written by neurodnn")
    _add(parser, [o for o in OPTIONS if o.name in ("participant-label", "debug")])
    return parser


def demo_parser() -> Parser:
    """Return the parser of ``neurodnn demo``."""
    parser = _parser("neurodnn demo DIR")
    parser.add_argument("directory", metavar="DIR", help="new folder for data set and results")
    _add(parser, [o for o in OPTIONS if o.name in ("n-cpus", "random-seed", "debug")])
    return parser


def _parser(usage: str) -> Parser:
    parser = Parser(
        prog=usage,
        usage=usage + " [options]",
        description=_DESCRIPTION if "participant" in usage else None,
        epilog=_EPILOG if "participant" in usage else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"neurodnn {__version__}")
    return parser


def _add(parser: Parser, options: Iterable[Option]) -> None:
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        group = groups[option.group]
        flags = [f"-{option.short}"] if option.short else []
        flags += [f"--{option.name}", *ALIASES.get(option.name, ())]
        if option.kind == "flag":
            group.add_argument(*flags, action="store_true", help=option.help)
            continue
        several = {"nargs": "+"} if option.kind in ("texts", "paths", "pairs") else {}
        metavar = option.metavar or "{" + ",".join(option.choices) + "}"
        group.add_argument(
            *flags, dest=option.name.replace("-", "_"), metavar=metavar, help=_help(option),
            **several,
        )  # fmt: skip


def _help(option: Option) -> str:
    text = option.help.replace("%", "%%")
    if option.default in (None, (), False) or "default" in text:
        return text
    return f"{text} (default: {option.default})"

