"""A back office with Flask-Admin: guarded views of a model, flashes and forms of its own, on every kind of store."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_login
import pytest
from browsers import REMEMBER, browser, cookie_of, csrf_of
from flask import Flask, Response, flash, redirect, request, session, url_for
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from flask_admin import Admin, AdminIndexView, BaseView, expose, expose_plugview
from flask_admin.contrib.sqla import ModelView
from flask_admin.form import SecureForm
from flask_login import LoginManager, UserMixin, current_user, user_logged_in
from flask_sqlalchemy import SQLAlchemy
from wtforms.validators import ValidationError

from flask_sessionkit import SessionInfo, SessionKit, current_user_id
from flask_sessionkit.testing import FrozenClock

db = SQLAlchemy()


class Article(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy's own way
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(40), unique=True, nullable=False)


class Clerk(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Guarded(BaseView):  # type: ignore[misc]  # it is not typed
    """What nobody sees who is not signed in."""

    def is_accessible(self) -> bool:
        return bool(current_user.is_authenticated)

    def inaccessible_callback(self, name: str, **_: Any) -> Response:
        flash("Sign in first.")
        return redirect(url_for("admin.login", next=request.url))  # type: ignore[return-value]  # Werkzeug's is one


class Articles(Guarded, ModelView):  # type: ignore[misc]  # the same
    form_base_class = SecureForm
    column_editable_list = ("title",)

    def on_model_change(self, form: Any, model: Article, is_created: bool) -> None:
        if model.title == "refused":
            raise ValidationError("Not this one.")


class Desk(Guarded):
    """A page of methods, as Flask has them."""

    @expose("/")
    def index(self) -> str:
        return str(self.render("admin/index.html"))

    @expose_plugview("/tray")
    class Tray(MethodView):
        def get(self, cls: BaseView) -> list[str]:
            return list(session.get("tray", []))

        def post(self, cls: BaseView) -> str:
            session.setdefault("tray", []).append(request.form["paper"])
            flash("It is in the tray.")
            return "kept"


class Door(AdminIndexView):  # type: ignore[misc]  # the same
    @expose("/")
    def index(self) -> ResponseReturnValue:
        if not current_user.is_authenticated:
            return redirect(url_for(".login"))
        return super().index()  # type: ignore[no-any-return]  # the same

    @expose("/login/", methods=("GET", "POST"))
    def login(self) -> ResponseReturnValue:
        form = SecureForm(request.form)
        if request.method == "POST" and form.validate():
            flask_login.login_user(Clerk(request.form["name"]), remember="remember" in request.form)
            flash("Good morning.")
            return redirect(url_for(".index"))
        return str(self.render("admin/model/create.html", form=form, return_url="/"))

    @expose("/logout/", methods=("POST",))
    def logout(self) -> ResponseReturnValue:
        flask_login.logout_user()
        return redirect(url_for(".index"))


class Office:
    """The application.

    :param is_plain: leave the key of the forms to Flask-Admin.
    """

    def __init__(
        self, settings: dict[str, Any], clock: FrozenClock, folder: Path, *, is_plain: bool = False, **more: Any
    ) -> None:
        self.app = app = Flask("office")
        app.config.from_mapping(settings, SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/office.db", **more)
        db.init_app(app)
        self.kit = SessionKit(app, clock=clock)
        LoginManager(app).user_loader(Clerk)
        admin = Admin(app, name="Office", index_view=Door())
        admin.add_view(Articles(Article, db))
        admin.add_view(Desk(name="Desk", endpoint="desk"))

        @app.before_request
        def count() -> None:
            if request.path.startswith("/admin/") and "/static/" not in request.path:
                session["pages"] = session.get("pages", 0) + 1

        @app.get("/pages")
        def pages() -> dict[str, Any]:
            return {"pages": session.get("pages"), "user": current_user_id()}

        @app.post("/renew")
        def renew() -> str:
            session.regenerate()  # type: ignore[attr-defined]  # the kit's own
            return "renewed"

        if not is_plain:

            def renew_forms(sender: Flask, **_: Any) -> None:
                session["csrf"] = secrets.token_hex(20)

            user_logged_in.connect(renew_forms, app, weak=False)
        with app.app_context():
            db.create_all()

    def titles(self) -> list[str]:
        with self.app.app_context():
            return list(db.session.execute(db.select(Article.title).order_by(Article.id)).scalars())

    def sessions_of(self, name: str) -> list[SessionInfo]:
        with self.app.app_context():
            return self.kit.sessions_of(name)


@pytest.fixture
def make(settings: dict[str, Any], clock: FrozenClock, tmp_path: Path) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def make(**more: Any) -> Office:
        made.append(Office(settings, clock, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        with one.app.app_context():
            db.engine.dispose()


@pytest.fixture
def office(make: Callable[..., Office]) -> Office:
    return make()


@pytest.fixture
def client(office: Office) -> FlaskClient:
    return browser(office.app)


NEW, LIST, LOGIN, TRAY = "/admin/article/new/", "/admin/article/", "/admin/login/", "/admin/desk/tray"


def log_in(client: FlaskClient, name: str = "ann", **more: str) -> str:
    form = {"name": name, "csrf_token": csrf_of(client.get(LOGIN)), **more}
    assert client.post(LOGIN, data=form).location == "/admin/"
    return cookie_of(client)


def write(client: FlaskClient, title: str, csrf: str | None = None) -> str:
    """Send the form for an article, and return the page that is shown in the end."""
    token = csrf_of(client.get(NEW)) if csrf is None else csrf
    return client.post(NEW, data={"title": title, "csrf_token": token}, follow_redirects=True).text


def sent_away(client: FlaskClient, path: str = LIST) -> bool:
    answer = client.get(path)
    return answer.status_code == 302 and answer.location.startswith(LOGIN)


# The guards.


@pytest.mark.parametrize("path", [LIST, NEW, "/admin/desk/", TRAY, "/admin/"])
def test_nobody_is_sent_to_the_login(client: FlaskClient, path: str) -> None:
    assert sent_away(client, path)


def test_the_guards_message_is_shown_once(client: FlaskClient) -> None:
    client.get(LIST)

    assert "Sign in first." in client.get(LOGIN).text
    assert "Sign in first." not in client.get(LOGIN).text


def test_a_login_changes_the_token_and_opens_the_guarded_views(office: Office, client: FlaskClient) -> None:
    client.get(LOGIN)
    before = cookie_of(client)

    after = log_in(client)

    assert after not in ("", before)
    assert "Good morning." in client.get("/admin/").text
    assert client.get(LIST).status_code == client.get("/admin/desk/").status_code == 200
    assert sent_away(browser(office.app, session=before))


def test_a_clerk_who_is_revoked_elsewhere_is_sent_to_the_login_and_writes_nothing(
    office: Office, client: FlaskClient
) -> None:
    log_in(client)
    stale = csrf_of(client.get(NEW))
    [row] = office.sessions_of("ann")
    with office.app.app_context():
        assert office.kit.revoke(row.handle, user_id="ann") == 1

    answer = client.post(NEW, data={"title": "late", "csrf_token": stale})

    assert answer.location.startswith(LOGIN)
    assert office.titles() == []


def test_a_logout_ends_it_for_every_copy(office: Office, client: FlaskClient) -> None:
    token = log_in(client, remember="on")

    client.post("/admin/logout/")

    assert sent_away(client)
    assert sent_away(browser(office.app, session=token))
    assert cookie_of(client, REMEMBER) == ""
    assert office.sessions_of("ann") == []


# Models and messages.


def test_an_article_is_written_and_said_to_be_so_once(office: Office, client: FlaskClient) -> None:
    log_in(client)
    client.get("/admin/")

    page = write(client, "first")

    assert office.titles() == ["first"]
    assert "successfully created" in page
    assert "successfully created" not in client.get(LIST).text


def test_an_article_is_removed_by_the_form_in_the_list(office: Office, client: FlaskClient) -> None:
    log_in(client)
    write(client, "first")
    form = {"id": "1", "url": LIST, "csrf_token": csrf_of(client.get(LIST))}

    page = client.post("/admin/article/delete/", data=form, follow_redirects=True).text

    assert office.titles() == []
    assert "successfully deleted" in page


def test_a_title_is_changed_in_the_list(office: Office, client: FlaskClient) -> None:
    log_in(client)
    write(client, "first")
    form = {"list_form_pk": "1", "title": "second", "csrf_token": csrf_of(client.get(LIST))}

    assert client.post("/admin/article/ajax/update/", data=form).status_code == 200
    assert office.titles() == ["second"]


@pytest.mark.parametrize(("title", "said"), [("refused", "Not this one."), ("first", "Already exists.")])
def test_a_write_that_is_taken_back_leaves_the_session_alone(
    office: Office, client: FlaskClient, title: str, said: str
) -> None:
    log_in(client)
    write(client, "first")
    client.post(TRAY, data={"paper": "one"})
    client.get(LIST)

    page = write(client, title)

    assert said in page
    assert office.titles() == ["first"]
    assert client.get(TRAY).get_json() == ["one"]
    assert client.get("/pages").get_json()["user"] == "ann"


def test_what_is_taken_back_by_the_database_is_told_by_a_message(office: Office, client: FlaskClient) -> None:
    log_in(client)
    token = csrf_of(client.get(NEW))
    with office.app.app_context():
        db.session.execute(
            db.text("CREATE TRIGGER full BEFORE INSERT ON article BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
        db.session.commit()

    page = write(client, "first", token)

    assert "Integrity error." in page or "Failed to create record." in page
    assert office.titles() == []
    assert client.get("/pages").get_json()["user"] == "ann"


# What views and guards keep in the session.


def test_methods_of_a_class_keep_what_they_append(client: FlaskClient) -> None:
    log_in(client)
    for paper in ("one", "two", "three"):
        client.post(TRAY, data={"paper": paper})

    assert client.get(TRAY).get_json() == ["one", "two", "three"]
    assert client.get("/admin/").text.count("It is in the tray.") == 3


def test_what_a_guard_before_each_request_counts_goes_on_through_the_login(client: FlaskClient) -> None:
    log_in(client)
    client.get(LIST)

    assert client.get("/pages").get_json() == {"pages": 3, "user": "ann"}


# The tokens of its forms. They lie under "csrf", not where Flask-WTF has its own.


@pytest.mark.parametrize("token", ["", "x", "20990101000000##" + "0" * 40])
def test_a_form_without_a_token_of_this_session_is_refused(office: Office, client: FlaskClient, token: str) -> None:
    log_in(client)
    client.get(NEW)

    write(client, "first", token)
    assert office.titles() == []


def test_a_form_of_another_session_is_refused(office: Office, client: FlaskClient) -> None:
    other = browser(office.app)
    log_in(other, "ben")
    log_in(client)
    client.get(NEW)

    write(client, "first", csrf_of(other.get(NEW)))
    assert office.titles() == []


def test_a_form_outlives_other_pages_and_a_renewed_token(office: Office, client: FlaskClient) -> None:
    log_in(client)
    token = csrf_of(client.get(NEW))
    client.get(LIST)
    before = cookie_of(client)
    client.post("/renew")

    assert cookie_of(client) != before
    write(client, "first", token)
    assert office.titles() == ["first"]


def test_a_form_from_before_the_login_is_refused_after_it_where_the_key_was_changed(
    office: Office, client: FlaskClient
) -> None:
    planted = csrf_of(client.get(LOGIN))
    log_in(client)

    write(client, "first", planted)
    assert office.titles() == []


def test_left_alone_a_form_from_before_the_login_counts_after_it(make: Callable[..., Office]) -> None:
    """What lies under a name that only the application knows is data to us, and a login keeps data."""
    office = make(is_plain=True)
    client = browser(office.app)
    planted = csrf_of(client.get(LOGIN))
    log_in(client)

    write(client, "first", planted)

    assert office.titles() == ["first"]


# Articles and sessions in one database.


@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_the_sessions_may_lie_in_the_database_of_the_models(make: Callable[..., Office]) -> None:
    """Flask-Admin has committed or taken back its own before the session is saved."""
    office = make(SESSIONKIT_STORE="sqlalchemy:")
    client = browser(office.app)
    log_in(client)

    assert "successfully created" in write(client, "first")
    assert "Already exists." in write(client, "first")
    assert "Not this one." in write(client, "refused")
    assert office.titles() == ["first"]
    assert client.get("/pages").get_json()["user"] == "ann"
