"""Greedy search by the continuous batching of transformers: a question takes the place of an answered one at once.

Its results are proven on this very model, since a wrong cache gives fluent nonsense.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
import transformers

from core.scoring.hf.batches import Answered, Prompt
from core.scoring.hf.memory import free_cached_memory, is_out_of_memory

# Without flash attention a step reads the caches of all rows, so more rows stop paying.
_ROWS = 64
_FEWEST_ROWS = 4
_STEP_TOKENS = 512
_PAGE_TOKENS = 32
_PROBE_TOKENS = 8
_AGREEING_SHARE = 0.9
_WAIT_SECONDS = 0.1
_FAILURES = (RuntimeError, AssertionError, AttributeError, TypeError, ValueError, LookupError, ImportError)


class ContinuousError(Exception):
    """Continuous batching does not work here; the text says why."""


class ContinuousBatches:
    """Leaves the model as it was: nothing goes on behind `answer`, however that ends."""

    def __init__(self, model: Any, end: set[int]) -> None:
        self._model = model
        self._end = sorted(end)
        self._rows = _ROWS
        self._proven_tokens = 0
        # What goes wrong is raised here; its logger would print it too.
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)

    def answer(self, prompts: Sequence[Prompt], answered: Answered, on_step: Callable[[], None]) -> None:
        """The longest first. Raises ContinuousError, by then some prompts may be answered.

        Without enough memory half as many rows share the cache from then on.
        """
        waiting = {prompt.index: prompt for prompt in sorted(prompts, key=lambda prompt: -len(prompt.context))}

        def told(answers: list[tuple[int, list[int]]]) -> None:
            answered(answers)
            for index, _ in answers:
                del waiting[index]

        while waiting:
            fits = False
            try:
                self._session(dict(waiting), told, on_step)
                fits = True
            except MemoryError as error:
                if self._rows <= _FEWEST_ROWS:
                    raise ContinuousError(str(error)) from error
            if not fits:
                free_cached_memory(self._model)
                self._rows = min(self._rows, len(waiting)) // 2

    def _session(self, prompts: dict[int, Prompt], answered: Answered, on_step: Callable[[], None]) -> None:
        """Raises ContinuousError, or MemoryError where the cache does not fit."""
        manager = self._manager(prompts.values())
        manager.start()
        try:
            complete = self._collect(manager, prompts, answered, on_step)
        finally:
            manager.stop(block=True, hard_stop=True)
            manager.destroy()
        if not complete:
            raise _reason(manager.background_thread_status.fatal_error)

    def _manager(self, prompts: Iterable[Prompt]) -> Any:
        attention = self._model.config._attn_implementation
        if attention != "sdpa":
            # The library would exchange it, so that the plain forward pass of the proof were no longer plain.
            raise ContinuousError(f"the model computes its attention by {attention}, not by sdpa")
        pages = [-(-(len(prompt.context) + prompt.room) // _PAGE_TOKENS) for prompt in prompts]
        rows = min(self._rows, len(pages))
        try:
            config = transformers.ContinuousBatchingConfig(
                page_size=_PAGE_TOKENS,
                num_blocks=rows * max(pages),
                max_batch_tokens=_STEP_TOKENS,
                max_requests_per_batch=rows,
                auto_switch_to_flash=False,
            )
            search = transformers.GenerationConfig(do_sample=False, eos_token_id=self._end or None)
            return self._model.init_continuous_batching(search, config)
        except _FAILURES as error:
            raise _reason(error) from error

    def _collect(
        self, manager: Any, prompts: dict[int, Prompt], answered: Answered, on_step: Callable[[], None]
    ) -> bool:
        """Whether all prompts were answered; False where the library gave up."""
        for index, prompt in prompts.items():
            manager.add_request(list(prompt.context), request_id=str(index), max_new_tokens=prompt.room)
        held: list[tuple[int, list[int]]] = []
        left = len(prompts)
        while left:
            on_step()
            outputs = list(_arrived(manager))
            if any(output.error for output in outputs) or (not outputs and not manager.is_running()):
                return False
            left -= len(outputs)
            held += [(int(output.request_id), output.generated_tokens) for output in outputs]
            if held and (left == 0 or sum(len(answer) for _, answer in held) >= _PROBE_TOKENS):
                self._prove(manager, prompts, held)
                answered(held)
                held = []
        return True

    def _prove(self, manager: Any, prompts: dict[int, Prompt], answers: list[tuple[int, list[int]]]) -> None:
        """A plain forward pass must choose the same tokens, wherever more than twice what was proven is reached."""
        rows = sorted(((prompts[index].context, answer) for index, answer in answers), key=_total_tokens, reverse=True)
        reach = _total_tokens(rows[0])
        if reach <= 2 * self._proven_tokens:
            return
        tokens = agreeing = 0
        try:
            with manager.pause(), torch.inference_mode():
                while rows and tokens < _PROBE_TOKENS:
                    context, answer = rows.pop(0)
                    tokens += len(answer)
                    agreeing += self._agreeing(context, answer)
        except _FAILURES as error:
            raise _reason(error) from error
        if agreeing < _AGREEING_SHARE * tokens:
            raise ContinuousError(f"only {agreeing} of {tokens} tokens are those of a plain forward pass")
        self._proven_tokens = reach

    def _agreeing(self, context: Sequence[int], answer: list[int]) -> int:
        """How many of the answer's tokens are the most probable ones of a plain forward pass."""
        ids = torch.tensor([[*context, *answer[:-1]]], device=self._model.device)
        keep = {"logits_to_keep": len(answer)} if self._model._supports_logits_to_keep() else {}
        logits = self._model(input_ids=ids, use_cache=False, **keep).logits[0, -len(answer) :]
        return int((logits.argmax(1).cpu() == torch.tensor(answer)).sum())


def _arrived(manager: Any) -> Iterator[Any]:
    """What is finished by now; waits a moment for the first."""
    output = manager.get_result(timeout=_WAIT_SECONDS)
    while output is not None:
        yield output
        output = manager.get_result(timeout=0)


def _total_tokens(row: tuple[Sequence[int], list[int]]) -> int:
    context, answer = row
    return len(context) + len(answer)


def _reason(error: BaseException | None) -> Exception:
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_out_of_memory(error)):
        return MemoryError("There is not enough memory for the cache.")
    lines = str(error or "").splitlines() or ["the library ended early"]
    return ContinuousError(lines[0][:200])
