"""Other ways to the in-context examples: usefulness, several orders, a template of the user's."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from core.domain import Turn
from core.errors import InputError, NotFoundError
from core.metrics.registry import metric
from core.rank import run_arrays
from core.scoring.prompts import context_digest, orders_of, read_template
from core.store.db import Writer, open_reader
from core.store.generations import imported_pool
from core.store.predictions import import_predictions
from core.store.runs import events
from tests.jobs.helpers import run_now
from tests.jobs.test_metric_inputs import rows, work


def test_orders_begin_with_the_given_one_and_the_rotations() -> None:
    assert orders_of("abc", 1) == [("a", "b", "c")]
    assert orders_of("abc", 3) == [("a", "b", "c"), ("b", "c", "a"), ("c", "a", "b")]
    assert sorted(orders_of("abc", 100)) == sorted(itertools.permutations("abc"))
    assert orders_of(["same", "same"], 2) == [("same", "same")]


def test_scores_are_averaged_over_the_orders_of_the_examples(catalogue: Path, stand_in_model: Path) -> None:
    run = work(catalogue, stand_in_model, ("sap_nll",), samples=6, example_orders=2, answer_filter=False)
    assert run.total == 2 * 2 * 6
    scored = rows(
        catalogue,
        "SELECT strategies.name, question, nll_sum / scores.tokens FROM run_items JOIN scores USING (context, response)"
        " JOIN strategies ON strategies.id = strategy WHERE run = ? AND context_kind = 'self_aligned'", run.id,
    )  # fmt: skip
    values: dict[tuple[object, object], list[float]] = {}
    for name, question, value in scored:
        values.setdefault((name, question), []).append(float(str(value)))
    assert {len(found) for found in values.values()} == {2}
    arrays = run_arrays(open_reader(catalogue), run, [metric("sap_nll")])
    contributions = metric("sap_nll").contributions(arrays).numerator
    for row, name in enumerate(arrays.strategies):
        for column, question in enumerate(arrays.questions):
            assert contributions[row, column] == pytest.approx(sum(values[name, question]) / 2, rel=1e-12)


def test_useful_examples_are_the_same_for_all_questions_but_their_own(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    template = "{{ question }}|{% for example in examples %}<{{ example }}>{% endfor %}"
    run = work(
        catalogue, stand_in_model, ("sap",), samples=12, answer_filter=False, example_choice="usefulness",
        prompt_template=template,
    )  # fmt: skip
    answers = dict(rows(catalogue, "SELECT context, text FROM generated_predictions"))
    reader = open_reader(catalogue)
    questions = rows(catalogue, "SELECT id, turns FROM questions ORDER BY position LIMIT 12")
    from core.store.catalogue import question

    asked = {number: question(reader, int(str(number))) for number, _ in questions}
    own = {number: answers[context_digest(each.turns)] for number, each in asked.items()}
    contexts = dict(rows(catalogue, "SELECT question, context FROM run_items WHERE run = ?", run.id))
    found: dict[object, tuple[object, object]] = {}
    for number, each in asked.items():
        for pair in itertools.permutations(set(own.values()), 2):
            turn = Turn("user", template_text(each.text, pair))
            if context_digest((*each.turns[:-1], turn)) == contexts[number]:
                found[number] = pair
    assert len(found) == 12
    usual = max(set(found.values()), key=list(found.values()).count)
    assert all(pair == usual or own[number] in usual for number, pair in found.items())
    again = work(
        catalogue, stand_in_model, ("sap",), samples=12, answer_filter=False, example_choice="usefulness",
        prompt_template=template,
    )  # fmt: skip
    assert again.reused == again.total


def template_text(question: str, examples: tuple[object, ...]) -> str:
    return f"{question}|" + "".join(f"<{example}>" for example in examples)


def test_the_template_of_the_user_makes_other_contexts(catalogue: Path, stand_in_model: Path) -> None:
    usual = work(catalogue, stand_in_model, ("sap",), samples=4, answer_filter=False)
    other = work(
        catalogue, stand_in_model, ("sap",), samples=4, answer_filter=False,
        prompt_template="{{ question }} {{ examples | join(' / ') }}",
    )  # fmt: skip
    assert other.reused == 0
    assert run_now(catalogue, other.id).request.prompt_template.startswith("{{ question }}")
    assert rows(catalogue, "SELECT context FROM run_items WHERE run = ?", usual.id) != rows(
        catalogue, "SELECT context FROM run_items WHERE run = ?", other.id
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ question }}", "does not show (one answer)"),
        ("{% for example in examples %}{{ example }}{% endfor %}", "does not show (the question)"),
        ("{{ question ", "template.jinja: "),
        ("{{ question.nothing.at.all }}", "does not render"),
        ("{{ ().__class__.__mro__ }}", "does not render"),
    ],
)
def test_a_template_that_shows_too_little_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "template.jinja"
    path.write_text(text)
    with pytest.raises(Exception, match=None) as caught:
        read_template(path)
    assert problem in str(caught.value)


def test_a_template_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_template(tmp_path / "nothing.jinja")
    (tmp_path / "bytes.jinja").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_template(tmp_path / "bytes.jinja")


def test_imported_predictions_without_a_question_cannot_be_tried_but_serve(
    catalogue: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(f'{{"question": "Elsewhere {n}?", "response": "Answer {n}."}}\n' for n in range(3)))
    from core.models import find_target

    digest = find_target(str(stand_in_model)).weights_digest
    with Writer(catalogue) as writer:
        import_predictions(writer, file, task="sums", weights_digest=digest)
    assert len(imported_pool(open_reader(catalogue), 1, digest)) == 3
    run = work(catalogue, stand_in_model, ("sap",), samples=4, example_choice="usefulness")
    assert run.errors == 0
    assert not [event for event in events(open_reader(catalogue), run.id) if event.level == "error"]
