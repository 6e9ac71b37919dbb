"""HTML: the main text of a page, without navigation, scripts and what a reader can't see."""

import re

import trafilatura
from selectolax.lexbor import LexborHTMLParser

from dana.services.knowledge.adapters.parsing import markdown
from dana.services.knowledge.adapters.parsing.plain import decode
from dana.services.knowledge.models.documents import UnreadableError
from dana.services.knowledge.models.passages import Parsed

LEAST_SHARE = 0.25  # of the visible text; if the extraction kept less, it took the wrong part of the page
_INVISIBLE = (
    "script, style, noscript, template, iframe, svg, canvas, nav, [hidden], [aria-hidden=true], dialog, "
    "input[type=hidden], select"
)
_CONCEALED = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|font-size\s*:\s*[01](?:\.\d+)?(?:px|pt|em|rem|%)?\s*(?:;|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}"
    r"|(?<!-)color\s*:\s*(?:white|#fff(?:fff)?\b|rgba?\(\s*255\s*,\s*255\s*,\s*255|transparent)",
    re.IGNORECASE,
)
_BLOCKS = "p, h1, h2, h3, h4, h5, h6, li, td, th, dt, dd, pre, blockquote, figcaption, caption, summary"


def read(content: bytes) -> Parsed:
    """Read an HTML page."""
    source = decode(content)
    tree = LexborHTMLParser(source)
    title_node = tree.css_first("title") or tree.css_first("h1")
    title = title_node.text(strip=True) if title_node else None
    for node in tree.css(_INVISIBLE):
        node.decompose()
    for node in tree.css("[style]"):
        if _CONCEALED.search(node.attributes.get("style") or ""):
            node.decompose()
    visible = tree.body.text(separator=" ", strip=True) if tree.body else ""
    if not visible:
        raise UnreadableError("The page holds no visible text.")
    parsed = markdown.read_text(_main_text(tree, visible))
    return Parsed(parsed.blocks, title or parsed.title)


def _main_text(tree: LexborHTMLParser, visible: str) -> str:
    extracted = trafilatura.extract(
        tree.html or "", output_format="markdown", fast=True, include_comments=False, include_tables=True
    )
    if extracted and len(extracted) >= LEAST_SHARE * len(visible):
        return extracted
    return _all_blocks(tree) or visible


def _all_blocks(tree: LexborHTMLParser) -> str:
    lines: list[str] = []
    for node in tree.css(_BLOCKS):
        text = " ".join(node.text(separator=" ", strip=True).split())
        level = int(node.tag[1]) if node.tag and re.fullmatch(r"h[1-6]", node.tag) else 0
        if text and not (node.tag != "pre" and node.css_first("p, li, h1, h2, h3, h4")):
            lines.append(f"{'#' * level} {text}" if level else text)
    return "\n\n".join(lines)
