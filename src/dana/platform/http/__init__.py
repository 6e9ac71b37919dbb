"""HTTP at the edge: the application, problem+json, pages, and who is asking."""

from dana.platform.http.app import make_app
from dana.platform.http.paging import Page, decode_cursor, encode_cursor

__all__ = ["Page", "decode_cursor", "encode_cursor", "make_app"]
