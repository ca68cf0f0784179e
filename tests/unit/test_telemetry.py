"""What may leave a process, and where a span stands."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.runtime.telemetry import AttributeAllowlistExporter, install
from shared.telemetry import instruments, tracing
from shared.telemetry.metric_definitions import METRICS, SPAN_ATTRIBUTES

CASE = "4d1c2c4e-5d0f-5a43-9a3e-3f1f5a0c7f11"


class Exported:
    """What came out, of spans and of metrics."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.telemetry = install("test", self.exporter, self.reader)

    def spans(self) -> Sequence[ReadableSpan]:
        self.telemetry.providers[0].force_flush()
        return self.exporter.get_finished_spans()

    def points(self, name: str) -> dict[tuple[object, ...], float]:
        self.reader.get_metrics_data()  # a counter begins at 0
        data = self.reader.get_metrics_data()
        found = [
            metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return {tuple((p.attributes or {}).values()): getattr(p, "value", 0) for m in found for p in m.data.data_points}


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Its own id and its parent's."""
    return (span.context.span_id if span.context else 0), (span.parent.span_id if span.parent else 0)


@pytest.fixture
def exported() -> Iterator[Exported]:
    yield Exported()
    instruments.install(None)
    tracing.install(None)


def test_only_attributes_of_the_catalogue_leave_and_no_words_of_an_exception(exported: Exported) -> None:
    def fail() -> None:
        with tracing.span("file", attributes={"patient": "Doe", "countersign.case.id": CASE}) as span:
            span.add_event("said", {"name": "Doe"})
            raise ValueError("Doe")

    with pytest.raises(ValueError, match="Doe"):
        fail()
    (found,) = exported.spans()
    assert dict(found.attributes or {}) == {"countersign.case.id": CASE, "error.type": "ValueError"}
    assert found.events == ()
    assert not found.status.description


def test_the_fence_passes_on_what_the_exporter_behind_it_says() -> None:
    behind = InMemorySpanExporter()
    fence = AttributeAllowlistExporter(behind)
    assert fence.export([]) is SpanExportResult.SUCCESS
    fence.shutdown()
    assert fence.export([]) is SpanExportResult.FAILURE


def test_a_metric_carries_its_own_attributes_and_no_other(exported: Exported) -> None:
    instruments.increment("countersign.escalations", 1, {"countersign.escalation.level": 2, "patient": "Doe"})
    assert exported.points("countersign.escalations") == {(2,): 1}


def test_every_metric_of_the_catalogue_can_be_recorded(exported: Exported) -> None:
    record = {"counter": instruments.increment, "histogram": instruments.observe, "gauge": instruments.set_gauge}
    for metric in METRICS:
        record[metric.kind](metric.name, 1, dict.fromkeys(metric.attributes, "x"))
        assert len(exported.points(metric.name)) == 1, metric.name


def test_a_gauge_forgets_what_is_not_there_any_more(exported: Exported) -> None:
    name, where = "countersign.cases", "countersign.department"
    instruments.replace_gauge(name, [({where: "icu"}, 3), ({where: "ward"}, 1)])
    instruments.replace_gauge(name, [({where: "icu"}, 2)])
    assert exported.points(name) == {("icu",): 2}


def test_spans_of_a_case_find_its_trace_without_being_told(exported: Exported) -> None:
    key = tracing.trace_key(f"timers.due.escalation.{CASE}.2")
    assert key == CASE
    tracing.start_root("case", CASE)
    with tracing.span("escalated", key=key):
        header = tracing.traceparent()
    with tracing.span("approval-follow", key=CASE, parent=header):
        pass
    root, escalated, followed = exported.spans()
    assert root.parent is None
    assert ids(escalated)[1] == ids(root)[0]
    assert ids(followed)[1] == ids(escalated)[0]
    assert len({span.context.trace_id for span in (root, escalated, followed) if span.context}) == 1


def test_what_belongs_to_another_trace_is_linked(exported: Exported) -> None:
    with tracing.span("POST /approve"), tracing.span("approved", key=CASE), tracing.span("GET Encounter"):
        pass
    inner, approved, request = exported.spans()
    assert [link.context for link in approved.links] == [request.context]
    assert approved.context
    assert request.context
    assert approved.context.trace_id != request.context.trace_id
    assert inner.parent == approved.context


@pytest.mark.parametrize(
    "subject", ["ehr.encounter.discharged.icu.enc-1", "notify.x", "a.4d1c2c4e-5d0f-5a43-9a3e-3f1f5a0c7fxx"]
)
def test_a_subject_without_a_case_has_no_key(subject: str) -> None:
    assert tracing.trace_key(subject) is None


def test_attributes_of_spans_are_not_those_of_metrics() -> None:
    assert not SPAN_ATTRIBUTES & {name for metric in METRICS for name in metric.attributes}


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_a_sampler_takes_its_ratio_of_the_cases_and_each_whole(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    exported = Exported()
    try:
        cases = [f"{index:08x}-5d0f-5a43-9a3e-3f1f5a0c7f11" for index in range(400)]
        for case in cases:
            tracing.start_root("case", case)
            with tracing.span("extract", key=case):
                sent = tracing.traceparent()
            with tracing.span("draft", key=case, parent=sent), tracing.span("GET Encounter"):
                pass
        found = Counter(span.context.trace_id for span in exported.spans() if span.context)
        assert set(found.values()) == {4}
        assert 0.2 < len(found) / len(cases) < 0.3
        assert found.keys() <= {tracing.root_context(case).trace_id for case in cases}
    finally:
        instruments.install(None)
        tracing.install(None)


def test_a_counter_begins_at_nothing_so_that_its_first_increase_is_seen(exported: Exported) -> None:
    name, where = "countersign.case.events", {"countersign.event": "discharged", "countersign.department": "icu"}

    def told() -> list[float]:
        data = exported.reader.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        return [point.value for point in metric.data.data_points if isinstance(point, NumberDataPoint)]

    instruments.increment(name, 1, where)
    assert told() == [0]
    assert told() == [1]
    instruments.increment(name, 2, where)
    assert told() == [3]


async def test_what_was_counted_since_the_last_export_is_sent_at_the_end() -> None:
    sent: list[float] = []

    class Sent(ConsoleMetricExporter):
        def export(self, metrics_data: MetricsData, *_: object, **__: object) -> MetricExportResult:
            for metric in metrics_data.resource_metrics[0].scope_metrics[0].metrics:
                sent.extend(point.value for point in metric.data.data_points if isinstance(point, NumberDataPoint))
            return MetricExportResult.SUCCESS

    telemetry = install("test", None, PeriodicExportingMetricReader(Sent(), export_interval_millis=3_600_000))
    instruments.increment("countersign.case.events", 2, {"countersign.event": "filed", "countersign.department": "icu"})
    await telemetry.close()
    assert sent == [0, 2]
    assert not instruments.metrics_enabled()


def test_counts_of_several_threads_are_all_there(exported: Exported) -> None:
    name, where = "countersign.escalations", {"countersign.escalation.level": 1}

    def count() -> None:
        for _ in range(20_000):
            instruments.increment(name, 1, where)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(count)
    assert exported.points(name) == {(1,): 80_000}


def test_the_resource_of_a_process_is_hashed_once(exported: Exported) -> None:
    with tracing.span("one"):
        pass
    (span,) = exported.spans()
    plain = Resource(dict(span.resource.attributes), span.resource.schema_url)
    assert span.resource == plain
    assert hash(span.resource) == hash(plain)
