"""The application whose expired sessions the purge benchmark removes: ``flask --app benchmarks.purged_app``."""

import os

from flask import Flask

from flask_sessionkit import SessionKit

from .peers import SECRET

app = Flask("benchmark")
app.config.update(SECRET_KEY=SECRET, SESSIONKIT_STORE=os.environ["PURGED_STORE"], SESSIONKIT_APP_ID="benchmark")
SessionKit(app)
