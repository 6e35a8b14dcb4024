"""Finds the example application, which is no part of the wheel; behind all else, so that the wheel itself is tested."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
