"""Test only: a collector of our own, which takes spans and metrics by OTLP over HTTP on loopback."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Receiver:
    url: str
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    parts: dict[bytes, str] = field(default_factory=dict)  # by span id: the process that sent it
    paths: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    durations: dict[str, list[HistogramDataPoint]] = field(default_factory=dict)  # by name, as last sent

    def take(self, path: str, authorization: str, body: bytes) -> None:
        self.paths.add(path)
        self.bodies.append(body)
        self.authorizations.add(authorization)
        if path.endswith("/v1/metrics"):
            self._measured(ExportMetricsServiceRequest.FromString(body))
        else:
            self._spans(ExportTraceServiceRequest.FromString(body))

    def _measured(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.durations |= {one.name: list(one.histogram.data_points) for one in scope.metrics}

    def _spans(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            about = {a.key: a.value.string_value for a in resource.resource.attributes}
            self.services.add(about["service.name"])
            for scope in resource.scope_spans:
                self.parts |= {span.span_id: about["service.namespace"] for span in scope.spans}
                self.spans += scope.spans

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def attributes(of: Span | HistogramDataPoint) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in of.attributes}


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            found.take(self.path, self.headers.get("authorization", ""), body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield found
    server.shutdown()
    serving.join()
    server.server_close()
