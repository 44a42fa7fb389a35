"""Products of small matrices, accumulated in registers: several times faster than BLAS for a rollout's few rows.

Generated as LLVM vector instructions, because a compiled loop over arrays would write each partial sum to memory;
LLVM maps them to the processor's registers. The last dimension of a matrix is padded to a multiple of `PAD`.
"""

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from agents.fused.vectors import INT, PAD, SHUFFLE, WIDE, VectorArray, after, fma
from envs.kernels import kernel

_ROWS = 4


def _tile(rows: int, wide: int) -> Callable[..., None]:
    """A function of (x, w, b, y, i, j): y[i:i+rows, J] = b[J] + Σ_k x[i:i+rows, k] w[k, J], where J = j:j+16·wide."""

    def generate(context, builder, signature, arguments):
        *arrays, i, j = arguments
        kinds = signature.args[:4]
        x, w, b, y = (VectorArray(context, builder, *pair) for pair in zip(kinds, arrays, strict=True))
        lines, columns = after(builder, i, rows, 1), after(builder, j, wide)
        start = [b.load(column) for column in columns]
        before, body, end = builder.block, builder.append_basic_block("sum"), builder.append_basic_block("end")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(INT)
        sums = [[builder.phi(y.vector) for _ in columns] for _ in lines]
        weights = [w.load(k, column) for column in columns]
        totals = []
        for line, row in zip(lines, sums, strict=True):
            factor = x.broadcast(line, k)
            totals.append([fma(builder, factor, weight, s) for weight, s in zip(weights, row, strict=True)])
        following = builder.add(k, INT(1))
        builder.cbranch(builder.icmp_signed("<", following, w.shape[0]), body, end)
        k.add_incoming(INT(0), before)
        k.add_incoming(following, body)
        builder.position_at_end(end)
        for line, row, total in zip(lines, sums, totals, strict=True):
            for column, partial, final, first in zip(columns, row, total, start, strict=True):
                partial.add_incoming(first, before)
                partial.add_incoming(final, body)
                y.store(final, line, column)
        return context.get_dummy_value()

    @intrinsic
    def tile(_, x, w, b, y, i, j):
        return types.void(x, w, b, y, types.intp, types.intp), generate

    return tile


_tile_4_wide, _tile_1_wide = _tile(_ROWS, WIDE), _tile(1, WIDE)
_tile_4, _tile_1 = _tile(_ROWS, 1), _tile(1, 1)


@kernel
def matmul(x, w, bias, y):
    """y = x w + bias. x: [N, ≥ K], with any strides; w: [K, M], K ≥ 1; bias: [M]; y: [N, M]; M a multiple of 16."""
    rows, j = y.shape[0], 0
    four = rows - rows % _ROWS
    while j < y.shape[1]:
        if j + WIDE * PAD <= y.shape[1]:
            for i in range(0, four, _ROWS):
                _tile_4_wide(x, w, bias, y, i, j)
            for i in range(four, rows):
                _tile_1_wide(x, w, bias, y, i, j)
            j += WIDE * PAD
        else:
            for i in range(0, four, _ROWS):
                _tile_4(x, w, bias, y, i, j)
            for i in range(four, rows):
                _tile_1(x, w, bias, y, i, j)
            j += PAD


@intrinsic
def _transpose_block(_, w, transposed, i, j):
    """transposed[j:j+16, i:i+16] = w[i:i+16, j:j+16]ᵀ, by four perfect shuffles of sixteen vectors."""

    def generate(context, builder, signature, arguments):
        source, target = (VectorArray(context, builder, signature.args[n], arguments[n]) for n in range(2))
        i, j = arguments[2:]
        lanes = [source.load(row, j) for row in after(builder, i, PAD, 1)]
        half = PAD // 2
        low, high = (ir.Constant(SHUFFLE, [k for n in range(at, at + half) for k in (n, PAD + n)]) for at in (0, half))
        for _ in range(4):
            pairs = zip(lanes[:half], lanes[half:], strict=True)
            lanes = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in (low, high)]
        for lane, row in zip(lanes, after(builder, j, PAD, 1), strict=True):
            target.store(lane, row, i)
        return context.get_dummy_value()

    return types.void(w, transposed, types.intp, types.intp), generate


@kernel
def transpose(w, transposed):
    """transposed[o, i] = w[i, o], and 0 where i ≥ I. w: [I, O]; transposed: [O, I padded]; O a multiple of 16."""
    rows, columns = w.shape
    whole = rows - rows % PAD
    for j in range(0, columns, PAD):
        for i in range(0, whole, PAD):
            _transpose_block(w, transposed, i, j)
    for o in range(columns):
        for i in range(whole, rows):
            transposed[o, i] = w[i, o]
        for i in range(rows, transposed.shape[1]):
            transposed[o, i] = 0
