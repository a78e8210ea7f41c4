"""Models for the worker: the engine that a run asks for, its tokenizer alone, a reward model."""

from __future__ import annotations

import os
from collections.abc import Callable

from core.domain import Run, RunRequest
from core.memory_room import check_room
from core.models import is_stand_in
from core.scoring.protocol import Encoder, Engine, EngineSettings, RewardModel


def load(run: Run, on_phase: Callable[[str], None]) -> Engine:
    """Load the run's target model. Raises RunError when it can never be used, MemoryError when it does not fit now."""
    check_room(run.request)
    if is_stand_in(run.request.path):
        from core.scoring.fake import FakeEngine

        return FakeEngine()
    from core.scoring.hf.load import load_engine

    return load_engine(engine_settings(run.request), on_phase)


def load_encoder(request: RunRequest) -> Encoder:
    """The tokenizer side of a target model, without its weights."""
    if is_stand_in(request.path):
        from core.scoring.fake import FakeEngine

        return FakeEngine()
    from core.scoring.hf import load

    prepare_environment()
    return load.load_encoder(engine_settings(request))


def engine_settings(request: RunRequest) -> EngineSettings:
    return EngineSettings(
        path=request.path, device=request.device, dtype=request.dtype, quantization=request.quantization,
        adapter=request.adapter, system=request.system, template_options=request.template_options,
        control_tokens=request.control_tokens, chat_template=request.chat_template,
    )  # fmt: skip


def prepare_environment() -> None:
    """Must come before torch is imported: its spinning threads would starve every other process on the machine."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ["HF_HUB_OFFLINE"] = "1"


def load_reward_model(path: str, device: str, dtype: str) -> RewardModel:
    """Raises SapError when it cannot be used, MemoryError when it does not fit."""
    if is_stand_in(path):
        from core.scoring.fake import FakeRewardModel

        return FakeRewardModel()
    from core.scoring.hf import reward

    load: Callable[[str, str, str], RewardModel] = reward.load_reward_model
    return load(path, device, dtype)
