"""What the C library does with memory that a run frees."""

import ctypes
from contextlib import suppress
from functools import cache

# Of glibc's malloc.h; mallopt(3) says what they do.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 64 << 20  # at the heap's end; more goes back to the system
LARGE_BYTES = 32 << 20  # of an array that is always the system's own


@cache
def keep_freed() -> None:
    """Lets a process that runs again and again keep what a run frees for the next, where that can be told.

    By itself glibc learns what to keep by what it has seen freed. A page that it gives back and takes again
    costs two microseconds, and a short run a quarter more.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
