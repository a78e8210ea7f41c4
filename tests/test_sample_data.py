"""The bundled sample: its texts come from the seed, its tiny model loads and calculates, its outcomes are complete."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

SAMPLE_DATA = Path(__file__).resolve().parents[1] / "sample_data"
MODEL = SAMPLE_DATA / "tiny-model"
STRATEGIES = ("chatty", "equation_first", "other_vocabulary", "step_by_step", "terse", "wrong_answers")
QUESTIONS = 200
LARGEST_MODEL_BYTES = 8 * 1024 * 1024
END_TOKEN = "<|end|>"

Row = dict[str, str]


def read_rows(strategy: str) -> list[Row]:
    text = (SAMPLE_DATA / "arithmetic" / f"{strategy}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def stated_answer(response: str) -> str | None:
    found = re.findall(r"^Final Answer: (\d+)$", response, re.MULTILINE)
    return found[-1] if found else None


def test_regenerated_texts_equal_the_committed_ones_byte_for_byte(tmp_path: Path) -> None:
    command = [sys.executable, str(SAMPLE_DATA / "make_sample_data.py"), "--only", "texts", "--output", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    made = {path.name: path.read_bytes() for path in (tmp_path / "arithmetic").iterdir()}
    committed = {path.name: path.read_bytes() for path in (SAMPLE_DATA / "arithmetic").iterdir()}
    assert made == committed
    assert sorted(committed) == [f"{strategy}.jsonl" for strategy in STRATEGIES]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_answers_the_same_questions(strategy: str) -> None:
    first, rows = read_rows("terse"), read_rows(strategy)
    assert [(row["id"], row["question"], row["answer"]) for row in rows] == [
        (row["id"], row["question"], row["answer"]) for row in first
    ]
    assert len({row["id"] for row in rows}) == len({row["question"] for row in rows}) == QUESTIONS


def test_gold_answers_equal_the_equations() -> None:
    for row in read_rows("equation_first"):
        expression = row["response"].splitlines()[0].split(" = ")[1]
        assert re.fullmatch(r"[\d+*/() -]+", expression)
        assert eval(expression) == int(row["answer"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_share_of_wrong_answers(strategy: str) -> None:
    wrong = sum(stated_answer(row["response"]) != row["answer"] for row in read_rows(strategy))
    assert wrong == (0.6 * QUESTIONS if strategy == "wrong_answers" else 0)


def test_training_never_meets_the_held_out_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SAMPLE_DATA))
    from making.examples import draw_chats
    from making.texts import held_out_questions

    held_out = held_out_questions(0)
    assert {row["question"] for row in read_rows("terse")} < held_out
    common = next(chat.messages[-1]["content"] for chat in draw_chats(Random("any"), set(), 0.0))
    chats = list(islice(draw_chats(Random("any"), held_out | {common}, 0.0), 2000))
    assert not {chat.messages[-1]["content"] for chat in chats} & (held_out | {common})


def test_model_folder_is_small_and_safe() -> None:
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST_MODEL_BYTES
    assert {path.suffix for path in files} == {".json", ".jinja", ".safetensors"}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL, local_files_only=True)


def test_tokenizer_keeps_digits_apart_and_every_byte(tokenizer: Any) -> None:
    assert [token for token in tokenizer.tokenize("1234") if token.isdigit()] == list("1234")
    text = "Grüße, 你好 \x00\t🙂\n" + END_TOKEN
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids) == text


def test_chat_template_takes_a_system_message(tokenizer: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|system|>\nBe brief.<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\n"


def test_model_solves_a_good_part_of_the_first_questions(tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, local_files_only=True)
    assert 1_500_000 <= model.num_parameters() <= 3_000_000
    rows = read_rows("terse")[:20]
    chats = [[{"role": "user", "content": row["question"]}] for row in rows]
    encoded = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
    )
    with torch.inference_mode():
        made = model.generate(**encoded, max_new_tokens=120)[:, encoded["input_ids"].shape[1] :]
    assert (made == tokenizer.eos_token_id).any(dim=1).all()
    answers = tokenizer.batch_decode(made, skip_special_tokens=True)
    assert sum(stated_answer(answer) == row["answer"] for answer, row in zip(answers, rows, strict=True)) >= 12


def test_outcomes_are_complete() -> None:
    with (SAMPLE_DATA / "outcomes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter((row["target_model"], row["strategy"], row["seed"]) for row in rows) == Counter(
        ("tiny-model", strategy, seed) for strategy in STRATEGIES for seed in "012"
    )
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
