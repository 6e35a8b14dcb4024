"""The shop: its shelf, the cart and the till."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from flask_sessionkit import Session, current_user_id, fresh_login_required

from . import people
from .cart import MOST, bill_of, within_reason
from .goods import SHELF, Article

blueprint = Blueprint("shop", __name__)


@blueprint.get("/")
def shelf() -> str:
    """Show what there is. A visitor without a cookie costs the store nothing and is given no cookie."""
    return render_template("shelf.html", shelf=SHELF.values())


@blueprint.get("/goods/<slug>")
def article(slug: str) -> str:
    """Show one article. The token in its form is what a stranger's session begins with."""
    return render_template("article.html", article=_article(slug), most=MOST)


@blueprint.post("/cart/<slug>")
def add(slug: str) -> ResponseReturnValue:
    """Put something into the cart. Two tabs that do it at the same moment both count."""
    wanted, article = _quantity("quantity", 1), _article(slug)

    def put_in(fresh: Session) -> None:
        cart = fresh.setdefault("cart", {})
        cart[slug] = within_reason(cart.get(slug, 0) + wanted)

    session.atomic(put_in)
    flash(f"{article.name} is in your cart.")
    return redirect(url_for(".cart"))


@blueprint.get("/cart")
def cart() -> str:
    """Show the cart."""
    return render_template("cart.html", most=MOST)


@blueprint.post("/cart")
def change_cart() -> ResponseReturnValue:
    """Take over the quantities of the form, whichever button sent it. A change inside of a value is noticed."""
    cart = session.get("cart", {})
    for slug in list(cart):
        wanted = 0 if request.form.get("remove") == slug else _quantity(f"quantity-{slug}", cart[slug])
        if wanted:
            cart[slug] = wanted
        else:
            del cart[slug]
    return redirect(url_for(".till" if cart and request.form.get("then") == "till" else ".cart"))


@blueprint.get("/till")
@fresh_login_required
def till() -> ResponseReturnValue:
    """Show what is about to be ordered, to somebody who typed the password a short while ago."""
    if not session.get("cart"):
        return redirect(url_for(".cart"))
    return render_template("till.html")


@blueprint.post("/till")
@fresh_login_required
def place_order() -> ResponseReturnValue:
    """Turn the cart into an order."""
    bill = bill_of(session.pop("cart", {}))
    if not bill.lines:
        return redirect(url_for(".cart"))
    session["order"] = {
        "number": f"{secrets.randbelow(900_000) + 100_000}",
        "placed_at": datetime.fromtimestamp(current_app.extensions["now"](), UTC),
        "goods": {line.article.slug: line.quantity for line in bill.lines},
    }
    return redirect(url_for(".order"))


@blueprint.get("/order")
@fresh_login_required
def order() -> ResponseReturnValue:
    """Show the order that was placed last."""
    if "order" not in session:
        return redirect(url_for(".shelf"))
    placed = session["order"]
    return render_template("order.html", order=placed, ordered=bill_of(placed["goods"]))


@blueprint.app_context_processor
def _cart() -> dict[str, object]:
    return {"bill": bill_of(session.get("cart", {})), "person": people.of_shop().by_id(current_user_id())}


def _article(slug: str) -> Article:
    return SHELF.get(slug) or abort(404)


def _quantity(field: str, default: int) -> int:
    return within_reason(request.form.get(field, default, type=int))
