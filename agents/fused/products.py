"""Products of small matrices, with the result in registers: several times as fast as a BLAS for a rollout's few rows.

`_tile` is written in LLVM's vector instructions, because loops over arrays spill each partial sum to memory. LLVM
turns them into whatever the processor has. The last dimension of every matrix is padded to a multiple of `PAD`.
"""

from collections.abc import Callable

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from envs.compiling import kernel

PAD = 16  # numbers: one AVX-512 register of float32, two of float64
_ROWS = 4
_WIDE = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 1  # registers a row: 16 or 4 sums at once


def _tile(rows: int, wide: int) -> Callable[..., None]:
    """y[i:i+rows, j:j+16·wide] = b[j:j+16·wide] + Σ_k x[i:i+rows, k] w[k, j:j+16·wide], of (x, w, y, b, i, j)."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing_context, x, w, y, b, i, j):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            number = context.get_data_type(y.dtype)
            vector = ir.VectorType(number, PAD)
            integer = arguments[4].type
            arrays = [context.make_array(t)(context, builder, a) for t, a in zip(signature.args, arguments[:4])]  # noqa: B905
            x_, w_, y_, b_ = arrays
            bytes_ = ir.Constant(integer, context.get_abi_sizeof(number))
            steps = [[builder.sdiv(s, bytes_) for s in cgutils.unpack_tuple(builder, a.strides, 2)] for a in arrays[:3]]
            depth = cgutils.unpack_tuple(builder, w_.shape, 2)[0]

            def address(array, row, step, column):  # type: ignore[no-untyped-def]
                return builder.gep(array.data, [builder.add(builder.mul(row, step), column)])

            def vector_at(row, column):  # type: ignore[no-untyped-def]
                return builder.bitcast(address(*row, column), vector.as_pointer())

            def number_of(n):  # type: ignore[no-untyped-def]
                return ir.Constant(integer, n)

            columns = [builder.add(arguments[5], number_of(PAD * v)) for v in range(wide)]
            lines = [builder.add(arguments[4], number_of(r)) for r in range(rows)]
            offsets = []
            for column in columns:
                loaded = builder.load(builder.bitcast(builder.gep(b_.data, [column]), vector.as_pointer()))
                loaded.align = context.get_abi_alignment(number)
                offsets.append(loaded)
            before, body = builder.block, builder.append_basic_block("sum")
            after = builder.append_basic_block("store")
            builder.branch(body)
            builder.position_at_end(body)
            k = builder.phi(integer)
            k.add_incoming(number_of(0), before)
            sums = [[builder.phi(vector) for _ in columns] for _ in lines]
            blank = ir.Constant(vector, ir.Undefined)
            first = ir.Constant(ir.IntType(32), 0)
            everywhere = ir.Constant(ir.VectorType(ir.IntType(32), PAD), [0] * PAD)
            weights = []
            for column in columns:
                loaded = builder.load(vector_at((w_, k, steps[1][0]), column))
                loaded.align = context.get_abi_alignment(number)
                weights.append(loaded)
            for line, row in zip(lines, sums, strict=True):
                one = builder.load(address(x_, line, steps[0][0], builder.mul(k, steps[0][1])))
                spread = builder.shuffle_vector(builder.insert_element(blank, one, first), blank, everywhere)
                for v, total in enumerate(row):
                    product = builder.fmul(spread, weights[v], flags=("contract",))
                    total.add_incoming(offsets[v], before)
                    total.add_incoming(builder.fadd(product, total, flags=("contract",)), body)
            following = builder.add(k, number_of(1))
            k.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, depth), body, after)
            builder.position_at_end(after)
            for line, row in zip(lines, sums, strict=True):
                for column, total in zip(columns, row, strict=True):
                    final = total.incomings[1][0]
                    store = builder.store(final, vector_at((y_, line, steps[2][0]), column))
                    store.align = context.get_abi_alignment(number)
            return context.get_dummy_value()

        return types.void(x, w, y, b, types.intp, types.intp), generate

    return tile  # type: ignore[no-any-return]


_tile_4_wide, _tile_1_wide = _tile(_ROWS, _WIDE), _tile(1, _WIDE)
_tile_4, _tile_1 = _tile(_ROWS, 1), _tile(1, 1)


@kernel
def matmul(x, w, bias, y):  # type: ignore[no-untyped-def]
    """y = x w + bias. x: [N, ≥ K], of any strides; w: [K, M], K ≥ 1; bias: [M]; y: [N, M]. M is padded, rows are whole."""
    rows, j = y.shape[0], 0
    four = rows - rows % _ROWS
    while j < y.shape[1]:
        if j + _WIDE * PAD <= y.shape[1]:
            for i in range(0, four, _ROWS):
                _tile_4_wide(x, w, y, bias, i, j)
            for i in range(four, rows):
                _tile_1_wide(x, w, y, bias, i, j)
            j += _WIDE * PAD
        else:
            for i in range(0, four, _ROWS):
                _tile_4(x, w, y, bias, i, j)
            for i in range(four, rows):
                _tile_1(x, w, y, bias, i, j)
            j += PAD
