"""ACT025x: the cache of results."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0250": CodeInfo(
        "an entry of the cache was damaged",
        "Every entry is verified by its SHA-256 when it is read. One that is not as it was "
        "written is removed, and its result is computed again: nothing is wrong with what this "
        "run made. The cause is a crash of the system, a disk that fails, or somebody who "
        "changed the file.",
    ),
    "ACT0251": CodeInfo(
        "the cache is not used",
        "The folder of the cache cannot be read or written, belongs to another user, or others "
        "may write there, who could put false results into it. All is computed, and nothing is "
        "kept. ACTC_CACHE_DIR names another folder, ACTC_CACHE_SIZE=0 switches the cache off.",
    ),
    "ACT0252": CodeInfo(
        "a size of the cache cannot be read",
        "ACTC_CACHE_SIZE and --size are a number of bytes, with a unit: 500MB, 2GB, 1.5GiB; 0 "
        "keeps nothing.",
    ),
}
