"""PDF: the text a reader sees, page by page, without the running titles."""

import ctypes
import re
from collections import Counter

import pypdfium2
import pypdfium2.raw as pdfium

from dana.services.knowledge.adapters.parsing.limits import MAX_PAGES
from dana.services.knowledge.models.documents import UnreadableError
from dana.services.knowledge.models.passages import Block, Parsed

LEAST_POINTS = 2.0  # smaller letters can't be read by people
WHITE = 250  # of 255, in each colour
RUNNING_SHARE = 0.5  # of the pages that carry the same line at the edge
FEW_PAGES = 3
EDGE_LINES = 2
SHORT_LINE = 0.75  # of the usual length; a sentence that ends there ends its paragraph
ENCRYPTED = "The PDF is encrypted with a password. Remove the password and upload it again."
NO_TEXT = "The PDF has no text layer: its pages are images. Run it through text recognition (OCR) first."


def read(content: bytes) -> Parsed:
    """Read a PDF."""
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise _reason(error) from None
    if len(document) > MAX_PAGES:
        raise UnreadableError(
            f"The PDF has {len(document)} pages; at most {MAX_PAGES} can be read. Split it."
        )
    pages = [_lines(page) for page in _pages(document)]
    if not any(pages):
        raise UnreadableError(NO_TEXT)
    return Parsed(_paragraphs(_without_running_titles(pages)), _title(document))


def _pages(document: pypdfium2.PdfDocument) -> list[pypdfium2.PdfPage]:
    try:
        return [document[number] for number in range(len(document))]
    except pypdfium2.PdfiumError:
        raise UnreadableError("The PDF is damaged: a page can't be opened. Save it again.") from None


def _reason(error: pypdfium2.PdfiumError) -> UnreadableError:
    code = getattr(error, "err_code", None)
    if code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY) or "password" in str(error).lower():
        return UnreadableError(ENCRYPTED)
    return UnreadableError("The PDF is damaged and can't be opened. Save or export it again.")


def _title(document: pypdfium2.PdfDocument) -> str | None:
    title = str(document.get_metadata_dict().get("Title") or "").strip()
    is_a_name = bool(
        re.search(r"\.(docx?|pdf|tex|indd|html?)$|^(untitled|microsoft word)|^\W*$", title, re.IGNORECASE)
    )
    return None if is_a_name else title


def _lines(page: pypdfium2.PdfPage) -> list[str]:
    text_page = page.get_textpage()
    hidden = _hidden_objects(page)
    text = _visible_text(text_page, hidden) if hidden else text_page.get_text_range()
    text = re.sub(r"[\u0002\ufffe]\s*", "", text)  # pdfium's mark for a word broken at the end of a line
    return [line for line in (re.sub(r"\s+", " ", each).strip() for each in text.splitlines()) if line]


def _visible_text(text_page: pypdfium2.PdfTextPage, hidden: set[int]) -> str:
    kept: list[str] = []
    for at in range(text_page.count_chars()):
        owner = pdfium.FPDFText_GetTextObject(text_page, at)
        if _address(owner) not in hidden:
            kept.append(chr(pdfium.FPDFText_GetUnicode(text_page, at)))
    return "".join(kept)


def _hidden_objects(page: pypdfium2.PdfPage) -> set[int]:
    """Find text that people can't see.

    A page whose every letter is invisible over an image was scanned and recognised: its letters are what the
    image shows, so they stay.
    """
    texts = list(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT], max_depth=4))
    grounds = [
        each.get_bounds()
        for each in page.get_objects(
            filter=[pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_SHADING],
            max_depth=4,
        )
    ]
    invisible = {_address(t.raw) for t in texts if _render_mode(t) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE}
    if grounds and len(invisible) == len(texts):
        return set()
    unreadable = {_address(t.raw) for t in texts if _is_tiny(t) or (_is_white(t) and not _is_on(t, grounds))}
    return invisible | unreadable


def _address(raw: object) -> int:
    return ctypes.cast(raw, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def _render_mode(text: pypdfium2.PdfObject) -> int:
    return int(pdfium.FPDFTextObj_GetTextRenderMode(text.raw))


def _is_tiny(text: pypdfium2.PdfObject) -> bool:
    size = ctypes.c_float()
    if not pdfium.FPDFTextObj_GetFontSize(text.raw, size):
        return False
    matrix = text.get_matrix()
    return bool(size.value * max(abs(matrix.d), abs(matrix.b)) < LEAST_POINTS)


def _is_white(text: pypdfium2.PdfObject) -> bool:
    parts = [ctypes.c_uint() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetFillColor(text.raw, *parts):
        return False
    *colour, opacity = (part.value for part in parts)
    return bool(min(colour) >= WHITE or opacity == 0)


def _is_on(text: pypdfium2.PdfObject, grounds: list[tuple[float, float, float, float]]) -> bool:
    left, bottom, right, top = text.get_bounds()
    across, up = (left + right) / 2, (bottom + top) / 2
    return any(g[0] <= across <= g[2] and g[1] <= up <= g[3] for g in grounds)


def _without_running_titles(pages: list[list[str]]) -> list[list[str]]:
    """Drop the lines that stand at the edge of most pages, page numbers aside."""
    if len(pages) < FEW_PAGES:
        return pages
    edges = Counter(
        shape for lines in pages for shape in {_shape(x) for x in lines[:EDGE_LINES] + lines[-EDGE_LINES:]}
    )
    running = {shape for shape, times in edges.items() if times > RUNNING_SHARE * len(pages)}
    return [
        [
            line
            for at, line in enumerate(lines)
            if not (at < EDGE_LINES or at >= len(lines) - EDGE_LINES) or _shape(line) not in running
        ]
        for lines in pages
    ]


def _shape(line: str) -> str:
    return re.sub(r"\d+", "#", line)


def _paragraphs(pages: list[list[str]]) -> list[Block]:
    """Join lines into paragraphs; a paragraph may run over to the next page."""
    lengths = sorted(len(line) for lines in pages for line in lines)
    usual = lengths[int(len(lengths) * 0.8)] if lengths else 0
    paragraphs: list[str] = []
    is_open = False
    for line in (line for lines in pages for line in lines):
        is_entry = bool(re.match(r"[•●▪◦–*-]\s|\(?\d{1,2}[.)]\s", line))
        if is_open and not is_entry:
            glue = "" if re.search(r"[^\W\d_]-$", paragraphs[-1]) and line[:1].islower() else " "
            paragraphs[-1] = f"{paragraphs[-1].removesuffix('-') if not glue else paragraphs[-1]}{glue}{line}"
        else:
            paragraphs.append(line)
        is_open = not (len(line) < SHORT_LINE * usual and re.search(r"[.!?:。…]\W*$|^[^.!?]{1,60}$", line))
    return [Block(paragraph) for paragraph in paragraphs]
