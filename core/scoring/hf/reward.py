"""Reward models: sequence classification with one number, from a local folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers

from core.domain import SampleError, Turn
from core.errors import RunError
from core.scoring.hf.budget import token_budget
from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.folder import check_folder
from core.scoring.hf.gate import FAILURES, PROBE_TEXT, first_computation
from core.scoring.hf.load import load_config, load_tokenizer, load_weights, quiet
from core.scoring.hf.memory import free_cached_memory, is_out_of_memory
from core.scoring.hf.placement import resolved_device
from core.scoring.hf.quantization import quantization_of
from core.scoring.hf.refused import refused_ids
from core.scoring.hf.versions import library_versions
from core.scoring.protocol import TOO_LARGE, EngineSettings

_KIND = "ForSequenceClassification"
# Largest change of a reward by what shares its batch, as a share of it where it is above 1.
_GATES = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
# Rows of a batch are at least this share as long as its longest: padding costs a CPU as much as tokens do (measured),
# while a GPU computes a few rows in the time of one.
_FILLED = {"cpu": 0.9, "cuda": 0.5}
_PROBES = ((Turn("user", PROBE_TEXT),), PROBE_TEXT), ((Turn("user", "How many?"),), "42.")


class HuggingFaceRewardModel:
    """Implements `core.scoring.protocol.RewardModel` on a model that is loaded and in evaluation mode.

    A reward is the model's one logit, as its own forward pass pools it: at the last token that is no padding. Rows
    share a forward pass where the configuration names the padding token and two probes together get what each gets
    alone.
    """

    def __init__(self, model: Any, encoder: ChatEncoder) -> None:
        self._model = model
        self._encoder = encoder
        self._vocabulary = model.get_input_embeddings().weight.shape[0]
        self._token_budget = token_budget(model)
        self._pad = self._padding_id()
        self._can_batch = self._proven()

    @property
    def versions(self) -> dict[str, str]:
        return library_versions(self._model)

    def rewards(self, conversations: Sequence[tuple[tuple[Turn, ...], str]]) -> list[float | SampleError]:
        """As `core.scoring.protocol.RewardModel.rewards`; a conversation that the template refuses is an error too."""
        encoded = [self._encoded(turns, response) for turns, response in conversations]
        rows = {index: ids for index, ids in enumerate(encoded) if not isinstance(ids, SampleError)}
        computed = dict(self._computed(rows))
        return [ids if isinstance(ids, SampleError) else computed[index] for index, ids in enumerate(encoded)]

    def _encoded(self, turns: tuple[Turn, ...], response: str) -> tuple[int, ...] | SampleError:
        try:
            ids = self._encoder.encode_conversation((*turns, Turn("assistant", response)))
        except RunError as error:
            return SampleError("template", error.message)
        if not ids:
            return SampleError("empty", "The conversation has no tokens.")
        return refused_ids(ids, self._encoder.max_context_tokens, self._vocabulary) or ids

    def _computed(self, rows: dict[int, tuple[int, ...]]) -> Iterator[tuple[int, float | SampleError]]:
        """The longest first: they pad each other least. Without enough memory batches are smaller from then on."""
        filled = _FILLED[self._model.device.type]
        waiting = sorted(rows, key=lambda index: -len(rows[index]))
        while waiting:
            longest = len(rows[waiting[0]])
            batch = [index for index in waiting if len(rows[index]) >= filled * longest]
            batch = batch[: max(1, self._token_budget // longest) if self._can_batch else 1]
            found = self._try_batch([rows[index] for index in batch])
            if found is None and len(batch) > 1:
                self._token_budget = len(batch) * longest // 2
                continue
            alone = [SampleError(TOO_LARGE, "Not enough memory for this conversation alone.")]
            yield from zip(batch, found or alone, strict=True)
            waiting = waiting[len(batch) :]

    def _try_batch(self, rows: Sequence[tuple[int, ...]]) -> list[float | SampleError] | None:
        try:
            return [_checked(logit) for logit in self._logits(rows).tolist()]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        free_cached_memory(self._model)
        return None

    def _logits(self, rows: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """(rows,) float32 logits of rows that are padded on the right."""
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._pad or 0)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        with torch.inference_mode():
            logits = self._model(
                input_ids=ids.to(self._model.device), attention_mask=mask.to(self._model.device)
            ).logits
        found: torch.Tensor = logits[:, 0].float().cpu()
        return found

    def _padding_id(self) -> int | None:
        known = getattr(self._model.config.get_text_config(decoder=True), "pad_token_id", None)
        return known if known is not None and 0 <= known < self._vocabulary else None

    def _proven(self) -> bool:
        """Whether probes of two lengths get the same rewards together as alone. Raises as `first_computation`."""
        rows = [ids for ids in (self._encoded(*probe) for probe in _PROBES) if not isinstance(ids, SampleError)]
        with first_computation():
            alone = [self._logits([row]) for row in rows]
        if self._pad is None or len(rows) < len(_PROBES):
            return False
        try:
            together = self._logits(rows)
        except FAILURES:
            return False
        wanted = torch.cat(alone)
        return bool(((together - wanted).abs() <= _GATES[self._model.dtype] * wanted.abs().clamp(min=1)).all())


def load_reward_model(path: str, device: str, dtype: str) -> HuggingFaceRewardModel:
    """Raises RunError where the folder is no reward model or its weights are not whole, MemoryError as `load_engine`.

    `device` and `dtype` are as in `EngineSettings`.
    """
    quiet()
    folder = Path(path)
    check_folder(folder)
    settings = EngineSettings(path, resolved_device(device), dtype)
    config = load_config(folder)
    _check_kind(folder, config)
    settings = replace(settings, quantization=quantization_of(folder, config, "none"))
    encoder = load_tokenizer(folder, config, settings)[1]
    model = load_weights(folder, config, settings, transformers.AutoModelForSequenceClassification)
    model.eval().requires_grad_(False)
    model.config.get_text_config(decoder=True).use_cache = False
    return HuggingFaceRewardModel(model, encoder)


def _check_kind(folder: Path, config: Any) -> None:
    names = getattr(config, "architectures", None) or []
    known = type(config) in transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    if not known or not any(name.endswith(_KIND) for name in names):
        raise RunError(
            f"{folder} is no reward model: its config.json names {', '.join(names) or 'no architecture'}.",
            f"A reward model is a ...{_KIND} with one label.",
        )
    if config.num_labels != 1:
        raise RunError(f"{folder} is no reward model: it gives {config.num_labels} numbers per conversation, not one.")


def _checked(logit: float) -> float | SampleError:
    if math.isfinite(logit):
        return logit
    return SampleError("nonfinite", "The model gave a reward that is no finite number.")
