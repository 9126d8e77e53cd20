"""Models: reading, the dialect and its specification, small graph helpers, execution."""
