"""Wing: inference on scores. Arrays in, p values out."""
