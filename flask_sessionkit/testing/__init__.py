"""What tests of applications and of stores need; import it in tests only."""

import sys

if "pytest" in sys.modules:  # so that a failed promise shows its values; pytest rewrites asserts in test files only
    sys.modules["pytest"].register_assert_rewrite(
        "flask_sessionkit.testing.arrangement",
        "flask_sessionkit.testing.promises_of_lists",
        "flask_sessionkit.testing.promises_of_records",
        "flask_sessionkit.testing.promises_to_crowds",
    )

from .client import SessionKitClient as SessionKitClient
from .client import client_of as client_of
from .client import two_devices as two_devices
from .clock import FrozenClock as FrozenClock
from .contract import StoreContract as StoreContract
from .interleaving import Crash as Crash
from .interleaving import Pause as Pause
from .interleaving import PausingStore as PausingStore
from .interleaving import Running as Running
from .interleaving import in_thread as in_thread
from .interleaving import pausing as pausing
from .interleaving import race as race
from .travel import time_travel as time_travel
from .trips import Trips as Trips
from .trips import round_trips as round_trips
