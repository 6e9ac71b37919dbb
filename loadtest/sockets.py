"""How whoever comes from outside opens a socket: ask for a token that does only that, then connect."""

from urllib.parse import urlencode

import httpx

CONNECT = "/api/v1/realtime"


async def socket_address(
    http: httpx.AsyncClient, token: str, cursor: int | None = None, at: str | None = None
) -> str:
    """Return an address that opens one socket within a minute; raises httpx.HTTPError.

    `http` leads to Dana; `at` is where sockets are, when that is somewhere else.
    """
    answer = await http.post(f"{CONNECT}/token", headers={"authorization": f"Bearer {token}"})
    answer.raise_for_status()
    query: dict[str, str | int] = {"token": answer.json()["token"]}
    if cursor is not None:
        query["cursor"] = cursor
    url = at or str(http.base_url).rstrip("/")
    return f"{url.replace('http', 'ws', 1)}{CONNECT}?{urlencode(query)}"
