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


def load(builder: Any, data: Any, at: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(data, [at]), VECTOR.as_pointer()), align=8)


def spread(builder: Any, x: Any) -> Any:
    """Returns a vector that has x in each place."""
    kind = ir.VectorType(x.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), x, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def _code_of(returns: bool) -> Callable[..., Any]:
    """Returns what builds `account.hold_bars`, or `account.climb_bars`: the same without the returns.

    The same operations on each lane, in IEEE order.
    """

    def typed(
        _typing: Any,
        sums: Any,
        mark: Any,
        phase: Any,
        _first: Any,
        _end: Any,
        _cash: Any,
        _units: Any,
        _peak: Any,
        _free: Any,
        peaks: Any,
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            arrays = [data_of(context, builder, signature.args[i], values[i]) for i in (0, 1, 2, 9)]
            return _Hold(builder, returns, *arrays, *values[3:9]).run()

        number, real = numba.types.int64, numba.types.float64
        kinds = (number, number, real, real, real, real)
        return real(sums, mark, phase, *kinds, peaks), build

    return typed


class _Hold:
    """The loop over a held position's bars, its sums in registers."""

    def __init__(
        self,
        builder: Any,
        returns: bool,
        sums: Any,
        marks: Any,
        tops: Any,
        peaks: Any,
        first: Any,
        end: Any,
        cash: Any,
        units: Any,
        peak: Any,
        free: Any,
    ) -> None:
        self.builder, self.returns = builder, returns
        self.marks, self.tops, self.peaks = marks, tops, peaks
        self.first, self.end, self.cash, self.units = first, end, cash, units
        self.all_cash, self.all_units = spread(builder, cash), spread(builder, units)
        self.free = spread(builder, free)
        self.rows = [
            builder.bitcast(builder.gep(sums, [WHOLE(i * LANES)]), VECTOR.as_pointer())
            for i in range(0 if returns else 3, 5)
        ]
        self.sums = [code.alloca_once_value(builder, builder.load(row, align=8)) for row in self.rows]
        self.peak = code.alloca_once_value(builder, peak)
        before = self.equity_at(marks, builder.sub(first, WHOLE(1)))
        self.last = code.alloca_once_value(builder, spread(builder, before))

    def equity_at(self, prices: Any, at: Any) -> Any:
        b = self.builder
        return b.fadd(self.cash, b.fmul(self.units, b.load(b.gep(prices, [at]))))

    def equities(self, prices: Any, at: Any) -> Any:
        b = self.builder
        return b.fadd(self.all_cash, b.fmul(self.all_units, load(b, prices, at)))

    def run(self) -> Any:
        """Builds the loop over whole blocks and the rest; returns the peak after them."""
        b = self.builder
        count = b.sub(self.end, self.first)
        whole, rest = b.lshr(count, WHOLE(3)), b.and_(count, WHOLE(LANES - 1))
        with code.for_range(b, whole) as loop:
            self.block(loop.index, None)
        with b.if_then(b.icmp_unsigned("!=", rest, WHOLE(0))):
            self.block(whole, rest)
        for row, place in zip(self.rows, self.sums, strict=True):
            b.store(b.load(place), row, align=8)
        return b.load(self.peak)

    def add_returns(self, e: Any, live: Any) -> None:
        """Builds the code that adds the returns of eight bars, or of those that live."""
        b = self.builder
        zero, one = ir.Constant(VECTOR, [0.0] * LANES), ir.Constant(VECTOR, [1.0] * LANES)
        # The bar before each: the last of the block before, then this block's own but its last.
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES - 1, 2 * LANES - 1)))
        last = b.shuffle_vector(b.load(self.last), e, places)
        b.store(e, self.last)
        r = b.fsub(b.fdiv(e, last), one)
        d = b.fsub(r, self.free)
        d = b.select(b.fcmp_ordered("<", d, zero), d, zero)
        if live is not None:
            r, d = b.select(live, r, zero), b.select(live, d, zero)
        for place, x in zip(self.sums, (r, b.fmul(r, r), b.fmul(d, d)), strict=False):
            b.store(b.fadd(b.load(place), x), place)

    def block(self, number: Any, left: Any) -> None:
        """Builds the code of eight bars, or of the `left` first of them."""
        b = self.builder
        at = b.add(self.first, b.shl(number, WHOLE(3)))
        e = self.equities(self.marks, at)
        peak = b.load(self.peak)
        here, peaks = self.equities(self.tops, at), spread(b, peak)
        top = b.select(b.fcmp_ordered(">", here, peaks), here, peaks)
        low, low_peak = b.load(self.sums[-2]), b.load(self.sums[-1])
        deeper = b.fcmp_ordered("<", b.fmul(e, low_peak), b.fmul(low, top))
        at_peak = b.fcmp_ordered(">=", e, top)
        live = None
        if left is not None:
            numbers = ir.Constant(ir.VectorType(WHOLE, LANES), list(range(LANES)))
            live = b.icmp_signed("<", numbers, spread(b, left))
            deeper, at_peak = b.and_(deeper, live), b.and_(at_peak, live)
        if self.returns:
            self.add_returns(e, live)
        b.store(b.select(deeper, e, low), self.sums[-2])
        b.store(b.select(deeper, top, low_peak), self.sums[-1])
        b.store(b.bitcast(at_peak, BYTE), b.gep(self.peaks, [number]))
        # The block's highest is that of its last bar: `tops` runs within the block.
        ends = (
            b.extract_element(here, ir.IntType(32)(LANES - 1))
            if left is None
            else self.equity_at(self.tops, b.sub(self.end, WHOLE(1)))
        )
        b.store(b.select(b.fcmp_ordered(">", ends, peak), ends, peak), self.peak)


hold_code, climb_code = coded(_code_of(returns=True)), coded(_code_of(returns=False))
