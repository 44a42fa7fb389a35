"""LLVM code for vectors of `PAD` numbers, for kernels that Numba would compile to slower code."""

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils

PAD = 16  # numbers in a vector: one AVX-512 register of float32, two of float64
WIDE = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 1  # vectors per row of a tile
INT = ir.IntType(64)
SHUFFLE = ir.VectorType(ir.IntType(32), PAD)
CONTRACT = ("contract",)


class VectorArray:
    """An array in generated code that loads and stores `PAD` elements at a time."""

    def __init__(self, context, builder, kind, value):
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.data, self.number = builder, array.data, context.get_data_type(kind.dtype)
        self.vector, self.align = ir.VectorType(self.number, PAD), context.get_abi_alignment(self.number)
        size = INT(context.get_abi_sizeof(self.number))
        strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)
        self.steps = [builder.sdiv(stride, size) for stride in strides]
        self.shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)

    def address(self, *indices):
        offset = INT(0)
        for index, step in zip(indices, self.steps, strict=True):
            offset = self.builder.add(offset, self.builder.mul(index, step))
        return self.builder.gep(self.data, [offset])

    def load(self, *indices):
        """The vector at these indices, along the last dimension, which must be contiguous."""
        lanes = self.builder.load(self.builder.bitcast(self.address(*indices), self.vector.as_pointer()))
        lanes.align = self.align
        return lanes

    def store(self, lanes, *indices):
        place = self.builder.bitcast(self.address(*indices), self.vector.as_pointer())
        self.builder.store(lanes, place).align = self.align

    def broadcast(self, *indices):
        """A vector with this element in every lane."""
        return filled(self.builder, self.vector, self.builder.load(self.address(*indices)))


def filled(builder, vector, number):
    """A vector with the number in every lane."""
    blank = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(blank, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, blank, ir.Constant(SHUFFLE, [0] * PAD))


def after(builder, index, count, scale=PAD):
    """Code for the `count` indices index, index + scale, index + 2 · scale, …"""
    return [builder.add(index, INT(n * scale)) for n in range(count)]


def call(builder, name, result, *arguments, fastmath=()):
    """An LLVM intrinsic for vectors of floats."""
    bits = 64 if isinstance(arguments[-1].type.element, ir.DoubleType) else 32
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{PAD}f{bits}")
    return builder.call(function, arguments, fastmath=fastmath)


def sum_of_lanes(builder, lanes):
    number = lanes.type.element
    return call(builder, "vector.reduce.fadd", number, ir.Constant(number, 0.0), lanes, fastmath=("reassoc",))


def fma(builder, a, b, c):
    """a · b + c, rounded only once if the processor can."""
    return builder.fadd(builder.fmul(a, b, flags=CONTRACT), c, flags=CONTRACT)
