"""Other tools, used as their own documentation says, on the same token ids."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import torch
import transformers

from benchmarks.cases import Case, Group
from benchmarks.loops import load_model
from benchmarks.process import Scored, Task


def _versions(package: str) -> dict[str, str]:
    libraries = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {package: importlib.metadata.version(package)} | libraries


def _tokenizer(task: Task) -> Any:
    return transformers.AutoTokenizer.from_pretrained(task.model, local_files_only=True)


class LmEval:
    """lm-evaluation-harness' Hugging Face backend; it gives a response's sum only."""

    note = "gives sums of responses only"

    def __init__(self, task: Task, case: Case) -> None:
        from lm_eval.models.huggingface import HFLM

        batch = len(case.groups[0].responses) if task.options["all_at_once"] else 1
        self._model = HFLM(pretrained=load_model(task), tokenizer=_tokenizer(task), batch_size=batch)
        self.versions = _versions("lm_eval")

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        return [self._score_group(group) for group in groups]

    def _score_group(self, group: Group) -> list[Scored]:
        requests = [(("", str(place)), group.context, ids) for place, ids in enumerate(group.responses)]
        sums = self._model._loglikelihood_tokens(requests, disable_tqdm=True)
        return [Scored(total / len(ids)) for (total, _), ids in zip(sums, group.responses, strict=True)]


class Minicons:
    """minicons takes texts and tokenizes them itself: the driver made sure that they give the same ids.

    It takes the number of prompt tokens that are no padding for the prompt's length, so its padding token must not
    stand in a prompt, as the end-of-turn token of a chat template does.
    """

    def __init__(self, task: Task, case: Case) -> None:
        from minicons.scorer import IncrementalLMScorer

        tokenizer = _tokenizer(task)
        self.note = _replace_padding(tokenizer, case)
        model = load_model(task)
        self._scorer = IncrementalLMScorer(model, device=task.device, tokenizer=tokenizer)
        self.versions = _versions("minicons")

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        return [self._score_group(group) for group in groups]

    def _score_group(self, group: Group) -> list[Scored]:
        contexts = [group.context_text] * len(group.responses)
        rows = self._scorer.conditional_score(contexts, group.response_texts, separator="", reduction=list)
        return [Scored(sum(map(float, row)) / len(row), list(map(float, row))) for row in rows]


def _replace_padding(tokenizer: Any, case: Case) -> str:
    """Give the tokenizer a padding token that no prompt has; returns what to tell about it."""
    used = {token for group in case.groups for token in group.context}
    before = tokenizer.pad_token_id
    if before is not None and before not in used:
        return ""
    tokenizer.pad_token_id = next(token for token in sorted(tokenizer.all_special_ids) if token not in used)
    found = sum(token == before for token in case.groups[0].context)
    return (
        f"the model's own padding token stands {found} times in the prompt, so that minicons would score {found} prompt"
        " tokens with every response; it was given another one"
    )


class Vllm:
    """vLLM's prompt log-probabilities; for those it computes every prompt anew, whatever its prefix cache holds."""

    note = ""

    def __init__(self, task: Task, case: Case) -> None:
        from vllm import LLM, SamplingParams

        quantization = None if task.quantization == "none" else "bitsandbytes"
        longest = max(len(group.context) + max(map(len, group.responses)) for group in case.groups)
        self._model = LLM(
            model=task.model, dtype=task.dtype, quantization=quantization, max_model_len=longest + 1,
            max_num_batched_tokens=8192, gpu_memory_utilization=0.8,
        )  # fmt: skip
        self._wanted = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        self.versions = _versions("vllm")

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        return [self._score_group(group) for group in groups]

    def _score_group(self, group: Group) -> list[Scored]:
        prompts = [{"prompt_token_ids": group.context + ids} for ids in group.responses]
        outputs = self._model.generate(prompts, self._wanted, use_tqdm=False)
        return [_read(output, ids) for output, ids in zip(outputs, group.responses, strict=True)]


def _read(output: Any, ids: list[int]) -> Scored:
    """The log-probabilities of the prompt's last tokens, which are the response."""
    places = output.prompt_logprobs[-len(ids) :]
    tokens = [place[token].logprob for place, token in zip(places, ids, strict=True)]
    return Scored(sum(tokens) / len(tokens), tokens)
