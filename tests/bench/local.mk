# Benchmarks: `make bench`.
