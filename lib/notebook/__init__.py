"""The notebook: its cells, its parameters, its strategy, and its execution."""
