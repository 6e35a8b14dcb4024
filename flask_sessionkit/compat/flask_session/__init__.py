"""Flask-Session's ``Session``, on top of ours: one import changes, and nothing else."""

from .extension import Session as Session

__all__ = ["Session"]
