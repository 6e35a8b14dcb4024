"""What makes the artefacts of a release, and tries them as a stranger would. Run by ``tox -e release``."""
