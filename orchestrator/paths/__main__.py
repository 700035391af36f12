"""Command ``python -m orchestrator.paths``: compares the TA paths of a recipe's ladder.

Two rounds on Ray: students of every path at few seeds, then the best few at more seeds, which are tested at the end.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from typing import get_args

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.commands.execution import States, execute, measure_precision, set_aside, written
from orchestrator.commands.options import add_options
from orchestrator.commands.preparation import Request, check, look_up, request_of
from orchestrator.errors import OptionError
from orchestrator.execution.ray_session import RaySession
from orchestrator.interruption import Interruption
from orchestrator.last_resort import run_command
from orchestrator.paths.lattice import MOST_TAS
from orchestrator.paths.planning import Lattice
from orchestrator.paths.survey import Question, Survey
from orchestrator.pipeline import precision_choice
from orchestrator.pipeline.graph import Final
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.messages import nearest
from orchestrator.recipe.schema import RecipeError
from orchestrator.recipe.topologies import Topology
from orchestrator.report.content.paths_schema import PathsReport
from orchestrator.report.path_words import coverage, gigas, result
from orchestrator.report.templates import table
from orchestrator.report.words import counted, hundredths

CONTENT, PAGE = "paths.json", "paths.html"
TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)
COMPARED: tuple[Topology, ...] = ("direct", "sequential")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (see ``last_resort.run_command``)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "orchestrator.paths", *arguments])

    def run(interruption: Interruption) -> int:
        return _run(_parser().parse_intermixed_args(arguments), command, interruption)

    return run_command(
        run,
        interrupted=f"interrupted; finished stages are cached, and the same command continues:\n  {command}",
        verbose="--verbose" in arguments,
    )


def _run(options: argparse.Namespace, command: str, interruption: Interruption) -> int:
    question, request = _question(options), request_of(options, command)
    tas = len(request.recipe.ladder.networks) - 2
    snapshots = [network.label for network in request.recipe.ladder.networks if network.at]
    if snapshots:
        raise RecipeError(
            f"ladder.networks has {', '.join(snapshots)}, which cost no training of their own; leave snapshots out, "
            "since paths are of networks that are trained"
        )
    if not 1 <= tas <= MOST_TAS:
        raise RecipeError(
            f"ladder.networks: found {tas} TAs between teacher and student; give 1 to {MOST_TAS}, since every subset "
            "of them is a path"
        )
    from orchestrator.execution.preflight import check_networks  # takes torch

    sizes = check_networks(request.recipe, request.data)
    comparison = _Comparison(request, question, sizes, interruption)
    if options.dry_run:
        comparison.print_plan()
        return 0
    request.store.check_writable()
    session = RaySession(options.address, options.verbose, request.display.say, request.display.warn, interruption)
    with session:
        code = comparison.carry_out(session)
    return comparison.show(code)  # here, where standard output is the terminal's again


class _Comparison:
    """The two rounds of a comparison, and its report."""

    def __init__(
        self, request: Request, question: Question, sizes: list[dict[str, int]], interruption: Interruption
    ) -> None:
        self.request, self.question, self.sizes, self.interruption = request, question, sizes, interruption
        self.choice = precision_choice.stored(request.store, request.recipe)
        self.survey = self._survey(self.choice)
        self.artifacts: dict[str, Artifact] = {}  # of both rounds, so far
        self.chosen: list[int] = []  # numbers of the finalists
        self.told: set[str] | None = None  # warnings that were shown, once the checks are done
        self.shown: PathsReport | None = None  # the content of the files as they lie

    def _survey(self, choice: PrecisionChoice | None) -> Survey:
        request, question = self.request, self.question
        lattice = Lattice(request.recipe, request.data, choice, question.topologies, question.seeds)
        names = [network.name for network in request.recipe.ladder.networks]
        multiply_adds = {name: size["multiply_adds"] for name, size in zip(names, self.sizes, strict=True)}
        return Survey(lattice, question, multiply_adds, request.command)

    def print_plan(self) -> None:
        """Print the paths in the order in which they are trained, with what each adds, and the sums."""
        survey, question = self.survey, self.question
        planned = survey.lattice.plan(survey.first_students(), evaluated=False)
        kept, _ = look_up(planned, self.request.store, self.request.display)
        if len(kept) < len(planned.stages):
            check(self.request, planned, kept)
        content, trained, rows = survey.content({}), frozenset[str](), []
        for at in survey.seen:
            row, needed = content["rows"][at], survey.needs[at].trainings
            new, same = len(needed - trained), counted(row["same"], "path") if row["same"] else "-"
            rows.append([row["number"], row["words"], row["topology"], gigas(row["multiply_adds"]), new, same])
            trained |= needed
        print(table(["no.", "TAs", "topology", "10^9 multiply-adds", "new trainings", "same student"], rows))
        print("\n".join(coverage(content)))
        best = min(question.finalists, len(survey.seen))
        print(f"Then {best * (question.final_seeds - question.seeds)} more, for the further seeds of the best {best}.")
        print(f"{len(kept)} of {len(planned.stages)} stages of the first round are cached.")

    def carry_out(self, session: RaySession) -> int:
        """Do what is left of both rounds; returns the exit code."""
        code = self._train(self.survey.first_students(), session, evaluated=False)
        if not code:
            self.chosen = self.survey.choose(self.artifacts)
            code = self._train(self.survey.final_students(self.chosen), session, evaluated=True)
        return code

    def show(self, code: int) -> int:
        """Print the result and write the report; returns the exit code."""
        print(summary(self.survey.content(self.artifacts, self.chosen)), flush=True)
        return written(self._write, self.request.verbose, code)

    def _train(self, students: list[Final], session: RaySession, evaluated: bool) -> int:
        """Train students with all that they need; returns the exit code."""
        request, planned = self.request, self.survey.lattice.plan(students, evaluated)
        kept, damaged = look_up(planned, request.store, request.display)
        self.artifacts |= kept
        if len(kept) == len(planned.stages):
            return 0
        if session.cluster is None:
            session.find()
        if request.largest and session.cluster is None:
            raise RecipeError("--max-resources: Ray is started on this machine alone, which can't grow; leave it out")
        if self.told is None:
            _, self.told = check(request, planned, kept)
        self.interruption.check()
        # Finalists were chosen by students of one precision; their further seeds have it too.
        if not self.chosen and precision_choice.is_open(request.recipe, self.choice):
            session.open()
            self.choice = measure_precision(request, planned, self.interruption)
            self.survey = self._survey(self.choice)
            return self._train(self.survey.first_students(), session, evaluated)
        set_aside(request, damaged)

        def publish(artifacts: dict[str, Artifact], states: States | None) -> None:
            self.artifacts |= artifacts
            self._write(request.store.impatient())

        done = execute(request, planned, kept, self.sizes, self.told, publish, self.interruption, session)
        self.artifacts |= done.artifacts
        return done.code

    def _write(self, store: Store | None = None) -> str:
        """Write the report's files where they have something new to show; returns the page's address."""
        store = store or self.request.store
        content = self.survey.content(self.artifacts, self.chosen)
        if self.shown is None or {**self.shown, "written": content["written"]} != content:
            from orchestrator.report.page.paths import page_of_paths

            store.write_text(json.dumps(content, indent=1), "reports", content["id"], CONTENT)
            store.write_text(page_of_paths(content), "reports", content["id"], PAGE)
            self.shown = content
        return address(store, "reports", content["id"], PAGE)


def summary(content: PathsReport) -> str:
    """Returns the table that ends the command, and the result in words."""
    headers = ["no.", "TAs", "topology", "10^9 multiply-adds", "validation %", "+-", "seeds", "test %", "+-", ""]
    rows = [
        [
            row["number"], row["words"], row["topology"], gigas(row["multiply_adds"]),
            hundredths(row["validation_mean"]), hundredths(row["validation_spread"]), len(row["seeds"]),
            hundredths(row["test_mean"]), hundredths(row["test_spread"]),
            "finalist" if row["finalist"] else "" if row["seen"] else "not seen",
        ]
        for row in sorted(content["rows"], key=lambda row: row["multiply_adds"])
    ]  # fmt: skip
    shown = f"TA paths from {content['ladder'][0]} to {content['ladder'][-1]}, cheapest first"
    return "\n".join(["", shown, table(headers, rows), *coverage(content), *result(content)])


def _question(options: argparse.Namespace) -> Question:
    """Returns what the options ask.

    Raises:
        OptionError: naming the option.
    """
    topologies = [name.strip() for name in options.topologies.split(",")]
    for name in topologies:
        if name not in TOPOLOGIES:
            raise OptionError(
                f"--topologies: found '{name}'; give any of {', '.join(TOPOLOGIES)}, with commas between"
                f"{nearest(name, TOPOLOGIES)}"
            )
    for name in ("seeds", "finalists", "final_seeds", "budget"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise OptionError(f"--{name.replace('_', '-')} {value}: give 1 or more")
    if options.final_seeds < options.seeds:
        raise OptionError(
            f"--final-seeds {options.final_seeds} is below --seeds {options.seeds}; finalists get at least as many"
        )
    unique = tuple(name for name in TOPOLOGIES if name in topologies)
    return Question(unique, options.seeds, options.finalists, options.final_seeds, options.budget)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.paths",
        description="Compare the TA paths of a recipe's ladder: every subset of its TAs, in several topologies, each "
        "with a student that the path's last network teaches. Stages that several paths need are run once.",
        epilog=f"recipes: {', '.join(recipes.names())}",
        add_help=False,
    )
    add_options(parser)
    parser.add_argument(
        "--topologies", default=",".join(COMPARED), metavar="NAMES",
        help=f"any of {', '.join(TOPOLOGIES)}, with commas between (default: {','.join(COMPARED)})",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="students of each path (default: 2)")
    parser.add_argument(
        "--finalists", type=int, default=3, metavar="N", help="paths that get more students and are tested (default: 3)"
    )
    parser.add_argument("--final-seeds", type=int, default=5, metavar="N", help="students of a finalist (default: 5)")
    parser.add_argument(
        "--budget", type=int, metavar="N", help="trainings at most, cached ones too; the cheapest paths come first"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
