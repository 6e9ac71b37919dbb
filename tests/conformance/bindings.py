"""The bindings that the suite runs with: each by its name, made from the settings alone, in any process."""

from dana.platform.bus import Binding, PostgresBinding
from dana.platform.settings import Settings
from dana.platform.valkey import Valkey

NAMES = ["postgresql"]


def make_binding(settings: Settings, valkey: Valkey) -> Binding:
    """Make the binding that the settings ask for."""
    return PostgresBinding(valkey)
