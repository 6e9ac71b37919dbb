"""What the routes of auth share: answers with a session, and the refresh cookie."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from dana.platform.errors import Forbidden
from dana.platform.identity import Keys, Member
from dana.services.auth.actions.desk import Desk
from dana.services.auth.models import ACCESS_SECONDS, IDLE_SECONDS, Opened, Session

COOKIE = "dana_refresh"
COOKIE_PATH = "/api/v1/auth"
BODY_BYTES = 64 * 1024  # like at the gateway
TEXT_CHARACTERS = 1000  # nothing a person types here is longer; the rules of models.py say more

Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]
NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Entrance:
    """Turns opened sessions into answers."""

    desk: Desk
    keys: Keys
    public_url: str

    def answer(self, opened: Opened, status_code: int = 200) -> Response[Session]:
        """Answer with an access token, and put the refresh token into the cookie."""
        token = self.keys.sign_member(
            Member(
                org_id=opened.organization.id,
                user_id=opened.member.user_id,
                role=opened.member.role,
                name=opened.member.name,
                session_id=opened.session_id,
                platform_role=opened.member.platform_role,
            ),
            ACCESS_SECONDS,
        )
        session = Session(
            access_token=token,
            expires_in=ACCESS_SECONDS,
            organization_id=opened.organization.id,
            organization_name=opened.organization.name,
            user=opened.member.view(),
        )
        cookies = [self._cookie(opened.refresh_token, IDLE_SECONDS)]
        return Response(session, status_code=status_code, cookies=cookies, headers=NO_STORE)

    def goodbye(self) -> Response[None]:
        """Answer without content, and take the cookie away."""
        return Response(None, status_code=204, cookies=[self._cookie("", 0)], headers=NO_STORE)

    def _cookie(self, token: str, max_age: int) -> Cookie:
        return Cookie(
            COOKIE,
            path=COOKIE_PATH,
            value=token,
            max_age=max_age,
            secure=self.public_url.startswith("https://"),
            httponly=True,
            samesite="strict",
        )


AnEntrance = NamedDependency[SkipValidation[Entrance]]
SignedIn = NamedDependency[SkipValidation[Member]]
AnyRequest = Request[Any, Any, Any]


async def refuse_other_sites(request: AnyRequest) -> None:
    """Refuse what a page of another site made the browser send, such as signing in as the attacker."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Forbidden("This can't be called from a page of another site.")
