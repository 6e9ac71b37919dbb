"""The web console, the widget and the demo page: built files, with the caching each deserves."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from dana.platform.http.asgi import Application, Receive, Scope, Send

IMMUTABLE = b"public, max-age=31536000, immutable"  # the name holds the content's hash
REVALIDATE = b"no-cache"
CONSOLE_CSP = (
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' "
    b"ws: wss:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
API_PREFIXES = ("/api/", "/openapi.json", "/healthz", "/readyz", "/metrics", "/.well-known/")


@dataclass(frozen=True, slots=True)
class File:
    """One built file, read once."""

    body: bytes
    media_type: bytes
    etag: bytes
    is_immutable: bool


class Static:
    """Serves the built web apps, and passes everything else on."""

    def __init__(self, app: Application, web_dir: Path, widget_dir: Path) -> None:
        self._app = app
        self._console = _read_all(web_dir)
        self._widget = _read_all(widget_dir)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET of a file; the rest is the API's."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(API_PREFIXES) or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        file = self._find(path)
        if file is None:
            await self._app(scope, receive, send)
            return
        known = dict(scope["headers"]).get(b"if-none-match")
        is_known = known is not None and file.etag in known
        headers = [
            (b"etag", file.etag),
            (b"cache-control", IMMUTABLE if file.is_immutable else REVALIDATE),
            (b"x-content-type-options", b"nosniff"),
        ]
        if file.media_type.startswith(b"text/html") and not path.startswith("/demo"):
            headers.append((b"content-security-policy", CONSOLE_CSP))
        if path.startswith("/widget"):
            headers.append((b"access-control-allow-origin", b"*"))
        body = b"" if is_known or scope["method"] == "HEAD" else file.body
        if not is_known:
            length = str(len(file.body)).encode()
            headers += [(b"content-type", file.media_type), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 304 if is_known else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _find(self, path: str) -> File | None:
        name = path.strip("/")
        if path.startswith("/demo/"):
            return (
                self._widget.get("demo.html")
                if name.count("/") == 1 and "." not in name
                else (self._widget.get(name) or self._widget.get(name.removeprefix("demo/")))
            )
        if name in self._widget and name != "demo.html":
            return self._widget[name]
        if name == "docs":
            return self._console.get("docs/index.html")
        file = self._console.get(name)
        is_page = "." not in name.rpartition("/")[2]
        return file or (self._console.get("index.html") if is_page else None)


def _read_all(folder: Path) -> dict[str, File]:
    if not folder.is_dir():
        return {}
    return {path.relative_to(folder).as_posix(): _read(path) for path in folder.rglob("*") if path.is_file()}


def _read(path: Path) -> File:
    body = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if media_type.startswith("text/") or media_type == "application/javascript":
        media_type += "; charset=utf-8"
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    return File(body, media_type.encode(), etag.encode(), path.parent.name == "assets")
