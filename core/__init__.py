"""Scoring, ranking and storage: everything that knows no screen."""
