"""What all tests share: private servers, and the example application, which is no part of the wheel."""

import sys
from pathlib import Path

# Behind all else, so that the wheel itself is tested.
sys.path.append(str(Path(__file__).parent.parent))

pytest_plugins = ["servers.fixtures"]
