"""Options of the commands that carry out a recipe."""

from __future__ import annotations

import argparse
import textwrap

from orchestrator.recipe import loading as recipes
from orchestrator.recipe import reference


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, its overrides, and the options of storage, cluster and output. The parser has no help yet."""
    parser.add_argument(
        "recipe", nargs="*", metavar="RECIPE | field=value",
        help=f"a recipe's name or path (default {recipes.DEFAULT_RECIPE}), and values for its fields",
    )  # fmt: skip
    parser.add_argument(
        "--storage", default="runs", metavar="URI", help="folder or URI for all results (default: runs)"
    )
    parser.add_argument("--address", help="Ray cluster to use (default: this machine's, else Ray is started here)")
    parser.add_argument(
        "--max-resources", metavar="CPU=N,GPU=N",
        help="CPUs and GPUs of all nodes when the cluster is at its largest, where its autoscaler does not tell",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="print every stage, its folder, and whether it is cached; then stop"
    )
    parser.add_argument(
        "--rescan", action="store_true", help="list the photos of the data set again, and say what has changed"
    )
    parser.add_argument("--quiet", action="store_true", help="print only the result, warnings and errors")
    parser.add_argument("--verbose", action="store_true", help="show Ray's logs and tracebacks too")
    parser.add_argument("-h", "--help", action=_FullHelp, nargs=0, help="show this help and every field of a recipe")


class _FullHelp(argparse.Action):
    """Prints the options and every field of the recipe."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        parser.print_help()
        print("\nfields of a recipe (dotted names, as in field=value):\n")
        for field in reference.fields():
            print(f"  {field.name}  ({field.summary})")
            print(textwrap.fill(field.text, 100, initial_indent="      ", subsequent_indent="      "))
        parser.exit()
