"""`python -m tests.torture.rival CATALOGUE RUN`: claim the run and score it, without taking the device first.

Exit code 3 when the run is not to be had.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from core.jobs.claim import claim_run
from core.scorer import Scorer
from core.store.db import Writer

NOT_MINE = 3


def main(catalogue: Path, run: int) -> int:
    with Writer(catalogue) as writer:
        claim = claim_run(writer, run)
    if claim is None:
        return NOT_MINE
    Scorer(catalogue).work(claim)
    return 0


if __name__ == "__main__":
    os._exit(main(Path(sys.argv[1]), int(sys.argv[2])))
