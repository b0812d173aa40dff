"""The engine: training, prediction and the models between them."""
