"""What the forms have in common: their fields, and what a new password must be."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

#: Characters of a new password (NIST SP 800-63B-4, 3.1.1.2, wants 15 where nothing else is asked for; this is a toy).
SHORTEST = 8


def name_field(*validators: object) -> StringField:
    """Return a field for the name of an account."""
    return StringField(
        "Name",
        [InputRequired("Please give your name."), Length(max=80), *validators],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )


def password_field(label: str = "Password") -> PasswordField:
    """Return a field for a password that exists."""
    return PasswordField(
        label,
        [InputRequired("Please give your password."), Length(max=200)],
        render_kw={"autocomplete": "current-password"},
    )


def new_password_field(label: str = "Password") -> PasswordField:
    """Return a field for a password that is chosen."""
    return PasswordField(
        label,
        [
            InputRequired("Please choose a password."),
            Length(min=SHORTEST, max=200, message=f"Please take {SHORTEST} characters or more; a sentence will do."),
        ],
        render_kw={"autocomplete": "new-password", "minlength": str(SHORTEST)},
    )


def repeated_field(of: str) -> PasswordField:
    """Return a field for a password that is typed once more, so that a slip locks nobody out."""
    return PasswordField(
        "Once more",
        [EqualTo(of, "These two are not the same.")],
        render_kw={"autocomplete": "new-password"},
    )


class Asked(FlaskForm):
    """A form that is nothing but a button, and its token."""
