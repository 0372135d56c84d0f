"""The pages of the reference: an overview, one per tag, one of events. Pure."""

from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any

from boxoffice.web.reference.document import ApiDescription, Described, refusals, successes
from boxoffice.web.reference.markup import as_json, code, folded, prose, table
from boxoffice.web.reference.schemas import kind_of, show
from boxoffice.web.reference.snippets import samples

EVENTS = "events"
PREFIX = "/docs"


class Reference:
    """Renders the pages; `template` is the HTML around them, `links` load its styles and script."""

    def __init__(self, document: ApiDescription, template: str, links: Mapping[str, str]) -> None:
        self._document = document
        self._template = Template(template)
        self._links = links

    @property
    def names(self) -> list[str]:
        """The names of all pages but the overview, whose name is empty."""
        return [*self._document.tags, EVENTS]

    def page(self, name: str) -> str:
        """Return a page in HTML."""
        if not name:
            return self._filled(name, "API reference", self._overview())
        if name == EVENTS:
            return self._filled(name, "Webhooks and events", self._events())
        title, purpose = self._document.tags[name]
        found = self._document.operations[name]
        parts = "".join(self._operation(one) for one in found)
        return self._filled(name, title, f"<h1>{escape(title)}</h1><p>{prose(purpose)}</p>{parts}")

    def _filled(self, name: str, title: str, body: str) -> str:
        return self._template.substitute(
            self._links,
            title=escape(title),
            version=escape(self._document.version),
            navigation=self._navigation(name),
            body=body,
        )

    def _navigation(self, current: str) -> str:
        parts = [f"<li>{_link('', 'Overview', is_current=not current)}</li>"]
        for slug, (title, _) in self._document.tags.items():
            found = self._document.operations[slug]
            links = "".join(f"<li>{_operation_link(slug, one)}</li>" for one in found)
            is_open = slug == current
            page = _link(slug, "All of this page", is_current=is_open)
            inner = f"<ul><li>{page}</li>{links}</ul>"
            parts.append(f"<li>{folded(escape(title), inner, is_open=is_open)}</li>")
        parts.append(
            f"<li>{_link(EVENTS, 'Webhooks and events', is_current=current == EVENTS)}</li>"
        )
        return f'<ul class="pages">{"".join(parts)}</ul>'

    def _overview(self) -> str:
        rows = [
            (_link(slug, title), prose(purpose), str(len(self._document.operations[slug])))
            for slug, (title, purpose) in self._document.tags.items()
        ]
        return _INTRODUCTION + table(("part", "purpose", "operations"), rows, "Parts of the API")

    def _operation(self, one: Described) -> str:
        item = one.item
        parts = [
            f"<p>{prose(item.get('description', ''))}</p>" if item.get("description") else "",
            '<p class="small muted">Needs an access token.</p>' if "security" in item else "",
            self._parameters(item),
            self._request(one),
            self._answers(item),
            self._refusals(item),
        ]
        return _section(one, "".join(parts))

    def _parameters(self, item: Mapping[str, Any]) -> str:
        if not item["parameters"]:
            return ""
        rows = [
            (
                f"<code>{escape(p['name'])}</code>",
                f"{escape(p['in'])}{'' if p['required'] else ', optional'}",
                kind_of(self._document, p["schema"]),
                prose(p.get("description") or p["schema"].get("description", "")),
                f"<code>{escape(str(p['example']))}</code>" if "example" in p else "",
            )
            for p in item["parameters"]
        ]
        head = ("name", "in", "type", "meaning", "example")
        return "<h3>Parameters</h3>" + table(head, rows, "Parameters")

    def _request(self, one: Described) -> str:
        body = self._bodies(one.item.get("requestBody", {}).get("content", {}))
        title = "<h3>Request</h3>"
        if one.is_webhook:
            return title + body
        programs = "".join(
            folded(name, code(text, f"{name}: {one.item['summary']}"), is_open=at == 0,
                   group=f"{one.anchor}-sample")
            for at, (name, text) in enumerate(samples(self._document, one))
        )  # fmt: skip
        return f'{title}{body}<div class="samples">{programs}</div>'

    def _answers(self, item: Mapping[str, Any]) -> str:
        parts = "".join(
            f'<h4><span class="status">{escape(status)}</span> {prose(one["description"])}</h4>'
            + self._bodies(one.get("content", {}))
            for status, one in successes(item)
        )
        return f"<h3>Response</h3>{parts}"

    def _bodies(self, content: Mapping[str, Any]) -> str:
        return "".join(self._body(media_type, one) for media_type, one in content.items())

    def _body(self, media_type: str, content: Mapping[str, Any]) -> str:
        if media_type == "text/event-stream":
            return self._stream(content)
        schema, example = content["schema"], self._document.example(content)
        name = self._document.schema(schema)[0]
        title = f"<code>{escape(name or media_type)}</code>"
        shown = folded(f"{title} schema", show(self._document, schema))
        if example is None:
            return f"<p>A file: <code>{escape(media_type)}</code></p>"
        text = example if isinstance(example, str) else as_json(example)
        return code(text, f"Example of {name or media_type}") + shown

    def _stream(self, content: Mapping[str, Any]) -> str:
        kinds = {
            one["properties"]["event"]["const"]: one["properties"]["data"]["contentSchema"]
            for one in content["schema"]["oneOf"]
        }
        said = "<p>A stream of events (<code>text/event-stream</code>):</p>"
        for name, value in self._document.examples(content):
            text = f"event: {name}\ndata: {value['data']}\n"
            schema = show(self._document, kinds[name])
            said += code(text, f"Event {name}")
            said += folded(f"<code>{escape(name)}</code> schema", schema)
        return said

    def _refusals(self, item: Mapping[str, Any]) -> str:
        found = refusals(item)
        if not found:
            return ""
        rows = [(s, f"<code>{escape(c)}</code>", prose(title)) for s, c, title in found]
        inner = table(("status", "code", "meaning"), rows, "Errors")
        return "<h3>Errors</h3>" + folded(f"{len(rows)} codes", inner)

    def _events(self) -> str:
        hooks = "".join(
            _section(one, self._parameters(one.item) + self._request(one))
            for one in self._document.webhooks
        )
        entries = "".join(
            f'<section class="card operation" id="topic-{escape(topic)}">'
            f"<h2><code>{escape(topic)}</code></h2><p>{prose(one['summary'])}</p>"
            + code(as_json(one["data"]["example"]), f"Example of {topic}")
            + folded("Schema", show(self._document, one["data"]["schema"]))
            + "</section>"
            for topic, one in self._document.stream.items()
        )
        return _EVENTS_HEAD + hooks + _STREAM_HEAD + entries


def _section(one: Described, inner: str) -> str:
    address = one.path if one.is_webhook else f"{one.method} {one.path}"
    anchor = escape(one.anchor)
    return (
        f'<section class="card operation" id="{anchor}">'
        f'<h2><a class="anchor" href="#{anchor}">{prose(one.item["summary"])}</a></h2>'
        f'<p class="address"><code>{escape(address)}</code></p>{inner}</section>'
    )


def _link(name: str, title: str, *, is_current: bool = False) -> str:
    mark = ' aria-current="page"' if is_current else ""
    return f'<a href="{PREFIX}{"/" + name if name else ""}"{mark}>{escape(title)}</a>'


def _operation_link(slug: str, one: Described) -> str:
    address = escape(f"{one.method} {one.path}")
    return (
        f'<a href="{PREFIX}/{slug}#{escape(one.anchor)}" data-find="{address}">'
        f'<span class="method">{one.method}</span> {escape(one.item["summary"])}</a>'
    )


_INTRODUCTION = """<h1>API reference</h1>
<p>Look up concerts, hold seats, pay, get tickets. The examples are one story: one concert, one buyer,
two seats. Programs read <a href="/openapi.json">the OpenAPI document</a>, from which these pages are
made.</p>
<h2>Conventions</h2>
<ul class="list">
<li><strong>Authentication.</strong> <a href="/docs/accounts-devices">Log in</a>, and send the token:
<code>Authorization: Bearer …</code></li>
<li><strong>Repetition.</strong> Operations with an <code>Idempotency-Key</code> have their effect once,
however often the same request is sent. Take a new key for a new intention.</li>
<li><strong>Changes.</strong> <code>If-Match</code> names the version that you change; another one is
refused with 412.</li>
<li><strong>Pages.</strong> Lists take <code>limit</code> and <code>cursor</code>, and answer
<code>items</code> and <code>next_cursor</code>, which is null on the last page.</li>
<li><strong>Errors.</strong> <code>application/problem+json</code> (RFC 9457) with a stable
<code>code</code>. After 429 and 503 wait as long as <code>Retry-After</code> says.</li>
<li><strong>Money and time.</strong> Amounts are integers in minor units of their currency; times are
RFC 3339 in UTC.</li>
</ul>
<h2>Parts</h2>
"""

_EVENTS_HEAD = """<h1>Webhooks and events</h1>
<p>Each event arrives at least once. Deduplicate by its id.</p>
<h2 id="webhooks">Webhooks</h2>
<p>Sent as a <code>POST</code> to the <a href="/docs/notifications-webhooks">endpoints</a> of an
organization, in no order, in the format of Standard Webhooks. Answer 2xx within ten seconds.</p>
"""

_STREAM_HEAD = """<h2 id="stream">Event stream</h2>
<p>Entries of the Valkey stream <code>boxoffice:events</code>, for services beside this one: the fields
<code>event_id</code>, <code>topic</code>, <code>created_at</code> and <code>data</code>, in JSON.
Those of one reservation or payment are in order.</p>
"""
