"""`python -m tests.torture.closing CATALOGUE`: write to the catalogue and close it, which moves the log into it."""

from __future__ import annotations

import sys
from pathlib import Path

from core.store.db import Writer

with Writer(Path(sys.argv[1])) as writer, writer.transaction() as connection:
    connection.execute("UPDATE runs SET why = why")
