"""Linear algebra in one thread, for every test and the processes that it starts.

Two workers of pytest have two cores between them. Threads of BLAS beside them wait for each other: products
of small matrices then take tens of times as long as they need, and how long depends on chance. It is too late
for this once numpy is loaded, so it stands here, which pytest reads first.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

pytest_plugins = ["support.postgres"]
