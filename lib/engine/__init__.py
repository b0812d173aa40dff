"""The engine: from a user's functions and data to models, and from models and a state to weights."""
