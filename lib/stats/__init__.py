"""Numbers from returns and weights."""
