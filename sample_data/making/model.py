"""The tiny target model: its shape, its chats as token ids and its greedy answers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from making.examples import Chat
from making.problems import Problem

ANSWER_BATCH = 100
ANSWER_TOKENS = 120


@dataclass(frozen=True)
class Sequence:
    """Token ids of a chat, and how many of them stand before the response."""

    ids: list[int]
    context_length: int


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained Llama of about two million parameters; takes its weights from torch's random state."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def encode(chats: Iterable[Chat], tokenizer: PreTrainedTokenizerFast) -> list[Sequence]:
    """Context and response are encoded apart, as in scoring; the end token is learned with the response."""
    chats = list(chats)
    contexts = tokenizer(
        [context(chat.messages, tokenizer) for chat in chats], add_special_tokens=False, return_attention_mask=False
    )["input_ids"]
    responses = tokenizer([chat.response for chat in chats], add_special_tokens=False, return_attention_mask=False)[
        "input_ids"
    ]
    return [
        Sequence(before + response + [tokenizer.eos_token_id], len(before))
        for before, response in zip(contexts, responses, strict=True)
    ]


def context(messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerFast) -> str:
    """The chat up to the response, as text."""
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text


@torch.inference_mode()
def greedy_answers(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, questions: list[str]) -> list[str]:
    """The model's greedy answer to every question, without special tokens."""
    model.eval()
    answers: list[str] = []
    for start in range(0, len(questions), ANSWER_BATCH):
        chats = [[{"role": "user", "content": question}] for question in questions[start : start + ANSWER_BATCH]]
        encoded = tokenizer(
            [context(chat, tokenizer) for chat in chats],
            add_special_tokens=False,
            padding=True,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        made = model.generate(**encoded, max_new_tokens=ANSWER_TOKENS)
        answers += tokenizer.batch_decode(made[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
    return answers


def accuracy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, problems: list[Problem]) -> float:
    """The share of problems whose final answer the model gets right greedily."""
    answers = greedy_answers(model, tokenizer, [problem.question for problem in problems])
    right = [final_answer(answer) == str(problem.answer) for answer, problem in zip(answers, problems, strict=True)]
    return sum(right) / len(right)


def final_answer(text: str) -> str | None:
    """What stands after the last "Final Answer:"."""
    found = re.findall(r"Final Answer:[ \t]*(.*)", text)
    return found[-1].strip() if found else None
