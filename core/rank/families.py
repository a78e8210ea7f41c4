"""Families of language models, found in what people call them."""

from __future__ import annotations

import re

_FAMILIES = {
    "claude": r"claude",
    "command": r"command(?![a-z])",
    "deepseek": r"deepseek",
    "falcon": r"falcon",
    "gemini": r"gemini",
    "gemma": r"gemma",
    "glm": r"(?<![a-z])(?:chat)?glm",
    "gpt": r"(?<![a-z])(?:chat)?gpt(?!-?(?:neo|j(?![a-z])))",
    "granite": r"granite",
    "llama": r"llama",
    "mistral": r"(?:mis|mix|minis|codes|magis)tral",
    "nemotron": r"nemotron",
    "olmo": r"olmo",
    "phi": r"(?<![a-z])phi(?![a-z])",
    "qwen": r"qwen|(?<![a-z])qwq",
    "smollm": r"smollm",
    "yi": r"(?<![a-z])yi(?![a-z])",
}
_PATTERNS = {family: re.compile(pattern, re.IGNORECASE) for family, pattern in _FAMILIES.items()}


def model_families(text: str) -> frozenset[str]:
    """The families that a text names; a distilled model may belong to two."""
    return frozenset(family for family, pattern in _PATTERNS.items() if pattern.search(text))


def share_family(teacher: str, target: frozenset[str]) -> bool | None:
    """Whether the teacher is of one of the target model's families; None without a teacher or a known family."""
    return bool(model_families(teacher) & target) if teacher.strip() and target else None
