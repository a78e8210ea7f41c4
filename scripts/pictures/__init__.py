"""The pictures of every screen, docs/screens/*.svg: how they are made, and how two of them differ."""
