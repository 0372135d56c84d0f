"""Requests as programs write them: curl, and the clients in Python and TypeScript. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from boxoffice.http.api.body import JSON_TYPE
from boxoffice.web.reference.document import ApiDescription, Described, type_name

_HOST = "https://tickets.example"


def samples(document: ApiDescription, one: Described) -> list[tuple[str, str]]:
    """Return the name of each language, and the request of an operation in it."""
    request = _Request(document, one)
    return [
        ("curl", request.in_shell()),
        ("Python", request.in_python()),
        ("TypeScript", request.in_typescript()),
    ]


class _Request:
    def __init__(self, document: ApiDescription, one: Described) -> None:
        self._document = document
        self._one = one
        self._parameters = [p for p in one.item["parameters"] if "example" in p]
        content = one.item.get("requestBody", {}).get("content", {})
        self._media_type = JSON_TYPE if JSON_TYPE in content else next(iter(content), "")
        self._content = content.get(self._media_type, {})
        self._body = document.example(self._content)
        self._has_token = "security" in one.item

    def _of(self, place: str) -> dict[str, Any]:
        return {p["name"]: p["example"] for p in self._parameters if p["in"] == place}

    def _target(self) -> str:
        path = self._one.path
        for name, value in self._of("path").items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        query = urlencode(self._of("query"))
        return f"{path}?{query}" if query else path

    def _headers(self) -> dict[str, str]:
        own = {name: str(value) for name, value in self._of("header").items()}
        return {**own, **({"Content-Type": self._media_type} if self._media_type else {})}

    def in_shell(self) -> str:
        lines = [f"curl {self._method()}{_quoted('$BOXOFFICE' + self._target())}"]
        if self._has_token:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        lines += [f"-H {_quoted(f'{name}: {text}')}" for name, text in self._headers().items()]
        if self._media_type == JSON_TYPE:
            lines.append(f"-d {_quoted(json.dumps(self._body, ensure_ascii=False))}")
        elif isinstance(self._body, str):
            lines.append(f"--data-binary {_quoted(self._body.rstrip())}")
        elif self._media_type:
            lines.append("--data-binary @picture")
        return " \\\n  ".join(lines)

    def _method(self) -> str:
        has_default = self._one.method == ("POST" if self._media_type else "GET")
        return "" if has_default else f"-X {self._one.method} "

    def in_python(self) -> str:
        imports = ["Client"]
        arguments = [repr(str(value)) for value in self._of("path").values()]
        if self._media_type == JSON_TYPE:
            arguments.append(self._python(self._body, self._content["schema"], imports))
        elif self._media_type:
            is_text = isinstance(self._body, str)
            arguments.append(repr(self._body.encode()) if is_text else "picture")
            arguments.append(f"media_type={self._media_type!r}")
        named = {**self._of("query"), **self._of("header")}
        arguments += [f"{_python_name(name)}={value!r}" for name, value in named.items()]
        token = ", token=token" if self._has_token else ""
        inner = "".join(f"\n    {one}," for one in arguments)
        names = ", ".join(dict.fromkeys(imports))
        return (
            f"from boxoffice_client import {names}\n\n"
            f'client = Client("{_HOST}"{token})\n'
            f"answer = client.{self._one.anchor}({inner}{chr(10) if inner else ''})"
        )

    def _python(self, value: Any, schema: Mapping[str, Any], imports: list[str]) -> str:
        """Return a value as the client's types write it."""
        name, found = self._document.schema(schema)
        if isinstance(value, dict) and name and "properties" in found:
            imports.append(type_name(name))
            members = (
                f"{key}={self._python(one, found['properties'][key], imports)}"
                for key, one in value.items()
            )
            return f"{type_name(name)}({', '.join(members)})"
        if isinstance(value, list) and "items" in found:
            return f"[{', '.join(self._python(one, found['items'], imports) for one in value)}]"
        return repr(value)

    def in_typescript(self) -> str:
        parts = [
            f"  {place}: {json.dumps(found, ensure_ascii=False)},"
            for place, found in (
                ("path", {k: str(v) for k, v in self._of("path").items()}),
                ("query", self._of("query")),
                ("headers", self._typescript_headers()),
            )
            if found
        ]
        if self._media_type == JSON_TYPE or isinstance(self._body, str):
            parts.append(f"  body: {json.dumps(self._body, ensure_ascii=False)},")
        elif self._media_type:
            parts.append("  body: picture,")
        inner = "".join(f"\n{one}" for one in parts)
        token = ", token" if self._has_token else ""
        return (
            'import { Client } from "./boxoffice.js";\n\n'
            f'const client = new Client("{_HOST}"{token});\n'
            f'const answer = await client.call("{self._one.method} {self._one.path}", '
            f"{{{inner}{chr(10) if inner else ''}}});"
        )

    def _typescript_headers(self) -> dict[str, str]:
        is_raw = self._media_type not in ("", JSON_TYPE)
        return {
            **{name: str(value) for name, value in self._of("header").items()},
            **({"Content-Type": self._media_type} if is_raw else {}),
        }


def _quoted(text: str) -> str:
    """Return a word of the shell; `$BOXOFFICE` at its beginning is a variable."""
    if text.startswith("$BOXOFFICE"):
        return f'"{text}"'
    return "'" + text.replace("'", "'\\''") + "'"


def _python_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())
