"""The notebook: its cells and parameters, the strategy that they make, and its execution."""
