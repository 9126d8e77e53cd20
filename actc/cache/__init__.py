"""Results that took long, kept by what they depend on; see docs/cache.md.

A key is a SHA-256 of all that a result depends on: inputs, options, versions of tools and of the
code that computes it (:func:`key_of`). An entry holds bytes under names, is verified by its own
SHA-256 whenever it is read, and appears or disappears as a whole, whatever other processes do.
"""

from __future__ import annotations

from actc.cache.keys import distributions, key_of, source_digest
from actc.cache.notices import take_notices
from actc.cache.settings import DIRECTORY, SIZE, default, directory, disabled, limit, parse_size
from actc.cache.store import Cache, Kind, Pruned

__all__ = [
    "DIRECTORY",
    "SIZE",
    "Cache",
    "Kind",
    "Pruned",
    "default",
    "directory",
    "disabled",
    "distributions",
    "key_of",
    "limit",
    "parse_size",
    "source_digest",
    "take_notices",
]
