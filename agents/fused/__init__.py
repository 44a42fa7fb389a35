"""A2C as compiled kernels: the same update, over the same memory, without the interpreter."""
