"""Words of 64 bars: bit j says what is true of the bar j after the first, found eight bars at a time.

Each function stands here in plain Python too: that is what it does, and what runs where nothing is compiled.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from .vectors import BYTE, LANES, VECTOR, WHOLE, coded, data_of, load, spread

Floats = NDArray[np.float64]
Narrow = NDArray[np.float32]

WORD = 64  # bars of a word
BIT = ir.IntType(1)
NARROW = ir.VectorType(ir.FloatType(), 2 * LANES)


def _bits(builder: Any, test: Callable[[int], Any], lanes: int = LANES) -> Any:
    """Returns the word of what `test` says of the bars from each place on, as many as lanes."""
    parts = [test(place) for place in range(0, WORD, lanes)]
    while len(parts) > 1:
        bits = 2 * parts[0].type.count
        order = ir.Constant(ir.VectorType(ir.IntType(32), bits), list(range(bits)))
        parts = [builder.shuffle_vector(parts[i], parts[i + 1], order) for i in range(0, len(parts), 2)]
    return builder.bitcast(parts[0], WHOLE)


def _rows(
    context: Any, builder: Any, kinds: Any, values: Any, at: Any, vector: Any = VECTOR
) -> Callable[[int], list[Any]]:
    """Returns a function that loads a vector of bars of each array from a place after `at` on."""
    data = [data_of(context, builder, kind, value) for kind, value in zip(kinds, values, strict=True)]
    return lambda place: [load(builder, one, builder.add(at, WHOLE(place)), vector) for one in data]


def _above(_typing: Any, fast: Any, slow: Any, scale: Any, _tie: Any, _at: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(context, builder, signature.args[:3], values[:3], values[4])
        ties = spread(builder, values[3])

        def test(place: int) -> Any:
            x, y, unit = rows(place)
            return builder.fcmp_ordered(">", builder.fsub(x, y), builder.fmul(ties, unit))

        return _bits(builder, test)

    return numba.types.uint64(fast, slow, scale, numba.types.float64, numba.types.int64), build


def _near(_typing: Any, fast: Any, slow: Any, scale: Any, _tie: Any, _at: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(context, builder, signature.args[:3], values[:3], values[4])
        ties = spread(builder, values[3])
        found = ir.Constant(ir.VectorType(BIT, LANES), [0] * LANES)
        for place in range(0, WORD, LANES):
            x, y, unit = rows(place)
            gap, most = builder.fsub(x, y), builder.fmul(ties, unit)
            inside = builder.fcmp_ordered("<=", gap, most)
            found = builder.or_(
                found, builder.and_(inside, builder.fcmp_ordered(">=", gap, builder.fneg(most)))
            )
        return builder.icmp_unsigned("!=", builder.bitcast(found, BYTE), BYTE(0))

    return numba.types.boolean(fast, slow, scale, numba.types.float64, numba.types.int64), build


def _lower(_typing: Any, x: Any, y: Any, _at: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(context, builder, signature.args[:2], values[:2], values[2], NARROW)
        bits = ir.VectorType(ir.IntType(32), NARROW.count)
        zero = ir.Constant(bits, [0] * NARROW.count)

        def test(place: int) -> Any:
            # The sign of the difference is a bit of it: nothing is compared.
            return builder.icmp_signed("<", builder.bitcast(builder.fsub(*rows(place)), bits), zero)

        return _bits(builder, test, NARROW.count)

    return numba.types.uint64(x, y, numba.types.int64), build


def _within(_typing: Any, x: Any, y: Any, _most: Any, _at: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows = _rows(context, builder, signature.args[:2], values[:2], values[3], NARROW)
        most = spread(builder, values[2], NARROW.count)
        bits = ir.VectorType(ir.IntType(32), NARROW.count)
        size = ir.Constant(bits, [2**31 - 1] * NARROW.count)  # all but the sign
        found = ir.Constant(ir.VectorType(BIT, NARROW.count), [0] * NARROW.count)
        for place in range(0, WORD, NARROW.count):
            gap = builder.and_(builder.bitcast(builder.fsub(*rows(place)), bits), size)
            found = builder.or_(found, builder.fcmp_ordered("<=", builder.bitcast(gap, NARROW), most))
        some = builder.bitcast(found, ir.IntType(NARROW.count))
        return builder.icmp_unsigned("!=", some, some.type(0))

    return numba.types.boolean(x, y, numba.types.float32, numba.types.int64), build


def _against(operator: str) -> Callable[..., Any]:
    """Returns the code of a comparison of a row with another, or with a number."""

    def word(_typing: Any, x: Any, y: Any, _at: Any) -> Any:
        row = isinstance(y, numba.types.Array)

        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            count = 2 if row else 1
            rows = _rows(context, builder, signature.args[:count], values[:count], values[2])
            level = None if row else spread(builder, values[1])

            def test(place: int) -> Any:
                found = rows(place)
                return builder.fcmp_ordered(operator, found[0], found[1] if row else level)

            return _bits(builder, test)

        return numba.types.uint64(x, y if row else numba.types.float64, numba.types.int64), build

    return word


def _first(_typing: Any, _word: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], BIT(0))

    return numba.types.int64(numba.types.uint64), build


def _last(_typing: Any, _word: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.sub(WHOLE(WORD - 1), builder.ctlz(values[0], BIT(1)))

    return numba.types.int64(numba.types.uint64), build


def _word_at(_typing: Any, data: Any, _at: Any, _bars: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.gep(data_of(context, builder, signature.args[0], values[0]), [values[1]])
        word = builder.load(builder.bitcast(place, WHOLE.as_pointer()), align=1)
        off = builder.sub(WHOLE(WORD), values[2])
        return builder.lshr(builder.shl(word, off), off)

    return numba.types.uint64(data, numba.types.int64, numba.types.int64), build


def _count(_typing: Any, _word: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return numba.types.int64(numba.types.uint64), build


def word_of(marks: Any) -> Any:
    """Returns the bits of up to 64 truth values."""
    return np.uint64(sum(1 << j for j, mark in enumerate(marks[:WORD]) if mark))


@coded(_above)
def above(fast: Floats, slow: Floats, scale: Floats, tie: float, at: int) -> Any:
    """Returns the bars from `at` on where fast is above slow by more than tie x scale."""
    return word_of(fast[at : at + WORD] - slow[at : at + WORD] > tie * scale[at : at + WORD])


@coded(_near)
def near(fast: Floats, slow: Floats, scale: Floats, tie: float, at: int) -> bool:
    """Says whether one of 64 bars from `at` on has fast and slow no further apart than tie x scale."""
    return bool((abs(fast[at : at + WORD] - slow[at : at + WORD]) <= tie * scale[at : at + WORD]).any())


@coded(_lower)
def lower(x: Narrow, y: Narrow, at: int) -> Any:
    """Returns the bars from `at` on where x is lower than y, of those where they differ."""
    return word_of(np.signbit(x[at : at + WORD] - y[at : at + WORD]))


@coded(_within)
def within(x: Narrow, y: Narrow, most: np.float32, at: int) -> bool:
    """Says whether one of 64 bars from `at` on has x and y no further apart than `most`."""
    return bool((abs(x[at : at + WORD] - y[at : at + WORD]) <= most).any())


@coded(_against(">"))
def over(x: Floats, y: Any, at: int) -> Any:
    """Returns the bars from `at` on where x is over y, a row or a number."""
    return word_of(x[at : at + WORD] > (y if np.ndim(y) == 0 else y[at : at + WORD]))


@coded(_against("<"))
def under(x: Floats, y: Any, at: int) -> Any:
    """Returns the bars from `at` on where x is under y, a row or a number."""
    return word_of(x[at : at + WORD] < (y if np.ndim(y) == 0 else y[at : at + WORD]))


@coded(_against(">="))
def at_least(x: Floats, y: Any, at: int) -> Any:
    """Returns the bars from `at` on where x is at least y, a row or a number."""
    return word_of(x[at : at + WORD] >= (y if np.ndim(y) == 0 else y[at : at + WORD]))


@coded(_first)
def first_bit(word: Any) -> int:
    """Returns the place of a word's first bit, 64 without one."""
    return (int(word) & -int(word)).bit_length() - 1 if word else WORD


@coded(_last)
def last_bit(word: Any) -> int:
    """Returns the place of a word's last bit; there must be one."""
    return int(word).bit_length() - 1


@coded(_word_at)
def word_at(data: Any, at: int, bars: int) -> Any:
    return np.uint64(int.from_bytes(bytes(data[at : at + 8]), "little") & (1 << bars) - 1)


@coded(_count)
def count_bits(word: Any) -> int:
    return int(word).bit_count()
