"""Products of small matrices, accumulated in registers: several times as fast as BLAS for the few rows of a rollout.

They are generated as LLVM vector instructions, because a compiled loop over arrays would write each partial sum to
memory; LLVM maps them to the processor's registers. Matrices have a last dimension padded to a multiple of `PAD`.
"""

from collections.abc import Callable

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from envs.kernels import kernel

PAD = 16  # numbers in a vector: one AVX-512 register of float32, two of float64
_ROWS = 4
WIDE = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 1  # vectors per row of a tile
_INT = ir.IntType(64)
_SHUFFLE = ir.VectorType(ir.IntType(32), PAD)


class VectorArray:
    """An array in generated code: loads and stores `PAD` elements at a time."""

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
        """The vector that begins at these indices, along the last dimension, which must be contiguous."""
        lanes = self.builder.load(self.builder.bitcast(self.address(*indices), self.vector.as_pointer()))
        lanes.align = self.align
        return lanes

    def store(self, lanes, *indices):
        place = self.builder.bitcast(self.address(*indices), self.vector.as_pointer())
        self.builder.store(lanes, place).align = self.align

    def broadcast(self, *indices):
        """A vector with this element in every lane."""
        one = self.builder.load(self.address(*indices))
        blank = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(blank, one, ir.IntType(32)(0))
        return self.builder.shuffle_vector(first, blank, ir.Constant(_SHUFFLE, [0] * PAD))


def _after(builder, index, count, scale=1):
    """Code for index, index + scale, index + 2 · scale, …: `count` of them."""
    return [builder.add(index, _INT(n * scale)) for n in range(count)]


def _tile(rows: int, wide: int) -> Callable[..., None]:
    """A function of (x, w, b, y, i, j): y[i:i+rows, J] = b[J] + Σ_k x[i:i+rows, k] w[k, J], where J = j:j+16·wide."""

    def generate(context, builder, signature, arguments):
        *arrays, i, j = arguments
        kinds = signature.args[:4]
        x, w, b, y = (VectorArray(context, builder, *pair) for pair in zip(kinds, arrays, strict=True))
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
            factor = x.broadcast(line, k)
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
        lanes = [source.load(row, j) for row in _after(builder, i, PAD)]
        half = PAD // 2
        low, high = (ir.Constant(_SHUFFLE, [k for n in range(at, at + half) for k in (n, PAD + n)]) for at in (0, half))
        for _ in range(4):
            pairs = zip(lanes[:half], lanes[half:], strict=True)
            lanes = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in (low, high)]
        for lane, row in zip(lanes, _after(builder, j, PAD), strict=True):
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
