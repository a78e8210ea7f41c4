"""Training on the response tokens of chats: batches, loss and the optimizers' steps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from making.model import Sequence

IGNORED = -100
WARMUP_SHARE = 0.03
FULL_RATE_SHARE = 0.4
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TrainingSettings:
    """Peak learning rates of the layers' matrices and of everything else, and the weight decay of both."""

    learning_rate: float
    matrix_learning_rate: float
    weight_decay: float = 0.01


def batches_of_tokens(sequences: list[Sequence], batch_tokens: int, random: Random) -> Iterator[list[Sequence]]:
    """Batches of at most `batch_tokens` padded tokens, in random order; sequences of similar length share one."""
    random.shuffle(sequences)
    found: list[list[Sequence]] = [[]]
    for sequence in sorted(sequences, key=lambda sequence: len(sequence.ids)):
        if (len(found[-1]) + 1) * len(sequence.ids) > batch_tokens:
            found.append([])
        found[-1].append(sequence)
    random.shuffle(found)
    yield from found


def batches_of_sequences(sequences: list[Sequence], size: int, random: Random) -> Iterator[list[Sequence]]:
    """Batches of `size` sequences in random order: as many steps for short responses as for long ones."""
    random.shuffle(sequences)
    for start in range(0, len(sequences), size):
        yield sequences[start : start + size]


def response_loss(model: LlamaForCausalLM, batch: list[Sequence]) -> torch.Tensor:
    """Mean cross-entropy (nats) of the response tokens; logits are made for those alone."""
    width = max(len(sequence.ids) for sequence in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED)
    for row, sequence in enumerate(batch):
        end = len(sequence.ids)
        ids[row, :end] = torch.tensor(sequence.ids)
        # The state at a position predicts the token behind it.
        labels[row, sequence.context_length - 1 : end - 1] = ids[row, sequence.context_length : end]
    # Padding stands on the right, where causal attention never looks: no mask is needed.
    states = model.model(input_ids=ids, use_cache=False).last_hidden_state
    learned = labels != IGNORED
    return cross_entropy(model.lm_head(states[learned]), labels[learned])


class Trainer:
    """Muon for the layers' matrices and AdamW for the rest, with warm-up and linear decay over `total_sequences`."""

    def __init__(self, model: LlamaForCausalLM, settings: TrainingSettings, total_sequences: int) -> None:
        self.model, self.settings, self.total = model, settings, total_sequences
        self.seen = 0
        matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in model.parameters() if id(weight) not in chosen]
        decay = settings.weight_decay
        self.muon = torch.optim.Muon(
            matrices, settings.matrix_learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
        )
        self.adamw = torch.optim.AdamW(others, settings.learning_rate, betas=(0.9, 0.98), weight_decay=decay)

    def learn(self, batches: Iterable[list[Sequence]]) -> float:
        """One step for every batch; returns the mean loss of the steps, in nats."""
        self.model.train()
        losses = [self._step(batch) for batch in batches]
        return sum(losses) / len(losses)

    def _step(self, batch: list[Sequence]) -> float:
        self.seen += len(batch)
        self._set_rates(self.seen / self.total)
        self.model.zero_grad()
        loss = response_loss(self.model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.muon.step()
        self.adamw.step()
        mean: float = loss.item()
        return mean

    def _set_rates(self, done: float) -> None:
        factor = min(done / WARMUP_SHARE, (1 - done) / (1 - FULL_RATE_SHARE), 1.0)
        self.muon.param_groups[0]["lr"] = self.settings.matrix_learning_rate * factor
        self.adamw.param_groups[0]["lr"] = self.settings.learning_rate * factor
