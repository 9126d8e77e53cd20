"""Small but realistic networks, as their users would export them."""
