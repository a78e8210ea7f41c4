"""Builds the cases from the sample's texts with the target model's tokenizer, once for all contestants.

Started as `python -m benchmarks.make_cases MODEL FOLDER SPECS` by the driver, which itself stays small.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, CaseSpec, Group, write_case
from core.domain import Turn
from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.load import load_encoder
from core.scoring.prompts import ALONE, load_template, self_aligned_turns
from core.scoring.protocol import EngineSettings

SAMPLE = Path(__file__).resolve().parents[1] / "sample_data" / "arithmetic"
STYLES = ("step_by_step", "chatty", "equation_first", "other_vocabulary", "wrong_answers", "terse")
EXAMPLES = 2
# Lengths of the responses over their mean: uneven as real strategies are, and 1 on average.
LENGTHS = (1.4, 1.15, 0.95, 0.9, 0.85, 0.75)


class CaseMaker:
    """Cuts the sample's texts to the sizes that a case asks for."""

    def __init__(self, model: Path) -> None:
        self._encoder: ChatEncoder = load_encoder(EngineSettings(str(model), device="cpu"))
        self._texts = {style: _rows(style) for style in STYLES}
        self._tokenizer = _tokenizer(model)

    def make(self, spec: CaseSpec) -> Case:
        responses = [self._response(place, spec.response_tokens) for place in range(spec.strategies)]
        self_aligned = self._group(self._self_aligned(spec.prompt_tokens), responses)
        if spec.kind == "in-context":
            return Case([self_aligned])
        question = (Turn("user", self._texts["terse"][0]["question"]),)
        if spec.kind == "whole job":
            plain = self._group(question, responses, detail=True)
            return Case([plain, self_aligned, self._group(ALONE, responses, keep=True)])
        without_context = Group([], responses, "", [self._tokenizer.decode(ids) for ids in responses])
        return Case([self._group(question, responses), self_aligned, without_context, without_context])

    def _response(self, place: int, mean_tokens: int) -> list[int]:
        """Token ids of one style's texts, read from a place of its own, cut where they stay what their text gives."""
        rows = self._texts[STYLES[place % len(STYLES)]]
        start = 1 + 7 * (place // len(STYLES))
        wanted = round(LENGTHS[place % len(LENGTHS)] * mean_tokens)
        text = "\n\n".join(row["response"] for row in islice(cycle(rows), start, start + wanted))
        ids = list(self._encoder.encode_response(text[: 20 * wanted]))
        return next(ids[:length] for length in count(wanted, -1) if self._is_stable(ids[:length]))

    def _is_stable(self, ids: list[int]) -> bool:
        return list(self._encoder.encode_response(self._tokenizer.decode(ids))) == ids

    def _self_aligned(self, tokens: int) -> tuple[Turn, ...]:
        """The self-aligned prompt with example answers as long as its size allows."""
        words = " ".join(row["response"] for row in self._texts["step_by_step"][1:]).split(" ")
        low, high = 1, tokens
        while low < high:
            middle = (low + high + 1) // 2
            fits = len(self._encoder.encode_context(self._prompt(words, middle))) <= tokens
            low, high = (middle, high) if fits else (low, middle - 1)
        return self._prompt(words, low)

    def _prompt(self, words: list[str], length: int) -> tuple[Turn, ...]:
        examples = [" ".join(words[place * length : (place + 1) * length]) for place in range(EXAMPLES)]
        question = (Turn("user", self._texts["terse"][0]["question"]),)
        return self_aligned_turns(question, examples, load_template())

    def _group(self, turns: tuple[Turn, ...], responses: list[list[int]], **wishes: bool) -> Group:
        context = list(self._encoder.encode_context(turns))
        text = self._tokenizer.decode(context)
        texts = [self._tokenizer.decode(ids) for ids in responses]
        for ids, response in zip(responses, texts, strict=True):
            if self._tokenizer.encode(text + response, add_special_tokens=False) != context + ids:
                raise SystemExit("Context and response tokenize otherwise together than one by one.")
        return Group(context, responses, text, texts, **wishes)


def _tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model, local_files_only=True)


def _rows(style: str) -> list[dict[str, str]]:
    lines = (SAMPLE / f"{style}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def make_all(model: Path, folder: Path, specs: Iterator[CaseSpec]) -> None:
    maker = CaseMaker(model)
    for spec in specs:
        write_case(folder / f"{spec.name}.json", maker.make(spec))


if __name__ == "__main__":
    make_all(Path(sys.argv[1]), Path(sys.argv[2]), (CaseSpec(**spec) for spec in json.loads(sys.argv[3])))
