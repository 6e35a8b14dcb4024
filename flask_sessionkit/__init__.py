"""Sessions for Flask that are safe by default, right under concurrency, and cheap where they are not used."""

from .auth import current_user_id as current_user_id
from .auth import fresh_login_required as fresh_login_required
from .auth import login_required as login_required
from .auth import login_user as login_user
from .auth import login_view as login_view
from .auth import logout_user as logout_user
from .auth import logout_view as logout_view
from .auth import passive as passive
from .detour import next_url as next_url
from .errors import ConfigError as ConfigError
from .errors import SessionClosed as SessionClosed
from .errors import SessionConflict as SessionConflict
from .errors import SessionKitError as SessionKitError
from .errors import SessionTooLarge as SessionTooLarge
from .errors import StoreError as StoreError
from .errors import UnsupportedType as UnsupportedType
from .extension import SessionKit as SessionKit
from .roster import SessionInfo as SessionInfo
from .session import Session as Session
from .signals import session_conflict as session_conflict
from .signals import session_created as session_created
from .signals import session_ended as session_ended
from .signals import session_refused as session_refused
from .signals import session_regenerated as session_regenerated
from .signals import store_failed as store_failed

# For a star: without it that brings the modules too, and one of them would take the place of Flask's session.
__all__ = [
    "ConfigError",
    "Session",
    "SessionClosed",
    "SessionConflict",
    "SessionInfo",
    "SessionKit",
    "SessionKitError",
    "SessionTooLarge",
    "StoreError",
    "UnsupportedType",
    "current_user_id",
    "fresh_login_required",
    "login_required",
    "login_user",
    "login_view",
    "logout_user",
    "logout_view",
    "next_url",
    "passive",
    "session_conflict",
    "session_created",
    "session_ended",
    "session_refused",
    "session_regenerated",
    "store_failed",
]
