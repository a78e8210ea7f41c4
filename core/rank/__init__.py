"""The ranking of a run: what it is made from in the catalogue, and the report."""

from core.rank.arrays import computable_metrics, run_arrays
from core.rank.looks import dropped_early, stored_looks
from core.rank.report import ranking_report

__all__ = ["computable_metrics", "dropped_early", "ranking_report", "run_arrays", "stored_looks"]
