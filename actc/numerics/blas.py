"""Sums of products that do not depend on the number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numpy's and scipy's linear algebra to one thread.

    BLAS cuts a matrix product by the number of threads, and each piece by the kernels that fit:
    the order of the sums, and with it their last bits, would depend on the machine's cores and on
    variables like ``OMP_NUM_THREADS``.
    """
    import scipy.linalg  # noqa: F401  # its BLAS is another than numpy's, and has to be there by now
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1, user_api="blas"):
        yield
