"""A layer on a single input, in LLVM vector instructions: its product, and a step and a trace of its gradient.

Arrays are flat. A layer's weight, [I, O], followed by its bias, [O], starts at `weight`, with O a multiple of `PAD`;
its input h, [I], starts at `begin` in its array, the gradient d of its sums, [O], at `place`: slices would cost more
than the arithmetic. The gradient of the weight is h dᵀ, that of the bias is d. Rows are padded with zeros.
"""

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from agents.fused.vectors import CONTRACT, INT, PAD, WIDE, VectorArray, after, call, filled, fma, sum_of_lanes
from envs.kernels import kernel

_WIDE = 2 * WIDE  # vectors of a row kept in registers


def _product(wide: int) -> Callable[..., None]:
    """A function of (theta, weight, width, count, h, begin, z, place, j): z[J] = b[J] + Σ_a h[a] w[a, J]."""

    def generate(context, builder, signature, arguments):
        theta, h, z = (VectorArray(context, builder, signature.args[n], arguments[n]) for n in (0, 4, 6))
        weight, width, count, begin, place, j = (arguments[n] for n in (1, 2, 3, 5, 7, 8))
        bias = builder.add(builder.add(weight, builder.mul(count, width)), j)
        sums = [cgutils.alloca_once_value(builder, theta.load(at)) for at in after(builder, bias, wide)]
        with cgutils.for_range(builder, count) as loop:
            factor = h.broadcast(builder.add(begin, loop.index))
            row = builder.add(builder.add(weight, builder.mul(loop.index, width)), j)
            for total, at in zip(sums, after(builder, row, wide), strict=True):
                builder.store(fma(builder, factor, theta.load(at), builder.load(total)), total)
        for total, at in zip(sums, after(builder, builder.add(place, j), wide), strict=True):
            z.store(builder.load(total), at)
        return context.get_dummy_value()

    @intrinsic
    def product(_, theta, weight, width, count, h, begin, z, place, j):
        n = types.intp
        return types.void(theta, n, n, n, h, n, z, n, n), generate

    return product


def _outer(wide: int) -> Callable[..., None]:
    """A function of (theta, weight, width, count, h, begin, d, place, j): w[a, J] += h[a] d[J], b[J] += d[J]."""

    def generate(context, builder, signature, arguments):
        theta, h, d = (VectorArray(context, builder, signature.args[n], arguments[n]) for n in (0, 4, 6))
        weight, width, count, begin, place, j = (arguments[n] for n in (1, 2, 3, 5, 7, 8))
        slopes = [d.load(at) for at in after(builder, builder.add(place, j), wide)]
        with cgutils.for_range(builder, count) as loop:
            factor = h.broadcast(builder.add(begin, loop.index))
            row = builder.add(builder.add(weight, builder.mul(loop.index, width)), j)
            for slope, at in zip(slopes, after(builder, row, wide), strict=True):
                theta.store(fma(builder, factor, slope, theta.load(at)), at)
        bias = builder.add(builder.add(weight, builder.mul(count, width)), j)
        for slope, at in zip(slopes, after(builder, bias, wide), strict=True):
            theta.store(builder.fadd(theta.load(at), slope), at)
        return context.get_dummy_value()

    @intrinsic
    def outer(_, theta, weight, width, count, h, begin, d, place, j):
        n = types.intp
        return types.void(theta, n, n, n, h, n, d, n, n), generate

    return outer


def _decayed(wide: int) -> Callable[..., float]:
    """A function of (e, weight, width, count, h, begin, d, place, j, decay, tiny): e ← decay · e + the gradient, in the
    columns J; returns ‖e‖₁ there. Numbers below `tiny` become 0.
    """

    def generate(context, builder, signature, arguments):
        e, h, d = (VectorArray(context, builder, signature.args[n], arguments[n]) for n in (0, 4, 6))
        weight, width, count, begin, place, j = (arguments[n] for n in (1, 2, 3, 5, 7, 8))
        decay, tiny = (filled(builder, e.vector, arguments[n]) for n in (9, 10))
        zero = ir.Constant(e.vector, [0.0] * PAD)
        slopes = [d.load(at) for at in after(builder, builder.add(place, j), wide)]
        total = cgutils.alloca_once_value(builder, zero)

        def update(slope, at, factor):
            gradient = slope if factor is None else builder.fmul(factor, slope, flags=CONTRACT)
            new = fma(builder, decay, e.load(at), gradient)
            size = call(builder, "fabs", e.vector, new)
            small = builder.fcmp_ordered("<", size, tiny)
            e.store(builder.select(small, zero, new), at)
            builder.store(builder.fadd(builder.load(total), builder.select(small, zero, size)), total)

        with cgutils.for_range(builder, count) as loop:
            factor = h.broadcast(builder.add(begin, loop.index))
            row = builder.add(builder.add(weight, builder.mul(loop.index, width)), j)
            for slope, at in zip(slopes, after(builder, row, wide), strict=True):
                update(slope, at, factor)
        bias = builder.add(builder.add(weight, builder.mul(count, width)), j)
        for slope, at in zip(slopes, after(builder, bias, wide), strict=True):
            update(slope, at, None)
        return sum_of_lanes(builder, builder.load(total))

    @intrinsic
    def decayed(_, e, weight, width, count, h, begin, d, place, j, decay, tiny):
        n, number = types.intp, e.dtype
        return number(e, n, n, n, h, n, d, n, n, number, number), generate

    return decayed


def _dots(rows: int, functions: int) -> Callable[..., None]:
    """A function of (theta, row, width, d, place, second, under, begin): under[begin + r] = Σ_k w[r, k] d[k].

    row: the index of w[0, 0]. With two functions, also for the d and the `under` that start `second` later.
    """

    def generate(context, builder, signature, arguments):
        theta, d, under = (VectorArray(context, builder, signature.args[n], arguments[n]) for n in (0, 3, 6))
        row, width, place, second, begin = (arguments[n] for n in (1, 2, 4, 5, 7))
        starts = [builder.add(row, builder.mul(width, INT(r))) for r in range(rows)]
        shifts = [INT(0), second][:functions]
        zero = ir.Constant(theta.vector, [0.0] * PAD)
        totals = [[cgutils.alloca_once_value(builder, zero) for _ in shifts] for _ in starts]
        with cgutils.for_range_slice(builder, INT(0), width, INT(PAD), inc=True) as (k, _):
            slopes = [d.load(builder.add(builder.add(place, shift), k)) for shift in shifts]
            for start, line in zip(starts, totals, strict=True):
                weights = theta.load(builder.add(start, k))
                for slope, total in zip(slopes, line, strict=True):
                    builder.store(fma(builder, slope, weights, builder.load(total)), total)
        for r, line in enumerate(totals):
            for shift, total in zip(shifts, line, strict=True):
                address = under.address(builder.add(builder.add(begin, shift), INT(r)))
                builder.store(sum_of_lanes(builder, builder.load(total)), address)
        return context.get_dummy_value()

    @intrinsic
    def dots(_, theta, row, width, d, place, second, under, begin):
        n = types.intp
        return types.void(theta, n, n, d, n, n, under, n), generate

    return dots


_dots_4, _dots_1, _dots_4_twice, _dots_1_twice = _dots(4, 1), _dots(1, 1), _dots(4, 2), _dots(1, 2)


def _total(lanes: Callable[..., ir.Value]) -> Callable[..., float]:
    """A function of (x, begin, y, place, width): the sum of lanes(builder, x lanes, y lanes)."""

    def generate(context, builder, signature, arguments):
        x, y = (VectorArray(context, builder, signature.args[n], arguments[n]) for n in (0, 2))
        begin, place, width = (arguments[n] for n in (1, 3, 4))
        total = cgutils.alloca_once_value(builder, ir.Constant(x.vector, [0.0] * PAD))
        with cgutils.for_range_slice(builder, INT(0), width, INT(PAD), inc=True) as (k, _):
            more = lanes(builder, x.load(builder.add(begin, k)), y.load(builder.add(place, k)))
            builder.store(builder.fadd(builder.load(total), more), total)
        return sum_of_lanes(builder, builder.load(total))

    @intrinsic
    def summed(_, x, begin, y, place, width):
        n = types.intp
        return x.dtype(x, n, y, n, n), generate

    return summed


_values = _total(lambda builder, x, _: x)
_sizes = _total(lambda builder, x, _: call(builder, "fabs", x.type, x))
_products = _total(lambda builder, x, y: builder.fmul(x, y))

_product_wide, _product_one = _product(_WIDE), _product(1)
_outer_wide, _outer_one = _outer(_WIDE), _outer(1)
_decayed_wide, _decayed_one = _decayed(_WIDE), _decayed(1)


@kernel
def row_product(theta, weight, width, count, h, begin, z, place):
    """z = h w + b."""
    j = 0
    while j + _WIDE * PAD <= width:
        _product_wide(theta, weight, width, count, h, begin, z, place, j)
        j += _WIDE * PAD
    while j < width:
        _product_one(theta, weight, width, count, h, begin, z, place, j)
        j += PAD


@kernel
def add_gradient(theta, weight, width, count, h, begin, d, place):
    """w ← w + h dᵀ and b ← b + d."""
    j = 0
    while j + _WIDE * PAD <= width:
        _outer_wide(theta, weight, width, count, h, begin, d, place, j)
        j += _WIDE * PAD
    while j < width:
        _outer_one(theta, weight, width, count, h, begin, d, place, j)
        j += PAD


@kernel
def decay_and_add_gradient(e, weight, width, count, h, begin, d, place, decay, tiny):
    """e ← decay · e + the gradient, where e is the trace of w and b; returns ‖e‖₁. Numbers below `tiny` become 0."""
    j, total = 0, 0.0
    while j + _WIDE * PAD <= width:
        total += _decayed_wide(e, weight, width, count, h, begin, d, place, j, decay, tiny)
        j += _WIDE * PAD
    while j < width:
        total += _decayed_one(e, weight, width, count, h, begin, d, place, j, decay, tiny)
        j += PAD
    return total


@kernel
def transposed_product(theta, weight, width, count, d, place, second, under, begin):
    """under[begin + a] = Σ_k w[a, k] d[k]; if second > 0, also for the d and the `under` that start `second` later."""
    whole = count - count % 4
    if second > 0:
        for a in range(0, whole, 4):
            _dots_4_twice(theta, weight + a * width, width, d, place, second, under, begin + a)
        for a in range(whole, count):
            _dots_1_twice(theta, weight + a * width, width, d, place, second, under, begin + a)
    else:
        for a in range(0, whole, 4):
            _dots_4(theta, weight + a * width, width, d, place, second, under, begin + a)
        for a in range(whole, count):
            _dots_1(theta, weight + a * width, width, d, place, second, under, begin + a)


@kernel
def row_sum(x, begin, width):
    """Σ x[k]. As for all sums here, the order does not depend on how the caller is compiled."""
    return _values(x, begin, x, begin, width)


@kernel
def row_size(x, begin, width):
    """Σ |x[k]|."""
    return _sizes(x, begin, x, begin, width)


@kernel
def row_dot(x, begin, y, place, width):
    """Σ x[k] y[k]."""
    return _products(x, begin, y, place, width)
