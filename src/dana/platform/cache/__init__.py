"""Caches: what is read far more often than it changes, in this process and in Valkey, never behind a change.

get ──► local (this process) ──► shared (Valkey) ──► source (the primary database)
        dropped when Valkey      filled only with a lease,
        tells of a change        which every change takes away
"""

from dana.platform.cache.caches import Cache, Caches

__all__ = ["Cache", "Caches"]
