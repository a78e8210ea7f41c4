"""Trains the tiny target model from nothing and saves it as an ordinary model folder."""

import time
from itertools import islice
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM, PreTrainedTokenizerFast

from making.examples import draw_chats
from making.model import accuracy, encode, new_model
from making.texts import held_out_questions, sample_problems
from making.tokens import train_tokenizer
from making.training import Trainer, TrainingSettings, batches_of_tokens

SETTINGS = TrainingSettings(learning_rate=8e-3, matrix_learning_rate=8e-3, weight_decay=0.05)
BATCH_TOKENS = 2048
CHUNK = 256
CHUNKS = 176
TOKENIZER_CHATS = 3000
# Chats with examples are long: they come when the short ones have taught the language of the task.
IN_CONTEXT_SHARES = ((0.5, 0.01), (1.0, 0.15))


def make_base_model(folder: Path, seed: int) -> None:
    """Trains tokenizer and model and writes both to `folder`, the weights in bfloat16."""
    excluded = held_out_questions(seed)
    tokenizer = _tokenizer(excluded, seed)
    torch.manual_seed(seed)
    model = new_model(tokenizer)
    _train(model, tokenizer, excluded, seed)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    saved = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    print(f"accuracy on the sample questions: {accuracy(saved, tokenizer, sample_problems(seed)):.3f}", flush=True)


def _tokenizer(excluded: set[str], seed: int) -> PreTrainedTokenizerFast:
    chats = islice(draw_chats(Random(f"{seed} tokenizer"), excluded, 0.1), TOKENIZER_CHATS)
    return train_tokenizer(text for chat in chats for text in (chat.messages[-1]["content"], chat.response))


def _train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, excluded: set[str], seed: int) -> None:
    random = Random(f"{seed} training")
    trainer = Trainer(model, SETTINGS, CHUNK * CHUNKS)
    started = time.monotonic()
    for chunk in range(CHUNKS):
        in_context_share = next(share for until, share in IN_CONTEXT_SHARES if chunk / CHUNKS < until)
        sequences = encode(islice(draw_chats(random, excluded, in_context_share), CHUNK), tokenizer)
        loss = trainer.learn(batches_of_tokens(sequences, BATCH_TOKENS, random))
        print(f"chunk {chunk + 1}/{CHUNKS}: loss {loss:.4f}, {time.monotonic() - started:.0f} s", flush=True)
