"""Requests with a span each; used in place of the plain classes where traces are made."""

from contextvars import Context, copy_context

from opentelemetry import context, trace
from structlog.contextvars import bind_contextvars

from boxoffice.http.server.answers import Answered, AnswerWriter
from boxoffice.http.server.exchange import Exchange
from boxoffice.observability.access_log import QUIET_ROUTES
from boxoffice.observability.tracing.log_fields import span_fields
from boxoffice.observability.tracing.tracer import ProcessTracer, end_request


class TracedExchange(Exchange):
    """A request whose handler runs with its own variables: its span, and its id in the log."""

    __slots__ = ("_variables", "span")

    tracer: ProcessTracer

    def start(self) -> None:
        """Start the span, then the handler."""
        route = self.match.template
        self.span: trace.Span = trace.INVALID_SPAN
        if route not in QUIET_ROUTES:
            parent = self.get_header("traceparent")
            self.span = self.tracer.request(self.method, route, self.request_id, parent)
        self._variables: Context = copy_context()
        self._variables.run(self._enter)
        super().start()

    def _enter(self) -> None:
        context.attach(trace.set_span_in_context(self.span))
        bind_contextvars(request_id=self.request_id)

    def _advance(self) -> object:
        return self._variables.run(super()._advance)

    def failed(self, error: BaseException) -> None:
        """Answer, and end the span of a request that has no answer."""
        super().failed(error)
        if self.span.is_recording():
            self.span.end()


class TracedAnswers(AnswerWriter):
    """Ends the span of each answer, and names it in the access log."""

    def account(self, request: Answered, status: int, code: str, trace_fields: str = "") -> None:
        """Record an answer in its span and in the access log."""
        if isinstance(request, TracedExchange):
            end_request(request.span, status, code)
            fields = span_fields(request.span.get_span_context())
            trace_fields = "".join(f',"{name}":"{value}"' for name, value in fields.items())
        super().account(request, status, code, trace_fields)


def traced_exchange(tracer: ProcessTracer) -> type[TracedExchange]:
    """Return the class of requests whose spans `tracer` makes."""
    return type("TracedExchange", (TracedExchange,), {"__slots__": (), "tracer": tracer})
