"""Makes everything in this folder from a seed: texts, tiny target model and the outcomes of fine-tuning it.

Texts come out byte for byte the same everywhere. Training depends on the torch build, the processor and the threads, so
another machine's model and outcomes differ a little.
"""

import argparse
import os
from pathlib import Path

from making.texts import write_strategies

STEPS = ("texts", "model", "outcomes")
THREADS = 2


def main() -> None:
    arguments = parse_arguments()
    folder, seed = arguments.output, arguments.seed
    steps = [arguments.only] if arguments.only else STEPS
    if "texts" in steps:
        write_strategies(folder / "arithmetic", seed)
    if "model" in steps:
        make_model(folder / "tiny-model", seed)
    if "outcomes" in steps:
        make_outcomes(folder, seed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=STEPS, help="this step alone")
    return parser.parse_args()


def make_model(folder: Path, seed: int) -> None:
    """Trains the tiny model into `folder`: about a quarter of an hour on two cores."""
    use_few_threads()
    from making.base import make_base_model

    make_base_model(folder, seed)


def make_outcomes(folder: Path, seed: int) -> None:
    """Fine-tunes the model in `folder` on every strategy and writes outcomes.csv."""
    use_few_threads()
    from making.outcomes import base_accuracy, measure_outcomes

    print(f"accuracy before fine-tuning: {base_accuracy(folder / 'tiny-model', seed):.4f}", flush=True)
    measure_outcomes(folder / "tiny-model", folder / "outcomes.csv", seed)


def use_few_threads() -> None:
    """Fixes the number of threads, which the sums of floating point numbers depend on; before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


if __name__ == "__main__":
    main()
