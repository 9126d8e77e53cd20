"""The operators of golden models that are functions of one integer."""
