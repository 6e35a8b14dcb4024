"""Prints every table, one after the other; or one: ``python -m benchmarks NAME [options]``.

What takes long is printed by its name only: ``purge``.
"""

import runpy
import sys

names = sys.argv[1:2] or ["whole_requests", "seal", "growth", "imports", "footprint", "trips"]
del sys.argv[1:2]
for name in names:
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
