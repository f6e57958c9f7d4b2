"""Sorts numbers by the digits of their bits: no comparison whose outcome a processor would have to guess.

Digit by digit from the last on, each pass keeping the order of the one before: Knuth, The Art of Computer
Programming 3, 5.2.5.
"""

import numpy as np
from numpy.typing import NDArray

from .jit import inner, put

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

DIGIT = 11  # bits: the places of a digit's values are 16 KiB, half of a processor's nearest memory
VALUES = 1 << DIGIT
BITS = 64
POSITIVE = (1 << 63) - 1  # all bits but the sign


@inner
def descending(values: Floats, items: Index) -> Index:
    """Returns the items by descending value, those of equal values as they were; no value is NaN.

    What is in both arrays is lost.
    """
    n = len(values)
    keys = values.view(np.int64)
    differ = 0
    for i in range(n):
        # As whole numbers without a sign the bits of positive numbers ascend with them, those of negative
        # ones descend, and come last. -0.0 + 0.0 is 0.0, so that the two are equal.
        values[i] += 0.0
        key = keys[i]
        keys[i] = key if key < 0 else key ^ POSITIVE
        differ |= keys[i] ^ keys[0]
    other_keys, other_items = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    places = np.empty(VALUES, dtype=np.int64)
    for shift in range(0, BITS, DIGIT):
        if (differ >> shift) & (VALUES - 1) == 0:
            continue
        places[:] = 0
        for i in range(n):
            places[(keys[i] >> shift) & (VALUES - 1)] += 1
        place = 0
        for digit in range(VALUES):
            count = places[digit]
            places[digit] = place
            place += count
        for i in range(n):
            digit = (keys[i] >> shift) & (VALUES - 1)
            put(other_keys, places[digit], keys[i])
            put(other_items, places[digit], items[i])
            places[digit] += 1
        keys, other_keys = other_keys, keys
        items, other_items = other_items, items
    return items
