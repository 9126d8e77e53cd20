"""Activation units of the compiled C++, checked on every input of theirs."""
