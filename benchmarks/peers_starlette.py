"""starsessions on Starlette: ASGI, called in process on one event loop, as the peers of WSGI are called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .views import VIEWS, View, someone
from .visitor import Environ, Subject


def bare_starlette() -> Subject:
    """Starlette without any middleware."""
    return Subject(_OnLoop([]), cookie="session=" + "a" * 32)


def starsessions_on(url: str) -> Subject:
    """Return starsessions in Redis. A view loads the session before it looks, as its documentation has it."""
    from redis.asyncio import Redis
    from starlette.middleware import Middleware
    from starsessions import SessionMiddleware
    from starsessions.stores.redis import RedisStore

    store = RedisStore(connection=Redis.from_url(url))
    # It gives a login another id and leaves the old session where it was.
    return Subject(_OnLoop([Middleware(SessionMiddleware, store=store)]), ends_old=False)


class _OnLoop:
    """An application of ASGI that is called as one of WSGI is; its loop runs while a request does."""

    def __init__(self, middleware: list[Any]) -> None:
        from starlette.applications import Starlette
        from starlette.routing import Route

        views = {**VIEWS, "login": _login, "logout": _logout}
        routes = [Route(f"/{name}", _view(name, view, is_bare=not middleware)) for name, view in views.items()]
        self._app = Starlette(routes=routes, middleware=middleware)
        self._loop = asyncio.new_event_loop()

    def __call__(self, environ: Environ, start_response: Callable[..., object]) -> _Body:
        answer = _Body()
        self._loop.run_until_complete(self._app(_scope(environ), _receive, answer.send))
        start_response("200 OK" if answer.status == 200 else str(answer.status), answer.headers)
        return answer


class _Body(list[bytes]):
    """What was answered."""

    status = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
        else:
            self.append(message["body"])

    def close(self) -> None:
        """Do nothing: all of it was sent."""


async def _receive() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


def _scope(environ: Environ) -> dict[str, object]:
    headers = {
        "host": environ["HTTP_HOST"],
        "user-agent": environ["HTTP_USER_AGENT"],
        "accept": environ["HTTP_ACCEPT"],
        "accept-language": environ["HTTP_ACCEPT_LANGUAGE"],
    }
    if "HTTP_COOKIE" in environ:
        headers["cookie"] = environ["HTTP_COOKIE"]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": "https",
        "path": environ["PATH_INFO"],
        "raw_path": environ["PATH_INFO"].encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (environ["REMOTE_ADDR"], 50_000),
        "server": (environ["SERVER_NAME"], 443),
    }


def _view(name: str, view: View, *, is_bare: bool) -> Callable[[Any], Awaitable[Any]]:
    from starlette.responses import PlainTextResponse
    from starsessions import load_session, regenerate_session_id

    async def answered(request: Any) -> Any:
        if is_bare or name == "ignore":
            return PlainTextResponse("ok")
        await load_session(request)
        if name == "login":
            regenerate_session_id(request)
        return PlainTextResponse(view(request.session))

    return answered


def _login(session: Any) -> str:
    session["_user_id"] = someone()
    return "ok"


def _logout(session: Any) -> str:
    session.clear()
    return "ok"
