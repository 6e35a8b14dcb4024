"""What sessions cost. Run by hand: ``python -m benchmarks NAME``, or without a name for all of it; never a test."""
