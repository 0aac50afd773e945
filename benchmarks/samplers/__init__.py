"""What a suggestion and a decision cost: `python -m benchmarks.samplers`."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # one thread, as in a worker beside others; read when NumPy is imported
