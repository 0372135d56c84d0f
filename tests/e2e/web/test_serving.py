"""How the pages are served: named by their content, kept for long, and allowed nothing from outside."""

import gzip
import re
from pathlib import Path

import pytest

from boxoffice.web import assets
from boxoffice.web.routes import CHECKOUT_PAGES, PAGES
from tests.e2e.api.client import expect
from tests.e2e.api.conftest import Running

STATIC = Path(assets.__file__).parent / "static"
MODULES = sorted(STATIC.rglob("*.js"))
# No shared cache keeps the addresses of these, which may have names of buyers and a provider's keys.
UNSHARED = {"/login", "/organizer", "/organizer/{rest:path}", *CHECKOUT_PAGES}


def _tree(root: Path, script: str = "export const a = 1;\n") -> assets.Assets:
    (root / "static" / "js").mkdir(parents=True, exist_ok=True)
    (root / "static" / "js" / "main.js").write_text(script)
    (root / "static" / "widget").mkdir(exist_ok=True)
    (root / "static" / "widget" / "main.js").write_text("")
    for name in ("boot.js", "embed.js"):
        (root / name).write_text("//")
    (root / "favicon.ico").write_bytes(b"")
    (root / "shell.html").write_text("$base $boot $entry $links")
    return assets.Assets(root)


def test_a_changed_file_changes_every_address(tmp_path: Path) -> None:
    before = _tree(tmp_path / "a")
    same = _tree(tmp_path / "b")
    after = _tree(tmp_path / "c", "export const a = 2;\n")
    assert before.hash == same.hash != after.hash
    assert before.find(before.hash, "js/main.js") is not None
    assert before.find(after.hash, "js/main.js") is None


@pytest.mark.parametrize("path", [*PAGES, *CHECKOUT_PAGES])
def test_a_page_is_asked_for_each_time_and_may_load_only_from_here(
    shop: Running, path: str
) -> None:
    answer = expect(shop.api.get(re.sub(r"\{.*?\}", "any", path)), 200)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    kept = "no-cache" if path in UNSHARED else "max-age=0, s-maxage=1, public"
    assert answer.headers["cache-control"] == kept
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy


def test_the_page_itself_has_no_script_and_no_style_of_its_own(shop: Running) -> None:
    text = shop.api.get("/").raw.decode()
    assert re.findall(r"<script[^>]*>(?=.)(?!</script>)", text) == []
    assert "<style" not in text
    assert not re.search(r"\son\w+=|\sstyle=", text)


def test_every_file_that_the_page_names_is_kept_for_a_year(shop: Running) -> None:
    text = shop.api.get("/").raw.decode()
    named = re.findall(r'(?:href|data-entry)="(/assets/[^"]+)"', text)
    assert len(named) > 10
    for path in named:
        answer = expect(shop.api.get(path), 200)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert len(path.split("/")[2]) == 16


def test_what_starts_a_page_belongs_to_no_release(shop: Running) -> None:
    answer = expect(shop.api.get("/assets/boot.js"), 200)
    assert answer.headers["cache-control"] == "max-age=0, s-maxage=1, public"


def test_files_are_sent_compressed_to_whom_that_suits(shop: Running) -> None:
    path = re.findall(r'data-entry="([^"]+)"', shop.api.get("/").raw.decode())[0]
    plain = expect(shop.api.get(path), 200)
    packed = expect(shop.api.get(path, headers={"Accept-Encoding": "gzip"}), 200)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.raw) == plain.raw


@pytest.mark.parametrize(
    "path",
    [
        "/assets/0000000000000000/js/main.js",
        "/assets/{hash}/js/none.js",
        "/assets/{hash}/../routes.py",
        "/assets/{hash}/%2e%2e/routes.py",
        "/assets/{hash}/",
        "/assets/boot.css",
    ],
)
def test_nothing_else_is_served(shop: Running, path: str) -> None:
    expect(shop.api.get(path.replace("{hash}", assets.load().hash)), 404, "not_found")


def test_a_head_is_the_page_without_its_body(shop: Running) -> None:
    answer = expect(shop.api.call("HEAD", "/"), 200)
    assert answer.raw == b""
    assert "content-security-policy" in answer.headers


def test_the_clock_is_the_databases(shop: Running) -> None:
    answer = expect(shop.api.get("/v1/clock"), 200)
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", answer.json["now"])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_a_module_imports_what_exists_and_builds_no_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    own = path.relative_to(STATIC).as_posix()
    for name in assets.imports(own, text) + re.findall(r'URL\("(\.[^"]+)", import', text):
        target = STATIC / name if not name.startswith(".") else (path.parent / name).resolve()
        # What is made by the server is in no file.
        assert target.is_file() or name in assets.load().paths, f"{own} imports {name}"
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(forbidden, text)
    # Names, and maps to which a reader may go; nothing is loaded from there.
    known = r"www\.w3\.org/|map\.kakao\.com/link/|www\.google\.com/maps/search/"
    assert not re.search(rf"https?://(?!{known})", text)


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.css")), ids=lambda path: path.name)
def test_a_style_loads_nothing(path: Path) -> None:
    assert not re.search(r"url\(|@import", path.read_text(encoding="utf-8"))
