"""Code for eight numbers at once where the compiler does not find it by itself.

It cannot know that sums and marks do not overlap. A vector of eight is what any processor splits as it
can, with the same results.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., object])

code: Any = cgutils  # untyped

LANES = 8  # kernel.layout.WIDTH

WHOLE, BYTE = ir.IntType(64), ir.IntType(8)
VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def coded(build: Callable[..., Any]) -> Callable[[F], F]:
    """Returns a decorator that puts code in place of a function, where functions are compiled at all."""

    def decorate(plain: F) -> F:
        return plain if getattr(numba.config, "DISABLE_JIT") else cast(F, intrinsic(build))  # noqa: B009

    return decorate


def data_of(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value=value).data


def load(builder: Any, data: Any, at: Any, kind: Any = VECTOR) -> Any:
    return builder.load(builder.bitcast(builder.gep(data, [at]), kind.as_pointer()), align=4)


def spread(builder: Any, x: Any, lanes: int = LANES) -> Any:
    """Returns a vector that has x in each place."""
    kind = ir.VectorType(x.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), x, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


class _Held:
    """A loop over a held position's bars, some of its sums in registers."""

    def __init__(self, builder: Any, arrays: list[Any], numbers: list[Any], sums: range) -> None:
        data, self.marks, *_ = arrays
        self.builder, (self.first, self.end, cash, units, *_) = builder, numbers
        self.cash, self.units = spread(builder, cash), spread(builder, units)
        self.rows = [
            builder.bitcast(builder.gep(data, [WHOLE(i * LANES)]), VECTOR.as_pointer()) for i in sums
        ]
        self.sums = [code.alloca_once_value(builder, builder.load(row, align=8)) for row in self.rows]

    def equities(self, prices: Any) -> Any:
        b = self.builder
        return b.fadd(self.cash, b.fmul(self.units, prices))

    def run(self) -> None:
        """Builds the loop over whole blocks and the rest."""
        b = self.builder
        count = b.sub(self.end, self.first)
        whole, rest = b.lshr(count, WHOLE(3)), b.and_(count, WHOLE(LANES - 1))
        with code.for_range(b, whole) as loop:
            self.block(loop.index, None)
        with b.if_then(b.icmp_unsigned("!=", rest, WHOLE(0))):
            self.block(whole, self.numbered("<", rest))
        self.store()

    def store(self) -> None:
        for row, place in zip(self.rows, self.sums, strict=True):
            self.builder.store(self.builder.load(place), row, align=8)

    def numbered(self, operator: str, bound: Any) -> Any:
        """Returns which lanes' numbers compare so with a bound."""
        numbers = ir.Constant(ir.VectorType(WHOLE, LANES), list(range(LANES)))
        return self.builder.icmp_signed(operator, numbers, spread(self.builder, bound))

    def block(self, number: Any, live: Any) -> None:
        """Builds the code of eight bars, or of those of them that live."""
        raise NotImplementedError


class _Returns(_Held):
    """Adds the returns."""

    def __init__(self, builder: Any, arrays: list[Any], numbers: list[Any]) -> None:
        super().__init__(builder, arrays, numbers, range(3))
        before = builder.load(builder.gep(self.marks, [builder.sub(self.first, WHOLE(1))]))
        self.last = code.alloca_once_value(builder, self.equities(spread(builder, before)))
        self.free = spread(builder, numbers[4])

    def block(self, number: Any, live: Any) -> None:
        b = self.builder
        zero, one = ir.Constant(VECTOR, [0.0] * LANES), ir.Constant(VECTOR, [1.0] * LANES)
        e = self.equities(load(b, self.marks, b.add(self.first, b.shl(number, WHOLE(3)))))
        # The bar before each: the last of the block before, then this block's own but its last.
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES - 1, 2 * LANES - 1)))
        last = b.shuffle_vector(b.load(self.last), e, places)
        b.store(e, self.last)
        r = b.fsub(b.fdiv(e, last), one)
        d = b.fsub(r, self.free)
        d = b.select(b.fcmp_ordered("<", d, zero), d, zero)
        if live is not None:
            r, d = b.select(live, r, zero), b.select(live, d, zero)
        for place, x in zip(self.sums, (r, b.fmul(r, r), b.fmul(d, d)), strict=True):
            b.store(b.fadd(b.load(place), x), place)


class _Climb(_Held):
    """Follows the peak and what is deepest below it, in the blocks that begin at multiples of LANES."""

    def __init__(self, builder: Any, arrays: list[Any], numbers: list[Any]) -> None:
        super().__init__(builder, arrays, numbers, range(3, 5))
        self.blocks, self.peaks = arrays[2:]
        self.peak = code.alloca_once_value(builder, spread(builder, numbers[4]))
        self.base = builder.and_(self.first, WHOLE(-LANES))

    def run(self) -> None:
        """Builds the first block, the loop over whole ones and the rest."""
        b, one = self.builder, WHOLE(1)
        count = b.sub(self.end, self.base)
        whole, rest = b.lshr(count, WHOLE(3)), b.and_(count, WHOLE(LANES - 1))
        from_first = self.numbered(">=", b.sub(self.first, self.base))
        self.block(WHOLE(0), b.and_(from_first, self.numbered("<", count)), first=True)
        with code.for_range_slice(b, one, whole, one, WHOLE) as (number, _):
            self.block(number, None)
        with b.if_then(b.and_(b.icmp_signed(">", whole, WHOLE(0)), b.icmp_signed("!=", rest, WHOLE(0)))):
            self.block(whole, self.numbered("<", rest))
        self.store()

    def block(self, number: Any, live: Any, first: bool = False) -> None:
        b = self.builder
        at = b.add(self.base, b.shl(number, WHOLE(3)))
        e = self.equities(load(b, self.marks, at))
        if first:
            # The table's extremes are also of bars before the first.
            here = b.select(live, e, ir.Constant(VECTOR, [float("-inf")] * LANES))
            for step in (1, 2, 4):
                places = [i - step if i >= step else i for i in range(LANES)]
                here = self.higher(here, self.shuffled(here, places))
        else:
            here = self.equities(load(b, self.blocks, at))
        top = self.higher(here, b.load(self.peak))
        low, low_peak = (b.load(place) for place in self.sums)
        deeper = b.fcmp_ordered("<", b.fmul(e, low_peak), b.fmul(low, top))
        at_peak = b.fcmp_ordered(">=", e, top)
        if live is not None:
            deeper, at_peak = b.and_(deeper, live), b.and_(at_peak, live)
        b.store(b.select(deeper, e, low), self.sums[0])
        b.store(b.select(deeper, top, low_peak), self.sums[1])
        b.store(b.bitcast(at_peak, BYTE), b.gep(self.peaks, [number]))
        # The block's highest is that of its last bar. Nobody reads it after the last block.
        b.store(self.higher(self.shuffled(here, [LANES - 1] * LANES), b.load(self.peak)), self.peak)

    def higher(self, x: Any, y: Any) -> Any:
        b = self.builder
        return b.select(b.fcmp_ordered(">", x, y), x, y)

    def shuffled(self, x: Any, places: list[int]) -> Any:
        b = self.builder
        return b.shuffle_vector(x, x, ir.Constant(ir.VectorType(ir.IntType(32), LANES), places))


def _returns(
    _typing: Any, sums: Any, mark: Any, _first: Any, _end: Any, _cash: Any, _units: Any, _free: Any
) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = [data_of(context, builder, signature.args[i], values[i]) for i in (0, 1)]
        _Returns(builder, arrays, values[2:]).run()
        return context.get_dummy_value()

    number, real = numba.types.int64, numba.types.float64
    return numba.types.void(sums, mark, number, number, real, real, real), build


def _climb(
    _typing: Any,
    sums: Any,
    mark: Any,
    blocks: Any,
    _first: Any,
    _end: Any,
    _cash: Any,
    _units: Any,
    _peak: Any,
    peaks: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = [data_of(context, builder, signature.args[i], values[i]) for i in (0, 1, 2, 8)]
        _Climb(builder, arrays, values[3:8]).run()
        return context.get_dummy_value()

    number, real = numba.types.int64, numba.types.float64
    return numba.types.void(sums, mark, blocks, number, number, real, real, real, peaks), build


returns_code, climb_code = coded(_returns), coded(_climb)
