"""PDFs written by hand, for what no library writes: odd pages, no pages, a password."""

import hashlib


def build_pdf(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of numbered objects, the catalogue first."""
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d /Root 1 0 R %s>>\n"
        b"startxref\n%d\n%%%%EOF\n"
    ) % (len(objects) + 1, table, len(objects) + 1, trailer, len(data))


def page_pdf(
    *sizes: tuple[float, float], content: bytes = b"", page: bytes = b"", catalog: bytes = b""
) -> bytes:
    """One page per size in points, all with the same content stream."""
    kids = b" ".join(b"%d 0 R" % (4 + index) for index in range(len(sizes)))
    return build_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R %s>>" % catalog,
            b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, len(sizes)),
            b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content),
            *(
                b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Contents 3 0 R %s>>"
                % (*size, page)
                for size in sizes
            ),
        ]
    )


def locked_pdf(password: bytes) -> bytes:
    """Encrypted with the 40-bit standard handler (ISO 32000-1, algorithms 2 to 4)."""
    padding = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")

    def rc4(key: bytes, text: bytes) -> bytes:
        state, j = list(range(256)), 0
        for i in range(256):
            j = (j + state[i] + key[i % len(key)]) % 256
            state[i], state[j] = state[j], state[i]
        out, i, j = bytearray(), 0, 0
        for byte in text:
            i = (i + 1) % 256
            j = (j + state[i]) % 256
            state[i], state[j] = state[j], state[i]
            out.append(byte ^ state[(state[i] + state[j]) % 256])
        return bytes(out)

    user, identity, rights = (password + padding)[:32], b"0123456789abcdef", -4
    owner = rc4(hashlib.md5(user).digest()[:5], user)
    seed = user + owner + (rights & 0xFFFFFFFF).to_bytes(4, "little") + identity
    entry = rc4(hashlib.md5(seed).digest()[:5], padding)
    return build_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R>>",
            b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 72 72]>>",
            b"<</Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P %d>>"
            % (owner.hex().encode(), entry.hex().encode(), rights),
        ],
        b"/Encrypt 4 0 R /ID [<%s> <%s>]" % ((identity.hex().encode(),) * 2),
    )
