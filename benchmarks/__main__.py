"""Prints the tables: of one benchmark (``python -m benchmarks NAME [options]``), or of all, one after the other.

Options without a name go to each of them: ``--quick``, ``--save FOLDER``. What is not in ``ALL`` runs by name only:
``plots`` draws the saved tables, ``instructions`` compares counts, ``claims`` tries what is said of others,
``taking_over``, ``copies`` and ``pickles`` tell what a move costs.
"""

import runpy
import sys

#: In the order of the documentation's page.
ALL = ("requests", "wire", "throughput", "growth", "footprint", "imports", "seal", "purge", "trips", "goals")

is_named = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
names = (sys.argv.pop(1),) if is_named else ALL
for name in names:
    print(f"\n== {name} ==\n", flush=True)
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
