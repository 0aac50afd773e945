"""What holds for every test: linear algebra in one thread, and no example that is late.

Two workers of pytest have two cores between them. Threads of BLAS beside them wait for each other: products
of small matrices then take tens of times as long as they need, and how long depends on chance. It is too late
for this once numpy is loaded, so it stands here, which pytest reads first.

Hypothesis would fail an example that takes over 200 ms, as any may beside a busy process: no deadline here.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from hypothesis import settings  # noqa: E402  # after the threads are set

settings.register_profile("no deadline", settings(), deadline=None)  # the rest as it is, on CI, too
settings.load_profile("no deadline")

pytest_plugins = ["support.postgres"]
