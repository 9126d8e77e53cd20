"""Fuzzing of the compiler: random valid models, compiled and compared on every back end.

`python -m fuzz --minutes 10` (with tests/ on PYTHONPATH), or `make fuzz MINUTES=10`.
"""
