"""The status page: three files that draw what `/status` says, without any other address."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

_TYPES: Final = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
# Whatever a name or a trace holds, no browser may run or fetch anything for it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_files() -> dict[str, tuple[str, bytes]]:
    """Read the page: path -> content type and bytes."""
    folder = files(__package__)
    found = {f"/{name}": (kind, (folder / name).read_bytes()) for name, kind in _TYPES.items()}
    return {"/": found["/index.html"], **found}
