"""Near-duplicates by the letters that texts share. The similarity is lexical: a paraphrase is no near-duplicate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.metrics.base import BoolArray, FloatArray

SIMILARITY = 0.9
LETTERS = 5
# At a cosine of 0.9 hashing into so many dimensions errs by about (1 - 0.9 ** 2) / sqrt(2048) = 0.004.
DIMENSIONS = 2048
BLOCK = 256
_ROUNDING = 1e-9


def hardest_distinct(values: FloatArray, texts: Sequence[str], *, percent: float, similarity: float) -> BoolArray:
    """Mask (n,) of the `percent` of n samples with the highest values (n,), leaving out near-duplicates of harder ones.

    A near-duplicate has a cosine similarity of at least `similarity` with a sample kept already; the next one takes
    its place. Of equal values the earlier sample comes first. Memory: the vectors of what is kept, and one block.
    """
    import numpy as np

    order = np.argsort(-values, kind="stable")
    wanted = math.ceil(len(order) * percent / 100 - _ROUNDING)
    mask = np.zeros(len(order), dtype=np.bool_)
    kept = np.empty((wanted, DIMENSIONS), dtype=np.float32)
    count = 0
    for start in range(0, len(order), BLOCK):
        if count == wanted:
            break
        block = order[start : start + BLOCK]
        vectors = letter_vectors([texts[place] for place in block.tolist()])
        chosen = _distinct(vectors, kept[:count], similarity - _ROUNDING)[: wanted - count]
        kept[count : count + len(chosen)] = vectors[chosen]
        mask[block[chosen]] = True
        count += len(chosen)
    return mask


def _distinct(vectors: NDArray[np.float32], kept: NDArray[np.float32], similarity: float) -> list[int]:
    """Places of the vectors (b, D) that are near neither a kept vector (k, D) nor one of their own before them."""
    import numpy as np

    near_kept = np.any(vectors @ kept.T >= similarity, axis=1)
    among = np.asarray(vectors @ vectors.T >= similarity)
    chosen: list[int] = []
    for place in range(len(vectors)):
        if not near_kept[place] and not among[place, chosen].any():
            chosen.append(place)
    return chosen


def letter_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors (n, D), float32, of the letter 5-grams that the texts hold, case and white space aside.

    Each 5-gram is hashed to a dimension and a sign, so that the scalar product estimates the cosine of the two sets.
    """
    import numpy as np

    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in enumerate(texts):
        grams = _hashed_grams(text)
        signs = ((grams >> np.uint64(40)) & np.uint64(1)).astype(np.float64) * 2 - 1
        places = (grams % np.uint64(DIMENSIONS)).astype(np.int64)
        vector = np.bincount(places, weights=signs, minlength=DIMENSIONS)
        vectors[row] = vector / (np.linalg.norm(vector) or 1.0)
    return vectors


def _hashed_grams(text: str) -> NDArray[np.uint64]:
    """64-bit hashes of the distinct 5-grams of a text, the same on every machine; of a shorter text, of the whole."""
    import numpy as np

    plain = f" {' '.join(text.casefold().split())} "
    letters = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    width = min(LETTERS, len(letters))
    hashes = np.zeros(len(letters) - width + 1, dtype=np.uint64)
    for offset in range(width):
        hashes = hashes * np.uint64(0x100000001B3) + letters[offset : len(letters) - width + 1 + offset]
    # The last steps of MurmurHash3: without them places and signs would depend on the last letters alone.
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes ^= hashes >> np.uint64(33)
        hashes *= np.uint64(factor)
    hashes ^= hashes >> np.uint64(33)
    return np.unique(hashes)
