"""The bindings that the suite runs with: each by its name, made from the settings alone, in any process."""

from dana.platform.broker import binding_of
from dana.platform.bus import Binding
from dana.platform.settings import Settings
from dana.platform.valkey import Valkey

NAMES = ["postgresql", "rabbitmq"]


def make_binding(settings: Settings, valkey: Valkey) -> Binding:
    """Make the binding that the settings ask for."""
    return binding_of(settings, valkey)
