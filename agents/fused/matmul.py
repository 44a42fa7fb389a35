"""Products of small matrices, with the result in registers: several times as fast as a BLAS for a rollout's few rows.

They are written in LLVM's vector instructions, because a loop over arrays goes to memory for each partial sum. LLVM
turns them into whatever the processor has. The last dimension of every matrix is padded to a multiple of `PAD`.
"""

from collections.abc import Callable

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from envs.kernels import kernel

PAD = 16  # numbers: one AVX-512 register of float32, two of float64

_ROWS = 4

_WIDE = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 1  # registers a row: 16 or 4 sums at once

_INT = ir.IntType(64)

_SHUFFLE = ir.VectorType(ir.IntType(32), PAD)


class _Array:
    """An array inside a function that is being generated: its elements, one by one or `PAD` at a time."""

    def __init__(self, context, builder, kind, value):
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.data, self.number = builder, array.data, context.get_data_type(kind.dtype)
        self.vector, self.align = ir.VectorType(self.number, PAD), context.get_abi_alignment(self.number)
        size = _INT(context.get_abi_sizeof(self.number))
        strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)
        self.steps = [builder.sdiv(stride, size) for stride in strides]
        self.shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)

    def address(self, *indices):
        offset = _INT(0)
        for index, step in zip(indices, self.steps, strict=True):
            offset = self.builder.add(offset, self.builder.mul(index, step))
        return self.builder.gep(self.data, [offset])

    def load(self, *indices):
        """The vector that begins here; the last dimension is whole."""
        lanes = self.builder.load(self.builder.bitcast(self.address(*indices), self.vector.as_pointer()))
        lanes.align = self.align
        return lanes

    def store(self, lanes, *indices):
        place = self.builder.bitcast(self.address(*indices), self.vector.as_pointer())
        self.builder.store(lanes, place).align = self.align

    def spread(self, *indices):
        """A vector of this one element."""
        one = self.builder.load(self.address(*indices))
        blank = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(blank, one, ir.IntType(32)(0))
        return self.builder.shuffle_vector(first, blank, ir.Constant(_SHUFFLE, [0] * PAD))


def _after(builder, index, count, scale=1):
    return [builder.add(index, _INT(n * scale)) for n in range(count)]


def _tile(rows: int, wide: int) -> Callable[..., None]:
    """y[i:i+rows, j:j+16·wide] = b[j:j+16·wide] + Σ_k x[i:i+rows, k] w[k, j:j+16·wide], of (x, w, b, y, i, j)."""

    def generate(context, builder, signature, arguments):
        *arrays, i, j = arguments
        kinds = signature.args[:4]
        x, w, b, y = (_Array(context, builder, *pair) for pair in zip(kinds, arrays, strict=True))
        lines, columns = _after(builder, i, rows), _after(builder, j, wide, PAD)
        start = [b.load(column) for column in columns]
        before, body, end = builder.block, builder.append_basic_block("sum"), builder.append_basic_block("end")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(_INT)
        sums = [[builder.phi(y.vector) for _ in columns] for _ in lines]
        weights = [w.load(k, column) for column in columns]
        totals = []
        for line, row in zip(lines, sums, strict=True):
            factor = x.spread(line, k)
            products = [builder.fmul(factor, weight, flags=("contract",)) for weight in weights]
            totals.append([builder.fadd(p, s, flags=("contract",)) for p, s in zip(products, row, strict=True)])
        following = builder.add(k, _INT(1))
        builder.cbranch(builder.icmp_signed("<", following, w.shape[0]), body, end)
        k.add_incoming(_INT(0), before)
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


_tile_4_wide, _tile_1_wide = _tile(_ROWS, _WIDE), _tile(1, _WIDE)

_tile_4, _tile_1 = _tile(_ROWS, 1), _tile(1, 1)


@kernel
def matmul(x, w, bias, y):
    """y = x w + bias. x: [N, ≥ K], of any strides; w: [K, M], K ≥ 1; bias: [M]; y: [N, M]; M padded."""
    rows, j = y.shape[0], 0
    four = rows - rows % _ROWS
    while j < y.shape[1]:
        if j + _WIDE * PAD <= y.shape[1]:
            for i in range(0, four, _ROWS):
                _tile_4_wide(x, w, bias, y, i, j)
            for i in range(four, rows):
                _tile_1_wide(x, w, bias, y, i, j)
            j += _WIDE * PAD
        else:
            for i in range(0, four, _ROWS):
                _tile_4(x, w, bias, y, i, j)
            for i in range(four, rows):
                _tile_1(x, w, bias, y, i, j)
            j += PAD


@intrinsic
def _turn_block(_, w, turned, i, j):
    """turned[j:j+16, i:i+16] = w[i:i+16, j:j+16]ᵀ, by four perfect shuffles of sixteen registers."""

    def generate(context, builder, signature, arguments):
        source, target = (_Array(context, builder, signature.args[n], arguments[n]) for n in range(2))
        i, j = arguments[2:]
        lanes = [source.load(row, j) for row in _after(builder, i, PAD)]
        half = PAD // 2
        low, high = (ir.Constant(_SHUFFLE, [k for n in range(at, at + half) for k in (n, PAD + n)]) for at in (0, half))
        for _ in range(4):
            pairs = zip(lanes[:half], lanes[half:], strict=True)
            lanes = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in (low, high)]
        for lane, row in zip(lanes, _after(builder, j, PAD), strict=True):
            target.store(lane, row, i)
        return context.get_dummy_value()

    return types.void(w, turned, types.intp, types.intp), generate


@kernel
def transpose(w, turned):
    """turned[o, i] = w[i, o], and 0 in its padding. w: [I, O padded]; turned: [O padded, I padded]."""
    rows, columns = w.shape
    whole = rows - rows % PAD
    for j in range(0, columns, PAD):
        for i in range(0, whole, PAD):
            _turn_block(w, turned, i, j)
    for o in range(columns):
        for i in range(whole, rows):
            turned[o, i] = w[i, o]
        for i in range(rows, turned.shape[1]):
            turned[o, i] = 0
