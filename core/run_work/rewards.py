"""Rewards of the responses, from a sequence-classification model in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from core.domain import SampleError, Turn
from core.errors import SapError
from core.models import check_reward_model_unchanged
from core.run_work.loading import load_reward_model
from core.run_work.samples import Scope, samples_of
from core.run_work.steps import BatchStore, RunWork
from core.scoring.prompts import context_digest
from core.store.rewards import insert_rewards, rewards

RESPONSES_AT_ONCE = 64


def store_rewards(work: RunWork, scope: Scope) -> None:
    """Ask the reward model about every response that it was not asked about; without one there is nothing to do.

    Where it cannot be used the run goes on, and an event says why rewards are missing.
    """
    request = work.run.request
    if not request.reward_model:
        return
    wanted = {pair for pair, _ in _pairs(work, scope)}
    known = rewards(work.reader, request.reward_model_digest, wanted)
    if len(known) == len(wanted):
        return
    work.begin("rewarding", len(known), len(wanted))
    try:
        check_reward_model_unchanged(request)
        model = load_reward_model(request.reward_model, request.device, request.dtype)
    except (SapError, MemoryError) as error:
        work.say("warning", [f"rewards are missing: {error}"])
        return
    store = BatchStore[tuple[bytes, bytes, float]](
        work, len(known), lambda connection, found: insert_rewards(connection, request.reward_model_digest, found)
    )
    failed: list[str] = []
    missing = (each for each in _pairs(work, scope) if each[0] not in known)
    while batch := list(islice(missing, RESPONSES_AT_ONCE)):
        work.on_step()
        found = model.rewards([conversation for _, conversation in batch])
        store.add(
            [
                (*pair, reward)
                for (pair, _), reward in zip(batch, found, strict=True)
                if not isinstance(reward, SampleError)
            ]
        )
        failed += [reward.text or reward.code for reward in found if isinstance(reward, SampleError)]
    store.commit()
    if failed:
        work.say("warning", [f"{len(failed):,} responses got no reward, the first: {failed[0]}"])


def _pairs(work: RunWork, scope: Scope) -> Iterator[tuple[tuple[bytes, bytes], tuple[tuple[Turn, ...], str]]]:
    for samples in samples_of(work.reader, scope):
        context = context_digest(samples.question.turns)
        for response in samples.responses:
            yield (context, response.digest), (samples.question.turns, response.text)
