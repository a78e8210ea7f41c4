"""sap-tui judge: how well each metric picks, by what fine-tuning gave."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer
from sap_tui.commands.output import add_output_options, settle_output, write_out

if TYPE_CHECKING:
    from core.judging.directions import Direction
    from core.judging.pairs import Pairs

DESCRIPTION = """\
Judge the metrics by outcomes: what the strategy that each metric picks gave, against the best one, a random one and
always the same one, and how well the metric's order agrees with the outcomes. Without files: the finished runs of the
catalogue with its outcomes (sap-tui outcomes). With --scores and --outcomes: those files alone."""


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("judge", help="how well each metric picks, by outcomes", description=DESCRIPTION)
    parser.add_argument(
        "--scores", type=Path, metavar="FILE", help="columns target_model, task, strategy, metric, value"
    )
    parser.add_argument(
        "--outcomes", type=Path, metavar="FILE", help="columns target_model, task, strategy, accuracy, and maybe seed"
    )
    parser.add_argument(
        "--protocol",
        choices=("plain", "sap-paper"),
        help="plain: every strategy with a score and an outcome (default); sap-paper: as that paper's tables",
    )
    parser.add_argument(
        "--examples", type=integer, metavar="K", help="with files: scores with K in-context examples; default: 2"
    )
    parser.add_argument("--planning", action="store_true", help="sap-paper: the planning tasks, not the main ones")
    parser.add_argument(
        "--min-spread",
        type=float,
        metavar="X",
        help="only pairs whose outcomes, as fractions, have a standard deviation above X",
    )
    parser.add_argument(
        "--direction",
        action="append",
        default=[],
        metavar="ID=DIR",
        help="with files: METRIC=higher or METRIC=lower is better",
    )
    parser.add_argument("--task", metavar="NAME", help="without files: only this task")
    parser.add_argument("--model", metavar="MODEL", help="without files: only this target model")
    parser.add_argument("--run", dest="number", type=integer, metavar="RUN", help="without files: only by this run")
    parser.add_argument(
        "--points", action="store_true", help="as JSON or CSV: every strategy's outcome and scores, and the picks"
    )
    add_output_options(parser)
    parser.set_defaults(run=judge)


def judge(arguments: argparse.Namespace) -> int:
    from core.export.csv_text import csv_text
    from core.judging.judgement import above_spreads, judge, judge_without_terse
    from core.judging.report import judgement_object, judgement_rows, points_object, points_rows
    from core.text import visible
    from sap_tui.commands.judgement_table import judgement_tables

    settle_output(arguments)
    _refuse(arguments)
    pairs, directions = _of_files(arguments) if arguments.scores or arguments.outcomes else _of_catalogue(arguments)
    judgement = judge(pairs, directions, min_spread=arguments.min_spread)
    above = above_spreads(pairs, directions) if arguments.min_spread is None else {}
    long = judge_without_terse(pairs, directions, min_spread=arguments.min_spread)
    for note in judgement.notes:
        print(f"! {visible(note)}", file=sys.stderr)
    if arguments.format == "json":
        points = {"points": points_object(pairs, directions)} if arguments.points else {}
        text = json.dumps(judgement_object(judgement, above, long) | points, indent=2, allow_nan=False) + "\n"
    elif arguments.format == "csv":
        text = csv_text(*(points_rows(pairs, directions) if arguments.points else judgement_rows(judgement)))
    else:
        text = judgement_tables(judgement, [(arguments.min_spread, judgement), *above.items()], long)
    write_out(text, arguments.output)
    return 0


def _refuse(arguments: argparse.Namespace) -> None:
    from core.errors import UsageError

    if arguments.min_spread is not None and not arguments.min_spread >= 0:
        raise UsageError("--min-spread must be 0 or more.", "For example: --min-spread 0.02")
    if arguments.points and arguments.format == "table":
        raise UsageError("--points belongs to --json or --format csv.", "Add one of them.")
    if arguments.number is not None and (arguments.task or arguments.model):
        raise UsageError("--run has its task and model.", "Leave out --task and --model.")


def _of_files(arguments: argparse.Namespace) -> tuple[Pairs, dict[str, Direction]]:
    from core.errors import UsageError
    from core.ingest.score_tables import read_outcomes, read_scores
    from core.judging.directions import directions_of, parse_directions
    from core.judging.plain import plain_pairs
    from core.judging.sap_paper import sap_paper_pairs

    if not (arguments.scores and arguments.outcomes):
        raise UsageError("--scores and --outcomes go together.", "Give both files, or neither for the catalogue.")
    if arguments.task or arguments.model or arguments.number is not None:
        raise UsageError(
            "--task, --model and --run are for the catalogue.", "Leave them out with --scores and --outcomes."
        )
    if arguments.planning and arguments.protocol != "sap-paper":
        raise UsageError("--planning belongs to the other protocol.", "Add --protocol sap-paper.")
    scores, outcomes = read_scores(arguments.scores), read_outcomes(arguments.outcomes)
    if arguments.protocol == "sap-paper":
        pairs = sap_paper_pairs(scores, outcomes, examples=arguments.examples, planning=arguments.planning)
    else:
        pairs = plain_pairs(scores, outcomes, examples=arguments.examples)
    return pairs, directions_of(pairs.metrics, parse_directions(arguments.direction, pairs.metrics))


def _of_catalogue(arguments: argparse.Namespace) -> tuple[Pairs, dict[str, Direction]]:
    from core.errors import UsageError
    from core.judge import catalogue_pairs
    from core.store.db import open_reader, prepare
    from sap_tui.commands.outcomes import model_name

    if arguments.protocol == "sap-paper" or arguments.planning or arguments.examples is not None or arguments.direction:
        raise UsageError(
            "--protocol sap-paper, --planning, --examples and --direction are for files.",
            "Give --scores and --outcomes too.",
        )
    prepare(arguments.catalogue)
    reader = open_reader(arguments.catalogue)
    return catalogue_pairs(reader, arguments.task, model_name(arguments.model), arguments.number)
