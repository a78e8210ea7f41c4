"""Scoring speed, memory and exactness beside other tools; run by `make bench`."""
