"""A shop with Flask-SQLAlchemy: what its transactions take back, and what its sessions keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import browser
from flask import Flask, flash, get_flashed_messages, request, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, String
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_sessionkit import SessionKit, current_user_id, login_required, login_user
from flask_sessionkit.testing import FrozenClock

#: The shop's own database, and two that have nothing to do with it.
pytestmark = pytest.mark.parametrize("place", ["sqlalchemy:", "files", "cookie"], indirect=True)


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Customer(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy's own way
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    password: Mapped[str] = mapped_column(String(40))
    orders: Mapped[list[Order]] = relationship(back_populates="customer", cascade="all, delete-orphan")


class Order(db.Model):  # type: ignore[name-defined,misc]  # the same
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Shop:
    def __init__(self, settings: dict[str, Any], clock: FrozenClock, folder: Path) -> None:
        self.app = app = Flask("shop")
        app.config.from_mapping(settings, SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/shop.db")
        app.config["PROPAGATE_EXCEPTIONS"] = False
        db.init_app(app)
        self.kit = kit = SessionKit(app, clock=clock)

        @kit.user_stamp
        def stamp(user_id: str) -> str | None:
            customer = db.session.get(Customer, int(user_id))
            return customer.password if customer else None

        @app.post("/sign-up/<name>")
        def sign_up(name: str) -> ResponseReturnValue:
            customer = Customer(name=name, password="first")
            db.session.add(customer)
            try:
                db.session.commit()
            except IntegrityError:
                db.session.rollback()
                flash(f"There is a {name}.")
                return "taken", 409
            login_user(customer.id)
            return "welcome"

        @app.post("/login/<name>")
        def login(name: str) -> str:
            login_user(db.one_or_404(db.select(Customer).filter_by(name=name)).id)
            return "hello"

        @app.post("/cart/<int:number>")
        def put(number: int) -> str:
            session.setdefault("cart", []).append(number)
            return "put"

        @app.post("/order")
        @login_required
        def order() -> str:
            customer = db.session.get(Customer, int(str(current_user_id())))
            assert customer
            customer.orders += [Order(number=number) for number in session.pop("cart")]
            if request.args.get("how") == "rolled back":
                db.session.rollback()
                flash("Try again.")
                session["tries"] = session.get("tries", 0) + 1
                return "not ordered"
            db.session.commit()
            if request.args.get("how") == "failed":
                raise ArithmeticError
            return "ordered"

        @app.post("/password/<new>")
        @login_required
        def password(new: str) -> dict[str, int]:
            customer = db.session.get(Customer, int(str(current_user_id())))
            assert customer
            customer.password = new
            db.session.commit()
            return {"ended": kit.revoke_user(customer.id, keep_current=True)}

        @app.post("/leave")
        @login_required
        def leave() -> str:
            db.session.delete(db.session.get(Customer, int(str(current_user_id()))))
            db.session.commit()
            return "gone"

        @app.get("/")
        def show() -> dict[str, Any]:
            return {"user": current_user_id(), "messages": get_flashed_messages(), **session}

        with app.app_context():
            db.create_all()

    def numbers(self) -> list[int]:
        with self.app.app_context():
            return list(db.session.execute(db.select(Order.number).order_by(Order.number)).scalars())


@pytest.fixture
def shop(settings: dict[str, Any], clock: FrozenClock, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(settings, clock, tmp_path)
    yield shop
    with shop.app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    """Ann's browser, with three things in her cart."""
    client = browser(shop.app)
    for number in (1, 2, 3):
        client.post(f"/cart/{number}")
    client.post("/sign-up/ann")
    return client


def shown(client: FlaskClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/").get_json()
    return answer


ANN = {"user": "1", "messages": []}


def test_a_view_that_commits_and_signs_in_does_both(shop: Shop, client: FlaskClient) -> None:
    assert shown(client) == ANN | {"cart": [1, 2, 3]}
    with shop.app.app_context():
        assert [row.current for row in shop.kit.sessions_of(1)] == [False]


def test_an_order_is_in_the_database_and_no_longer_in_the_cart(shop: Shop, client: FlaskClient) -> None:
    assert client.post("/order").text == "ordered"

    assert shop.numbers() == [1, 2, 3]
    assert shown(client) == ANN


def test_a_rollback_is_the_databases_alone(shop: Shop, client: FlaskClient) -> None:
    """Also of what the view took out of the session before; so take it out after the commit."""
    assert client.post("/order?how=rolled back").text == "not ordered"

    assert shop.numbers() == []
    assert shown(client) == {"user": "1", "messages": ["Try again."], "tries": 1}


def test_a_view_that_failed_leaves_the_session_as_it_was(shop: Shop, client: FlaskClient) -> None:
    """What the view committed is its own affair."""
    assert client.post("/order?how=failed").status_code == 500

    assert shop.numbers() == [1, 2, 3]
    assert shown(client) == ANN | {"cart": [1, 2, 3]}


def test_what_the_database_refused_is_told_and_signs_nobody_in(shop: Shop, client: FlaskClient) -> None:
    other = browser(shop.app)
    other.post("/cart/7")

    assert other.post("/sign-up/ann").status_code == 409

    assert shown(other) == {"user": None, "messages": ["There is a ann."], "cart": [7]}


def test_a_customer_who_is_gone_from_the_database_is_gone_from_every_browser(shop: Shop, client: FlaskClient) -> None:
    phone = browser(shop.app, "Safari")
    phone.post("/login/ann")

    client.post("/leave")

    assert shown(client) == shown(phone) == {"user": None, "messages": []}


def test_a_password_that_changed_in_the_database_ends_the_other_browser(shop: Shop, client: FlaskClient) -> None:
    phone = browser(shop.app, "Safari")
    phone.post("/login/ann")

    assert client.post("/password/second").get_json() == {"ended": 1}

    assert shown(client) == ANN | {"cart": [1, 2, 3]}
    assert shown(phone)["user"] is None


def test_a_password_that_a_script_changed_ends_every_browser(shop: Shop, client: FlaskClient) -> None:
    with shop.app.app_context():
        db.session.get_one(Customer, 1).password = "second"
        db.session.commit()

    assert shown(client) == {"user": None, "messages": []}
