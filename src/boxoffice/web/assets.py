"""The files of the pages, read once and addressed by a hash of all of them.

The hash of the whole tree is a folder in the address. Modules import each other by relative addresses,
so nothing is rewritten, and modules of two releases never mix.
"""

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import NamedTuple

from boxoffice.platform import currencies

MEDIA_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
}
# `{PREFIX}/{hash}/{path in static/}`
PREFIX = "/assets"
ENTRY = "js/main.js"
# The widget is a page of its own, with one style of its own.
WIDGET_ENTRY = "widget/main.js"
WIDGET_STYLE = "widget/widget.css"
# The API reference has its own script and style; tokens and base styles are those of the shop.
REFERENCE_ENTRY = "reference/main.js"
REFERENCE_STYLES = (
    "css/1-tokens.css",
    "css/2-base.css",
    "css/3-components.css",
    "reference/reference.css",
)
# Generated from the table that the server uses too.
CURRENCIES = "js/lib/currencies.js"
# Outside the hashed tree: it recovers a page whose release is gone.
BOOT = "boot.js"
# What other sites load: it makes the widget's frame.
EMBED = "embed.js"
ICON = "favicon.ico"
_NEEDS_SCRIPTS = (
    "<p>boxoffice needs JavaScript to show seats as they are this very moment. "
    "좌석을 실시간으로 보여 드리려면 JavaScript가 필요합니다.</p>"
)
# What a page says in place of one that cannot be shown: title and text, in both languages.
_REFUSALS = {
    404: (
        ("Page not found", "There is no page at this address."),
        ("페이지를 찾을 수 없습니다", "이 주소에는 페이지가 없습니다."),
    ),
    405: (
        ("Not a page", "This address is for programs. The API reference says how they use it."),
        ("페이지가 아닙니다", "프로그램이 사용하는 주소입니다. API 문서를 참고하세요."),
    ),
    503: (
        ("One moment", "The shop is busy. Please load the page again."),
        ("잠시만요", "접속이 많습니다. 페이지를 다시 불러와 주세요."),
    ),
}
_BROKEN = (
    ("Something broke on our side", "It was logged. Please try again."),
    ("서비스에 문제가 생겼습니다", "오류가 기록되었습니다. 다시 시도해 주세요."),
)

_HEAD = "<title>boxoffice</title>"
_WIDGET_HEAD = '<title>boxoffice</title>\n    <meta name="robots" content="noindex">'
_COMPRESSION = 9
_IMPORT = re.compile(r"""^(?:import|export)\b[^"'()]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


class Asset(NamedTuple):
    """A file as it is sent, plain and compressed."""

    media_type: str
    plain: bytes
    gzip: bytes


class Assets:
    """The files of a tree, their hash, and the HTML shell that loads them."""

    def __init__(self, root: Traversable, generated: Mapping[str, str] | None = None) -> None:
        """Read the files below `root`, and add `generated` modules by path."""
        self._files = {path: _asset(path, file) for path, file in _walk(root.joinpath("static"))}
        for path, text in (generated or {}).items():
            self._files[path] = _packed(MEDIA_TYPES["js"], text.encode())
        self.hash = _hash(self._files)
        self.boot = _asset(BOOT, root.joinpath(BOOT))
        self.icon = _asset(ICON, root.joinpath(ICON))
        shell = Template(root.joinpath("shell.html").read_text(encoding="utf-8"))
        self._shell = shell
        styles = [path for path in self.paths if path.startswith("css/")]
        self._links = self._make_links(styles, ENTRY)
        self.embed = _asset(EMBED, root.joinpath(EMBED))
        self.widget = self._widget()
        self.shell = self.page(_HEAD, _NEEDS_SCRIPTS)
        self._refusals = {status: self._refusal(texts) for status, texts in _REFUSALS.items()}
        self._broken = self._refusal(_BROKEN)

    def find(self, tree: str, path: str) -> Asset | None:
        """Return the file at `path` of the tree with this hash, or None."""
        return self._files.get(path) if tree == self.hash else None

    def refusal(self, status: int) -> Asset:
        """Return the page for a browser whose request was refused with `status`."""
        return self._refusals.get(status, self._broken)

    @property
    def paths(self) -> list[str]:
        """The paths of all files, sorted."""
        return sorted(self._files)

    def modules(self, entry: str) -> list[str]:
        """Return the paths of `entry` and of all modules that it imports statically."""
        found: dict[str, None] = {}
        waiting = [entry]
        while waiting:
            path = waiting.pop(0)
            if path not in found:
                found[path] = None
                waiting += imports(path, self._files[path].plain.decode())
        return list(found)

    def address(self, path: str) -> str:
        """Return the address of a file."""
        return f"{PREFIX}/{self.hash}/{path}"

    def style_links(self, styles: Sequence[str]) -> str:
        """Return the HTML that loads styles."""
        lines = (f'<link rel="stylesheet" href="{self.address(path)}">' for path in styles)
        return "\n    ".join(lines)

    def _make_links(self, styles: Sequence[str], entry: str) -> str:
        lines = [self.style_links(styles)]
        lines += [
            f'<link rel="modulepreload" href="{self.address(path)}">'
            for path in self.modules(entry)
        ]
        return "\n    ".join(lines)

    def page(self, head: str, without_scripts: str) -> Asset:
        """Fill the shell with HTML for `<head>` and `<noscript>`, whose texts are escaped."""
        return self._filled(head, without_scripts, ENTRY, self._links)

    def _refusal(self, texts: tuple[tuple[str, str], tuple[str, str]]) -> Asset:
        """Return a shell that says why there is no page, also where no script runs."""
        titles = " · ".join(title for title, _ in texts)
        said = "".join(
            f'<div lang="{language}"><h1>{title}</h1><p>{text}</p></div>'
            for language, (title, text) in zip(("en", "ko"), texts, strict=True)
        )
        home = '<p><a class="button" href="/">All concerts · 전체 공연</a></p>'
        head = f'<title>{titles}</title>\n    <meta name="robots" content="noindex">'
        return self.page(head, f'<main class="error-page card">{said}{home}</main>')

    def _widget(self) -> Asset:
        links = self._make_links([WIDGET_STYLE], WIDGET_ENTRY)
        return self._filled(_WIDGET_HEAD, _NEEDS_SCRIPTS, WIDGET_ENTRY, links)

    def _filled(self, head: str, without_scripts: str, entry: str, links: str) -> Asset:
        base = f"{PREFIX}/{self.hash}"
        text = self._shell.substitute(
            head=head,
            base=base,
            boot=f"{PREFIX}/{BOOT}",
            entry=f"{base}/{entry}",
            links=links,
            without_scripts=without_scripts,
        )
        return _packed("text/html; charset=utf-8", text.encode())


def load() -> Assets:
    """Return the files of this installation."""
    return Assets(files("boxoffice.web"), {CURRENCIES: currencies.as_module()})


def imports(path: str, text: str) -> list[str]:
    """Return the paths of the modules that the module at `path` imports statically."""
    return [_joined(path, relative) for relative in _IMPORT.findall(text)]


def _joined(path: str, relative: str) -> str:
    parts = path.split("/")[:-1]
    for step in relative.split("/"):
        if step == "..":
            parts.pop()
        elif step != ".":
            parts.append(step)
    return "/".join(parts)


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in MEDIA_TYPES:
            yield f"{prefix}{entry.name}", entry


def _asset(path: str, file: Traversable) -> Asset:
    return _packed(MEDIA_TYPES[path.rpartition(".")[2]], file.read_bytes())


def _packed(media_type: str, content: bytes) -> Asset:
    return Asset(media_type, content, gzip.compress(content, _COMPRESSION, mtime=0))


def _hash(found: dict[str, Asset]) -> str:
    digest = blake2b(digest_size=8)
    for path in sorted(found):
        content = found[path].plain
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
