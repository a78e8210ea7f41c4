"""Really fine-tunes the tiny model on every strategy and writes down what that gave."""

import csv
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from making.examples import Chat
from making.model import accuracy, encode
from making.texts import STRATEGIES, responses, sample_problems, test_problems
from making.training import Trainer, TrainingSettings, batches_of_sequences

TARGET_MODEL = "tiny-model"
SETTINGS = TrainingSettings(learning_rate=5e-4, matrix_learning_rate=5e-4)
BATCH_SIZE = 16
EPOCHS = 4
SEEDS = (0, 1, 2)


def measure_outcomes(model_folder: Path, output: Path, seed: int) -> None:
    """Writes target_model, strategy, seed, accuracy to `output`; accuracy is the share of right greedy answers."""
    rows = [("target_model", "strategy", "seed", "accuracy"), *_outcomes(model_folder, seed)]
    with output.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _outcomes(model_folder: Path, seed: int) -> Iterator[tuple[str, str, str, str]]:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    for strategy in STRATEGIES:
        chats = _chats(strategy, seed)
        for run_seed in SEEDS:
            model = _fine_tuned(model_folder, tokenizer, chats, run_seed)
            measured = f"{accuracy(model, tokenizer, test_problems(seed)):.4f}"
            print(f"fine-tuned on {strategy}, seed {run_seed}: accuracy {measured}", flush=True)
            yield TARGET_MODEL, strategy, str(run_seed), measured


def base_accuracy(model_folder: Path, seed: int) -> float:
    """The accuracy on the test problems before any fine-tuning."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    return accuracy(_load(model_folder), tokenizer, test_problems(seed))


def _chats(strategy: str, seed: int) -> list[Chat]:
    problems = sample_problems(seed)
    return [
        Chat([{"role": "user", "content": problem.question}], response)
        for problem, response in zip(problems, responses(strategy, problems, seed), strict=True)
    ]


def _fine_tuned(
    model_folder: Path, tokenizer: PreTrainedTokenizerFast, chats: list[Chat], run_seed: int
) -> LlamaForCausalLM:
    """The model after EPOCHS passes over the chats; the seed rules the order of the batches."""
    model = _load(model_folder)
    random = Random(run_seed)
    trainer = Trainer(model, SETTINGS, EPOCHS * len(chats))
    for _ in range(EPOCHS):
        trainer.learn(batches_of_sequences(encode(chats, tokenizer), BATCH_SIZE, random))
    return model


def _load(model_folder: Path) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
