"""Hostile input: cases as data, and a child with limits that each of them meets."""
