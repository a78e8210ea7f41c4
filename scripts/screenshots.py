"""Makes the pictures of every screen, docs/screens/*.svg, from the bundled sample: the same bytes each time.

`python scripts/screenshots.py [FOLDER] [NAME ...]` makes all of them, or those that are named, there or in FOLDER.
tests/ui/test_screens.py makes them too and compares: after a wanted change of looks, look at them and run this again.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")

from scripts.pictures.catalogues import make_catalogues, make_files  # noqa: E402
from scripts.pictures.listed import PICTURES  # noqa: E402
from scripts.pictures.taking import freeze, take  # noqa: E402


def main(target: Path, *names: str) -> None:
    """Write the pictures with these names, or all of them, into the folder."""
    target = target.absolute()
    target.mkdir(parents=True, exist_ok=True)
    wanted = [picture for picture in PICTURES if not names or picture.name in names]
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        os.chdir(folder)
        freeze()
        catalogues = make_catalogues(Path(folder))
        for picture in wanted:
            path = target / f"{picture.name}.svg"
            path.write_text(take(picture, catalogues[picture.catalogue]), encoding="utf-8")
            print(path, flush=True)
        os.chdir(ROOT)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screens", *sys.argv[2:])
