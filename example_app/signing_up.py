"""Making an account."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import ValidationError
from wtforms.validators import Length, Regexp

from flask_sessionkit import login_user, login_view, next_url

from . import people
from .forms import name_field, new_password_field, repeated_field

blueprint = Blueprint("signing_up", __name__)

_NAME = r"\s*\w+([ .'-]\w+)*\s*\Z"


class SignUpForm(FlaskForm):
    """A name that nobody has, and a password."""

    name = name_field(
        Length(2, 30, "Please take 2 to 30 characters."),
        Regexp(_NAME, message="Please take letters and digits, and single spaces or dots between."),
    )
    password = new_password_field()
    repeated = repeated_field("password")

    def validate_password(self, field: object) -> None:
        """Refuse the first password that anybody would try."""
        if people.folded(field.data) == people.folded(self.name.data or ""):
            raise ValidationError("Your name is no password: everybody knows it.")


@blueprint.route("/sign-up", methods=["GET", "POST"])
@login_view
def sign_up() -> ResponseReturnValue:
    """Make an account and sign in to it. The cart of the stranger goes along, under a new cookie."""
    form = SignUpForm()
    if not form.validate_on_submit():
        return render_template("sign_up.html", form=form)
    person = people.of_shop().add(form.name.data, form.password.data)
    if person is None:
        form.name.errors = ["Somebody has that name already. Please take another one."]
        return render_template("sign_up.html", form=form), 409
    login_user(person.id, stamp=person.stamp)
    flash(f"Welcome, {person.full_name}.")
    if person.is_administrator:
        flash("You are the first to sign up here, so you look after the shop: see Administration in your account.")
    return redirect(next_url(url_for("shop.cart" if session.get("cart") else "account.show")))
