"""What sessions cost. Run by hand: ``python -m benchmarks.whole_requests``, ``.growth``, ``.imports``; never a test."""
