"""What all pages have in common: how errors look, and what a page may load."""

from __future__ import annotations

from flask import Flask, Response, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from . import accounts
from .goods import euros

#: Errors in the shop's words: a heading and a sentence, by status. Others keep Werkzeug's.
_WORDS = {
    403: ("Staff only", "Behind this door is who looks after the shop. You are signed in, and it is not you."),
    404: ("Not on our shelf", "We looked behind the pot and under the cups. There is no such page here."),
    405: ("The other door, please", "This address takes what a form sends, or is only for reading. Nothing was done."),
    500: ("We have spilt something", "That was us, not you, and it is noted. Please try again in a while."),
    503: ("The kettle is off", "We cannot reach the place where sessions lie. Please try again in a moment."),
}


def dress(app: Flask) -> None:
    """Give an application the shop's error pages, headers and words."""
    app.add_template_filter(euros)
    app.register_error_handler(HTTPException, _show_error)
    app.register_error_handler(CSRFError, _show_stale_form)
    app.after_request(_keep_outsiders_out)


def _show_error(error: HTTPException) -> ResponseReturnValue:
    title, text = _WORDS.get(error.code or 0, (error.name, error.description or ""))
    return _page(error, title, text)


def _show_stale_form(error: CSRFError) -> ResponseReturnValue:
    if accounts.may_only_sign_in():
        return _page(error, "That session is over", "Nothing was done. Sign in, or come again in a minute.")
    return _page(error, "That page had grown old", "Nothing was done. Please go back, load the page again and retry.")


def _page(error: HTTPException, title: str, text: str) -> Response:
    # The exception's own response, so that Allow and Retry-After stay.
    response = error.get_response()
    response.set_data(render_template("error.html", title=title, text=text, code=error.code))
    return response


def _keep_outsiders_out(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
