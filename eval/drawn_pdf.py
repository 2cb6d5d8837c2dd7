"""A PDF of pages full of text, made for timing: one font that every reader has, no compression."""

_WORDS = ("invoice", "total", "due", "March", "third", "the", "paid", "order", "of", "number")
_LINES, _LEADING, _TOP = 46, 16, 790


def text_pdf(pages: int) -> bytes:
    """An A4 document with another text on each page."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(pages))
    objects = [
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, pages),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
    ]
    for number in range(pages):
        content = _content(number)
        objects += [
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources <</Font <</F 3 0 R>>>>>>" % (5 + 2 * number),
            b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content),
        ]
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d /Root 1 0 R>>\n"
        b"startxref\n%d\n%%%%EOF\n"
    ) % (count, table, count, len(data))


def _content(page: int) -> bytes:
    lines = []
    for line in range(_LINES):
        first = page * 31 + line * 7
        words = " ".join(_WORDS[(first + place * place) % len(_WORDS)] for place in range(12))
        lines.append(f"({page + 1}.{line + 1} {words}) Tj T*".encode("ascii"))
    return b"BT /F 10 Tf %d TL 40 %d Td\n%s\nET" % (_LEADING, _TOP, b"\n".join(lines))
