"""The benchmark of training speed."""
