"""`dana openapi`: the API's description, without a database or a server."""

import logging
import os
import sys
import tempfile

import structlog

from dana.app import describe_all
from dana.platform.settings import Settings
from dana.platform.telemetry import configure_logging

NOWHERE = {
    "DANA_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "DANA_REDIS_URL": "redis://127.0.0.1:1/0",
}


def openapi() -> None:
    """Print the document as JSON."""
    configure_logging("WARNING")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(NOWHERE | {"DANA_DATA": folder, "DANA_PUBLIC_URL": "/"})
        document = describe_all(Settings.from_environment())
    sys.stdout.write(document.decode() + "\n")
