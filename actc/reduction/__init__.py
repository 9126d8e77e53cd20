"""Shrinking a model that shows a fault: delta debugging over all that a model consists of."""
