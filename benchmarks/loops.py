"""Plain loops over one sequence at a time: the reference that all are compared with, and the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.cases import Case, Group
from benchmarks.process import Scored, Task


def load_model(task: Task) -> Any:
    """The model as a user of transformers would load it for scoring."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    options: dict[str, Any] = {} if task.device == "cpu" else {"device_map": {"": task.device}}
    if task.quantization != "none":
        options["quantization_config"] = _quantization(task)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        Path(task.model), dtype=getattr(torch, task.dtype), local_files_only=True, **options
    )
    return model.eval().requires_grad_(False)


def _quantization(task: Task) -> Any:
    if task.quantization == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    compute = getattr(torch, task.dtype)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=task.quantization, bnb_4bit_compute_dtype=compute
    )


class Reference:
    """The definition written down: float32 log-softmax of all logits, read at the response's tokens."""

    note = ""

    def __init__(self, task: Task, case: Case) -> None:
        self._model = load_model(task)
        self.versions = {"torch": torch.__version__, "transformers": transformers.__version__}

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        with torch.inference_mode():
            return [[self._score_one(group.context, response) for response in group.responses] for group in groups]

    def _score_one(self, context: list[int], response: list[int]) -> Scored:
        ids = torch.tensor([context + response], device=self._model.device)
        logits = self._model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        gathered = logits.gather(1, ids[0, 1:, None])[:, 0] - logits.logsumexp(dim=1)
        tokens = gathered[max(len(context) - 1, 0) :].double()
        return Scored(float(tokens.mean()), tokens.tolist())


class PaperLoop:
    """As the paper's published code does it: labels with the prompt masked, the library's loss over all logits."""

    note = ""

    def __init__(self, task: Task, case: Case) -> None:
        self._model = load_model(task)
        self._use_cache = {"use_cache": False} if not task.options["use_cache"] else {}
        self.versions = {"torch": torch.__version__, "transformers": transformers.__version__}

    def score(self, groups: list[Group]) -> list[list[Scored]]:
        with torch.inference_mode():
            return [[self._score_one(group.context, response) for response in group.responses] for group in groups]

    def _score_one(self, context: list[int], response: list[int]) -> Scored:
        ids = torch.tensor([context + response], device=self._model.device)
        labels = ids.clone()
        labels[0, : len(context)] = -100
        return Scored(-float(self._model(input_ids=ids, labels=labels, **self._use_cache).loss))
