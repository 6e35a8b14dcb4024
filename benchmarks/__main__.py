"""Prints every table, one after the other."""

import runpy

for name in ("whole_requests", "growth", "imports"):
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")
