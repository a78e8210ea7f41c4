"""Near-duplicates: the hashed similarity against sets of letters, and what the hardest samples without them are."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import numpy as np
import pytest

from core.selection.duplicates import BLOCK, LETTERS, hardest_distinct, letter_vectors

WORDS = ("apple", "river", "seven", "lamp", "green", "train", "minus", "basket", "twelve", "walk", "stone", "cloud")


def sentence(generator: random.Random, words: int = 40) -> str:
    return " ".join(f"{generator.choice(WORDS)}{generator.randrange(90)}" for _ in range(words))


def grams(text: str) -> set[str]:
    plain = f" {' '.join(text.casefold().split())} "
    return {plain[place : place + LETTERS] for place in range(max(1, len(plain) - LETTERS + 1))}


def cosine(first: str, second: str) -> float:
    ours, theirs = grams(first), grams(second)
    return len(ours & theirs) / math.sqrt(len(ours) * len(theirs))


def changed(text: str, generator: random.Random, words: int) -> str:
    parts = text.split()
    for place in generator.sample(range(len(parts)), words):
        parts[place] = f"{generator.choice(WORDS)}{generator.randrange(90)}"
    return " ".join(parts)


def test_the_scalar_product_estimates_the_cosine_of_the_sets() -> None:
    generator = random.Random(1)
    errors = []
    for words in (0, 1, 2, 4, 8, 16, 32) * 6:
        first = sentence(generator)
        second = changed(first, generator, words)
        vectors = letter_vectors([first, second])
        errors.append(float(vectors[0] @ vectors[1]) - cosine(first, second))
    assert max(map(abs, errors)) < 0.08
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) < 0.03


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "A "), ("The cat.", "the\n cat."), ("日本語のテキスト", "日本語のテキスト"), ("😀", "😀")],
)
def test_case_and_white_space_do_not_count(first: str, second: str) -> None:
    vectors = letter_vectors([first, second])
    assert float(vectors[0] @ vectors[1]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("text", ["", " ", "\0", "x", "\ud800", "ß" * 5])
def test_short_and_odd_texts_have_a_unit_vector(text: str) -> None:
    assert float(np.linalg.norm(letter_vectors([text])[0])) == pytest.approx(1, abs=1e-6)


def plain_hardest(values: list[float], texts: list[str], percent: float, similarity: float) -> list[int]:
    """By exact cosines, one text after the other."""
    kept: list[int] = []
    for place in sorted(range(len(values)), key=lambda place: -values[place]):
        if len(kept) == math.ceil(len(values) * percent / 100):
            break
        if all(cosine(texts[place], texts[other]) < similarity for other in kept):
            kept.append(place)
    return sorted(kept)


@pytest.mark.parametrize("percent", [5, 20, 50, 100])
def test_the_hardest_without_near_duplicates_of_harder_ones(percent: float) -> None:
    generator = random.Random(7)
    originals = [sentence(generator) for _ in range(200)]
    # A copy with one word changed of every second one: similar to about 0.95, while strangers stay below 0.6.
    texts = originals + [changed(text, generator, 1) for text in originals[::2]]
    values = [generator.uniform(0, 5) for _ in texts]
    mask = hardest_distinct(np.array(values), texts, percent=percent, similarity=0.85)
    expected = plain_hardest(values, texts, percent, 0.85)
    assert np.flatnonzero(mask).tolist() == expected
    assert len(expected) == min(math.ceil(percent * 3), 200)


def test_of_equal_texts_the_hardest_stays_across_blocks() -> None:
    generator = random.Random(3)
    texts = [sentence(generator) for _ in range(BLOCK + 50)]
    texts[-1] = texts[0]
    values = np.arange(len(texts), 0, -1, dtype=np.float64)
    mask = hardest_distinct(values, texts, percent=100, similarity=0.9)
    assert mask[0]
    assert not mask[-1]
    assert mask.sum() == len(texts) - 1


def test_equal_values_keep_their_order() -> None:
    generator = random.Random(4)
    texts = [sentence(generator) for _ in range(10)]
    mask = hardest_distinct(np.ones(10), texts, percent=30, similarity=0.9)
    assert np.flatnonzero(mask).tolist() == [0, 1, 2]


def test_hashes_do_not_depend_on_the_process() -> None:
    code = (
        "from core.selection.duplicates import letter_vectors as f; print(f(['some text, hashed'])[0].tobytes().hex())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == letter_vectors(["some text, hashed"])[0].tobytes().hex()


def test_ten_thousand_responses_do_not_need_a_square_of_memory() -> None:
    """A square of float32 would take 400 MB, and one of float64 800 MB."""
    code = """
import random, resource
import numpy as np
from core.selection.duplicates import hardest_distinct
words = [f"w{number:x}" for number in range(4000)]
generator = random.Random(0)
texts = [" ".join(generator.choices(words, k=60)) for _ in range(10_000)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mask = hardest_distinct(np.array([generator.random() for _ in texts]), texts, percent=100, similarity=0.9)
used = resource.getrusage(resource.RUSAGE_SELF)
print(int(mask.sum()), used.ru_maxrss - before, round(used.ru_utime))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, kilobytes, seconds = map(int, result.stdout.split())
    assert kept == 10_000
    assert kilobytes < 200_000
    assert seconds < 120
