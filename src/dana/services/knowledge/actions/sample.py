"""The sample help centre: an imaginary shop, so that a new organization can try everything at once."""

from pathlib import Path

from dana.contracts.views import DocumentView
from dana.platform.database import Tx
from dana.services.knowledge import store
from dana.services.knowledge.actions.documents import upload

FOLDER = Path(__file__).parents[1] / "sample"


async def add_sample(tx: Tx) -> list[DocumentView]:
    """Add the articles of the sample that aren't there yet; returns all of them."""
    articles = sorted(FOLDER.glob("*.md"))
    present = await store.documents_named(tx, [article.name for article in articles])
    return [
        present.get(article.name) or await upload(tx, article.name, article.read_bytes())
        for article in articles
    ]
