"""What a compilation cost: comparing its stages on data."""
