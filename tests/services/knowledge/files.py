"""Files to parse, made on the spot: real ones, and each kind of bad one."""

import io
import struct
import zipfile
import zlib

import docx
import pypdf

STANDARD = "Standard delivery takes three to five working days."


def pdf(*pages: str) -> bytes:
    """Make a PDF from the content streams of its pages; `text` makes one of plain lines."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode())
    objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    for n, page in enumerate(pages):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {5 + 2 * n} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>".encode()
        )
        stream = page.encode("latin-1")
        objects.append(b"<</Length %d>>\nstream\n%b\nendstream" % (len(stream), stream))
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return out.getvalue()


def text(*lines: str, extra: str = "") -> str:
    """Make the content of a page from lines of text."""
    shown = " ".join(f"({line}) Tj 0 -20 Td" for line in lines)
    return f"BT /F 12 Tf 50 750 Td {shown} ET {extra}"


def encrypted_pdf() -> bytes:
    """Make a PDF that needs a password."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(text(STANDARD))))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def word(hidden: str = "") -> bytes:
    """Make a Word document with a heading, a list, a table, and maybe a hidden run."""
    document = docx.Document()
    document.add_heading("Shipping", level=1)
    paragraph = document.add_paragraph(STANDARD)
    if hidden:
        paragraph.add_run(hidden).font.hidden = True
    table = document.add_table(rows=0, cols=2)
    for left, right in (("Country", "Price"), ("Norway", "19 euros")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = left, right
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def zip_bomb() -> bytes:
    """Make a small DOCX that unpacks to 300 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b"\0" * (300 * 1024 * 1024))
    return out.getvalue()


def lying_zip_bomb() -> bytes:
    """Make one whose directory claims that it unpacks to 10 bytes."""
    bomb = bytearray(zip_bomb())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = bomb.rfind(signature)
        bomb[at + offset : at + offset + 4] = struct.pack("<I", 10)
    return bytes(bomb)


def png() -> bytes:
    """Make the smallest picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
    )
