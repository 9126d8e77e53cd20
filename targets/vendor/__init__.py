"""Vendors' tools: what they run of a compiled directory, and what their reports say."""
