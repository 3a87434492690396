"""What holds for every test, notebooks among them.

A notebook that is tested trains a tenth of its steps; what it shows was made by ``make notebooks``, with all. Workers
share the cores out among them: libraries that each take all of them wait for one another.
"""

import os

os.environ.setdefault("UNISPEECH_LAB_FAST", "1")  # the kernels inherit it
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
