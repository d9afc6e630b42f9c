"""The GPU backend on machines without a GPU: compiled, run on the CPU, and refused in words."""
