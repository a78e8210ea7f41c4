"""sap-tui score: queue a run, wait for it, or do it all in this process."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from sap_tui.commands.numbers import integer

if TYPE_CHECKING:
    from core.domain import RunRequest
    from core.submission.options import ScoreOptions
    from core.submission.submit import Submission

DESCRIPTION = """\
Score strategies under a target model. The run is queued and a background worker does it; the command returns the
run's number at once. Scores that exist already are never computed again."""

ALL = "all"
BESIDE_MORE = {"number", "more", "dry_run", "wait", "foreground", "json"}


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser("score", help="score strategies under a target model", description=DESCRIPTION)
    add = parser.add_argument
    add("number", nargs="?", type=integer, metavar="RUN", help="with --more: the run to extend")
    add("--more", type=integer, metavar="N", help="score so many more questions of a run, and nothing twice")
    add("--task", metavar="NAME")
    add("--model", help="a model folder, a .gguf file or a hub id in the local hub cache")
    add("--strategy", action="append", default=[], metavar="NAME", help="only this one (repeatable); default: all")
    add("--metric", action="append", default=[], metavar="ID",
        help="repeatable; default: sap, ppl and nll; see sap-tui metrics")  # fmt: skip
    add("--samples", type=_samples, metavar="N",
        help="questions to score, or all (default: 50; with --until-decided 300 at most)")  # fmt: skip
    add("--seed", type=int, metavar="S", help="draw the questions at random instead of taking the first ones")
    add("--until-decided", action="store_true",
        help="stop when the first metric's leader is clear, and drop strategies that are out")  # fmt: skip
    _add_examples(parser)
    _add_inputs(parser)
    add("--quantization", choices=("none", "int8", "nf4", "fp4"), default="none", help="bitsandbytes (default: none)")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
        help="auto: float32 on a CPU, the stored half type on a GPU")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda:0 or cuda, which is all GPUs together (default: auto)")
    add("--revision", default="", metavar="R", help="revision of a hub model")
    add("--adapter", default="", metavar="FOLDER", help="a LoRA adapter on top of the model")
    add("--system", metavar="TEXT", help="system prompt of every context")
    add("--template-option", action="append", default=[], type=_template_option, metavar="NAME=VALUE",
        help="option of the chat template, for example enable_thinking=false (repeatable)")  # fmt: skip
    add("--chat-template", default="", metavar="FILE", help="a Jinja chat template in place of the model's own")
    add("--control-tokens", choices=("as_text", "as_published"), default="as_text",
        help="whether the model's control tokens in the data stay ordinary text (default)")  # fmt: skip
    add("--no-answer-filter", action="store_true", help="keep initial predictions whose final answer is wrong")
    add("--download", action="store_true", help="fetch a hub model that is not in the local cache")
    add("--dry-run", action="store_true", help="say tokens, memory, time and reuse, and start nothing")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--wait", action="store_true", help="show progress until the run ends; ctrl+c leaves, the run goes on"
    )
    how.add_argument("--foreground", action="store_true", help="do it all in this process, for Slurm and containers")
    add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=score, plain=vars(parser.parse_args([])))


def _add_examples(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("in-context examples of sap").add_argument
    add("--examples", type=integer, default=2, metavar="K", help="how many (default: 2)")
    add("--example-choice", choices=("rotation", "usefulness"), default="rotation",
        help="the next ones in turn, or those that lower the loss of other answers most")  # fmt: skip
    add("--example-orders", type=integer, default=1, metavar="N", help="average over so many orders of the examples")
    add("--prompt-template", default="", metavar="FILE", help="a Jinja template with question and examples")


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what some metrics need").add_argument
    add("--valid", default="", metavar="TASK/STRATEGY", help="trusted pairs for ds_weight")
    add("--votes", type=integer, default=15, metavar="N", help="sampled answers for self_consistency (default: 15)")
    add("--vote-temperature", type=float, default=1.1, metavar="X", help="their temperature (default: 1.1)")
    add("--reward-model", default="", metavar="FOLDER", help="a sequence-classification model for reward and car")
    add("--small-model-run", type=integer, metavar="RUN", help="a small model's run on the same task for learnability")


def score(arguments: argparse.Namespace) -> int:
    from core.store.db import Writer, prepare
    from core.submission.submit import queue

    prepare(arguments.catalogue)
    _say_wrong_settings()
    submission = _submission(arguments)
    if arguments.more is None:
        _say_what_lacks(arguments, submission.request)
    if arguments.dry_run:
        return _dry_run(arguments, submission)
    with Writer(arguments.catalogue) as writer:
        run = queue(writer, submission, held=arguments.foreground)
    if arguments.foreground:
        return _in_foreground(arguments, run)
    from core.processes.launcher import ensure_runner

    ensure_runner(arguments.catalogue)
    _warn_of_logout()
    if arguments.wait:
        return _wait(arguments, run)
    _print_run(arguments, run)
    return 0


def _say_wrong_settings() -> None:
    from core.settings import read_config
    from core.text import visible

    for problem in read_config().problems:
        print(f"! {visible(problem)} Its default holds.", file=sys.stderr)


def _warn_of_logout() -> None:
    from core.lingering import WARNING, Logout, logout

    if logout() is Logout.ENDS:
        print(f"! {WARNING}", file=sys.stderr)


def _submission(arguments: argparse.Namespace) -> Submission:
    from core.errors import UsageError
    from core.store.db import open_reader
    from core.submission.extend import prepare_extension
    from core.submission.submit import prepare_submission

    reader = open_reader(arguments.catalogue)
    if (arguments.more is None) != (arguments.number is None):
        raise UsageError("--more N and a run's number go together.", "For example: sap-tui score --more 50 3")
    if arguments.more is not None:
        _refuse_beside_more(arguments)
        extension = prepare_extension(reader, arguments.number, arguments.more)
        for note in extension.notes:
            print(f"! {note}", file=sys.stderr)
        return extension
    if not arguments.task or not arguments.model:
        raise UsageError("score needs --task and --model.", "See: sap-tui score --help")
    return prepare_submission(reader, options_from(arguments))


def _refuse_beside_more(arguments: argparse.Namespace) -> None:
    from core.errors import UsageError

    for name, value in arguments.plain.items():
        if name not in BESIDE_MORE and getattr(arguments, name) != value:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"--more goes on as the run began, and takes no {option}.",
                f"Leave out --more for a new run with {option}.",
            )


def _say_what_lacks(arguments: argparse.Namespace, request: RunRequest) -> None:
    """Before anything is computed: the metrics that this run will have no value of, and how to get them."""
    from core.metrics.base import Input
    from core.metrics.needs import HOW_TO_GET, INPUT_WORDS
    from core.metrics.registry import all_metrics
    from core.models import lacks_template
    from core.scoring.protocol import WITHOUT_TEMPLATE
    from core.store.db import open_reader
    from core.store.score_columns import REWARD, score_columns
    from core.submission.options import options_without_effect

    known = all_metrics()
    columns = {each.name for each in score_columns(open_reader(arguments.catalogue), arguments.task)}
    lacks = {
        Input.VALID_NLL: not request.valid,
        Input.REWARD: not request.reward_model and REWARD not in columns,
        Input.SMALL_MODEL_NLL: request.small_model_run is None,
    }
    if not request.chat_template and lacks_template(request.path):
        print(f"! {WITHOUT_TEMPLATE}", file=sys.stderr)
    for metric in request.metrics:
        for kind in known[metric].inputs if metric in known else ():
            if lacks.get(kind):
                print(f"! {metric} needs {INPUT_WORDS[kind]}. {HOW_TO_GET[kind]}", file=sys.stderr)
    for name in options_without_effect(options_from(arguments)):
        print(f"! --{name.replace('_', '-')} has no effect: no metric of this run uses it.", file=sys.stderr)


def options_from(arguments: argparse.Namespace) -> ScoreOptions:
    from pathlib import Path

    from core.errors import InputError
    from core.scoring.prompts import read_template
    from core.submission.options import SAMPLES, SAMPLES_UNTIL_DECIDED, ScoreOptions

    samples = arguments.samples
    if samples is None:
        samples = SAMPLES_UNTIL_DECIDED if arguments.until_decided else SAMPLES
    template = read_template(Path(arguments.prompt_template)) if arguments.prompt_template else ""
    if arguments.prompt_template and not template:
        raise InputError("The prompt template is empty.", "It shows {{ question }} and {% for example in examples %}.")
    return ScoreOptions(
        task=arguments.task, model=arguments.model, strategies=tuple(arguments.strategy),
        metrics=tuple(arguments.metric), samples=None if samples == ALL else samples,
        seed=arguments.seed, until_decided=arguments.until_decided, examples=arguments.examples,
        example_choice=arguments.example_choice, example_orders=arguments.example_orders, prompt_template=template,
        valid=arguments.valid, votes=arguments.votes, vote_temperature=arguments.vote_temperature,
        reward_model=arguments.reward_model, small_model_run=arguments.small_model_run,
        quantization=arguments.quantization, dtype=arguments.dtype, device=arguments.device,
        revision=arguments.revision, adapter=arguments.adapter, system=arguments.system,
        template_options=tuple(arguments.template_option), answer_filter=not arguments.no_answer_filter,
        download=arguments.download, chat_template=_chat_template(arguments), control_tokens=arguments.control_tokens,
    )  # fmt: skip


def _chat_template(arguments: argparse.Namespace) -> str:
    """The text of the template that the user names, seen to work."""
    if not arguments.chat_template:
        return ""
    from pathlib import Path

    from core.scoring.template_trial import read_chat_template, try_template

    template = read_chat_template(Path(arguments.chat_template))
    try_template(template, dict(arguments.template_option))
    return template


def _wait(arguments: argparse.Namespace, run: int) -> int:
    from sap_tui.commands.progress import wait_for

    try:
        state = wait_for(arguments.catalogue, run)
    except KeyboardInterrupt:
        print(f"Run {run} goes on. See it: sap-tui runs", file=sys.stderr)
        return 130
    _print_run(arguments, run)
    return 0 if state == "done" else 1


def _in_foreground(arguments: argparse.Namespace, run: int) -> int:
    from sap_tui.commands.foreground import work_here

    code = work_here(arguments.catalogue, run)
    _print_run(arguments, run)
    return code


def _print_run(arguments: argparse.Namespace, number: int) -> None:
    from core.store.db import open_reader
    from core.store.runs import run_by_id
    from core.text import visible
    from sap_tui.commands.runs import run_json

    run = run_by_id(open_reader(arguments.catalogue), number)
    if arguments.json:
        print(json.dumps(run_json(run), ensure_ascii=False))
        return
    print(number)
    if run.state == "failed":
        print(f"Run {number} failed: {visible(run.why)}", file=sys.stderr)
    elif run.state == "done":
        failed = f", {run.errors} without a score" if run.errors else ""
        print(f"Run {number} is done: {run.done} scores{failed}. See it: sap-tui rank {number}", file=sys.stderr)
    elif not run.state.ended:
        print(f"Run {number} is {run.shown}. See it: sap-tui runs", file=sys.stderr)


def _dry_run(arguments: argparse.Namespace, submission: Submission) -> int:
    from core.store.db import open_reader
    from core.submission.estimate import estimate

    found = estimate(open_reader(arguments.catalogue), submission)
    if arguments.json:
        print(json.dumps(found.to_json()))
        return 0
    from sap_tui.commands.progress import duration
    from sap_tui.words import counted

    scored = f"{found.samples:,} of {found.strategies} strategies on {found.questions} questions"
    print(f"samples      {scored}: {found.reused:,} scored already, {found.to_score:,} to score")
    for code, count in found.failed.items():
        print(f"left out     {count:,} {code.replace('_', ' ')}")
    if found.predictions:
        print(f"predictions  the target model answers {counted(found.predictions, 'question')} first")
    if found.with_control_tokens:
        fate = "stay ordinary text" if arguments.control_tokens == "as_text" else "are taken as such"
        samples = counted(found.with_control_tokens, "sample")
        print(f"control      control tokens of the model in {samples}, which {fate}")
    print(f"tokens       {found.tokens:,}")
    print(f"memory       about {found.memory_bytes / 2**30:.1f} GiB")
    print(f"time         {duration(found.seconds) if found.seconds is not None else 'unknown: new model or precision'}")
    return 0


def _samples(text: str) -> int | str:
    if text == ALL:
        return text
    try:
        return integer(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, and not 'all'") from None


def _template_option(text: str) -> tuple[str, str | bool | int | float]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    return name, parsed if isinstance(parsed, bool | int | float | str) else value
