"""How templates of the chart are made: renderings become one tree, values find their place, trees become text."""

import pytest

from tools.helm.combine import combine
from tools.helm.kustomize import NAMESPACE
from tools.helm.nodes import Block, Expression, When, text_of
from tools.helm.places import camel, put, references

TLS = ".Values.tls.enabled"
HL7 = ".Values.hl7.enabled"


def test_what_is_the_same_everywhere_has_no_condition() -> None:
    base = {"a": 1, "b": [{"name": "x", "value": 1}]}
    assert combine(base, [(TLS, dict(base)), (HL7, dict(base))]) == base


def test_an_option_adds_changes_and_removes() -> None:
    base = {"kept": 1, "changed": "old", "gone": 2}
    found = combine(base, [(TLS, {"kept": 1, "changed": "new", "added": 3}), (HL7, dict(base))])
    assert found == {
        "kept": 1,
        "changed": When(TLS, "new", "old"),
        "gone": When(f"not ({TLS})", 2),
        "added": When(TLS, 3),
    }


def test_items_of_lists_are_known_by_name_whatever_their_order() -> None:
    base = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    option = {"env": [{"name": "C", "value": "3"}, {"name": "B", "value": "9"}, {"name": "A", "value": "1"}]}
    assert combine(base, [(TLS, option)])["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": When(TLS, "9", "2")},
        When(TLS, {"name": "C", "value": "3"}),
    ]


def test_what_two_options_add_alike_is_there_with_either() -> None:
    option = {"values": ["a", "b"]}
    assert combine({"values": ["a"]}, [(TLS, option), (HL7, option)])["values"] == ["a", When(f"or {TLS} {HL7}", "b")]


def test_options_that_contradict_are_an_error() -> None:
    with pytest.raises(ValueError, match="contradict"):
        combine({"a": 1}, [(TLS, {"a": 2}), (HL7, {"a": 3})])


def test_a_tree_becomes_a_template() -> None:
    tree = {
        "spec": {
            "replicas": When("not .Values.keda.enabled", Expression(".Values.replicas")),
            "env": [
                {"value": When(TLS, "on", "off"), "name": "A"},
                When(TLS, {"name": "B", "value": "1"}),
                When(TLS, {"name": "C", "value": "true"}),
            ],
            "resources": Block("toYaml .Values.resources"),
            "host": f"nats.{NAMESPACE}.svc",
            "empty": {},
            "line": "a\n",
        },
        "kind": "Example",
    }
    assert text_of(tree).splitlines() == [
        "kind: Example",
        "spec:",
        "  {{- if not .Values.keda.enabled }}",
        "  replicas: {{ .Values.replicas }}",
        "  {{- end }}",
        "  env:",
        "    - name: A",
        f"      {{{{- if {TLS} }}}}",
        "      value: 'on'",
        "      {{- else }}",
        "      value: 'off'",
        "      {{- end }}",
        f"    {{{{- if {TLS} }}}}",
        "    - name: B",
        "      value: '1'",
        "    - name: C",
        "      value: 'true'",
        "    {{- end }}",
        "  resources:",
        "    {{- toYaml .Values.resources | nindent 4 }}",
        "  host: nats.{{ .Release.Namespace }}.svc",
        "  empty: {}",
        '  line: "a\\n"',
    ]


def test_text_that_helm_would_take_for_its_own_is_an_error() -> None:
    with pytest.raises(ValueError, match="template"):
        text_of({"a": "{{ b }}"})


def test_a_value_takes_its_place_and_an_option_keeps_its_condition() -> None:
    tree = {"spec": {"size": 1, "env": [{"name": "A", "value": When(TLS, "x", "")}], "volumes": []}}
    put(tree, "spec/size", Expression(".Values.size"))
    put(tree, "spec/env/A/value", Expression(".Values.client | quote"))
    put(tree, "spec/class?", Expression(".Values.class | quote"))
    put(tree, "spec/volumes/+", Block("toYaml .Values.extra"))
    assert tree["spec"] == {
        "size": Expression(".Values.size"),
        "env": [{"name": "A", "value": When(TLS, Expression(".Values.client | quote"), "")}],
        "class": When(".Values.class", Expression(".Values.class | quote")),
        "volumes": [When(".Values.extra", Block("toYaml .Values.extra"))],
    }


@pytest.mark.parametrize("path", ["spec/sise", "spec/env/B/value", "other/size"])
def test_a_value_without_a_place_is_an_error(path: str) -> None:
    tree = {"spec": {"size": 1, "env": [{"name": "A", "value": ""}]}}
    with pytest.raises(KeyError, match=path.split("/", 1)[0]):
        put(tree, path, Expression(".Values.size"))


def test_images_secrets_and_addresses_are_named_by_values() -> None:
    tree = {
        "image": "nats:2.15.1-alpine",
        "volumes": [{"secret": {"secretName": "countersign-nats-tls"}}, {"configMap": {"name": "countersign-hl7"}}],
        "sources": [{"secret": {"name": "countersign-seeds"}}],
        "traces": "tempo.monitoring.svc:4317",
        "envFrom": [{"configMapRef": {"name": "countersign"}}],
    }
    assert references(tree) == {
        "image": Expression('include "countersign.image" (list . "nats")'),
        "volumes": [
            {"secret": {"secretName": Expression(".Values.secrets.natsTls | quote")}},
            {"configMap": {"name": Expression(".Values.configMaps.hl7 | quote")}},
        ],
        "sources": [{"secret": {"name": Expression(".Values.secrets.seeds | quote")}}],
        "traces": Expression(".Values.monitoring.traces | quote"),
        "envFrom": [{"configMapRef": {"name": "countersign"}}],
    }
    with pytest.raises(KeyError, match="somebody/else"):
        references({"image": "somebody/else:1"})
    assert camel("master-key") == "masterKey"
