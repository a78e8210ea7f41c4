"""The steps of make_sample_data.py: problems, styles, files, tiny model, training, outcomes."""
