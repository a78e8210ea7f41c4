"""The Hugging Face engine: everything that imports torch or transformers lives here."""

import os

# Read by huggingface_hub when it is imported: scoring never touches the network.
os.environ["HF_HUB_OFFLINE"] = "1"
