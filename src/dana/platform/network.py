"""The rule that no network call happens while a transaction is open, kept in production too."""

from contextvars import ContextVar

open_transactions: ContextVar[int] = ContextVar("open_transactions", default=0)


class NetworkInTransactionError(RuntimeError):
    """A bug: an adapter was called while this task holds a transaction open."""


def forbid_network_in_tx() -> None:
    """Raise when this task holds a transaction open; every adapter calls this before it goes out."""
    if open_transactions.get():
        raise NetworkInTransactionError("Commit first, then call out: a slow neighbour would hold locks.")
