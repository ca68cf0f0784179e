"""What the model server is told of each model: who goes first, what a queue holds, what runs beside what."""

import ast
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from cli.stack import triton
from services.drafter.settings import DrafterSettings
from services.embedder.handlers import EMBED_DEADLINE_S
from shared.contracts.knowledge import BATCH_SIZE
from shared.inference.triton import BATCH_PRIORITY, INTERACTIVE_PRIORITY
from shared.messaging.topology import EMBED, consumer
from shared.messaging.topology_model import MAX_PROCESSES

ROOT = Path(__file__).resolve().parents[2]
REPOSITORIES = ROOT / "deploy" / "triton"
EMBEDDERS = ("models/embedder", "models/embedder-fp32", "models-gpu/embedder")
SECOND = 1_000_000
KEEPS = "keep_memory_private"


def config(model: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse((REPOSITORIES / model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def texts_at_once() -> int:
    """What all processes of the embedder have in the queue at most."""
    return consumer(EMBED).workers * MAX_PROCESSES * BATCH_SIZE


@pytest.mark.parametrize("model", EMBEDDERS)
def test_queries_go_before_the_night_and_who_says_nothing_is_the_night(model: str) -> None:
    batching = config(model).dynamic_batching
    assert (batching.priority_levels, batching.default_priority_level) == (2, BATCH_PRIORITY)
    assert set(batching.priority_queue_policy) == {INTERACTIVE_PRIORITY, BATCH_PRIORITY}


def test_drafts_of_discharges_go_before_prepared_ones() -> None:
    batching = config("models/drafter").dynamic_batching
    assert (batching.priority_levels, batching.default_priority_level) == (2, INTERACTIVE_PRIORITY)


@pytest.mark.parametrize("model", EMBEDDERS)
def test_what_nobody_waits_for_leaves_the_queue_and_the_queue_holds_what_may_be_sent(model: str) -> None:
    night = config(model).dynamic_batching.priority_queue_policy[BATCH_PRIORITY]
    assert night.max_queue_size * max(1, config(model).max_batch_size) >= texts_at_once()
    assert (
        night.default_timeout_microseconds >= EMBED_DEADLINE_S * SECOND
    )  # a request's own timeout may only shorten it
    for policy in config(model).dynamic_batching.priority_queue_policy.values():
        assert policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT
        assert policy.allow_timeout_override
        assert policy.max_queue_size > 0


@pytest.mark.parametrize("model", EMBEDDERS)
def test_all_embedders_of_a_server_draw_on_one_resource(model: str) -> None:
    """Two models while one takes the place of the other, and never more passes at once than there is room for."""
    wanted = "cores" if model.startswith("models/") else "pass"
    for group in config(model).instance_group:
        assert [(item.name, item.count) for item in group.rate_limiter.resources] == [(wanted, 1)]


@pytest.mark.parametrize("model", [name for name in EMBEDDERS if name.startswith("models/")])
def test_on_a_cpu_a_query_waits_for_one_text_at_most_and_the_night_gives_way(model: str) -> None:
    made = config(model)
    parameters = {name: item.string_value for name, item in made.parameters.items()}
    assert made.max_batch_size == 1
    assert parameters["threads"] == "1"
    assert int(parameters["nice"]) > 0


def test_a_queue_of_drafts_holds_what_all_drafters_send() -> None:
    made = config("models/drafter")
    drafts = consumer("drafter-draft")
    policy = made.dynamic_batching.default_queue_policy
    assert policy.max_queue_size >= (drafts.workers + drafts.reserved_slots) * MAX_PROCESSES
    assert policy.default_timeout_microseconds >= DrafterSettings.model_fields["generation_deadline"].default * SECOND
    assert policy.allow_timeout_override


def test_every_model_on_a_cpu_keeps_its_shared_memory_to_itself() -> None:
    """Of a machine with other users; tests/connected/test_triton_closed.py looks at two of them while they run."""
    found = set()
    for file in (REPOSITORIES / "models").glob("*/1/model.py"):
        tree = ast.parse(file.read_text())
        (function,) = [item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == KEEPS]
        (model,) = [item for item in tree.body if isinstance(item, ast.ClassDef)]
        (start,) = [item for item in model.body if isinstance(item, ast.FunctionDef) and item.name == "initialize"]
        assert ast.unparse(start.body[0]) == f"{KEEPS}()", file  # before any text comes
        found.add(ast.unparse(function))
    assert len(found) == 1


def test_every_server_is_started_with_the_rate_limiter(tmp_path: Path) -> None:
    own = triton.command(tmp_path, tmp_path, triton.TritonPorts(1, 2), ("embedder",), "region")
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["triton-gpu"]["command"]
    deployment = (ROOT / "deploy" / "k8s" / "overlays" / "production" / "triton.yaml").read_text()
    container = next(
        item
        for part in yaml.safe_load_all(deployment)
        if part["kind"] == "Deployment"
        for item in part["spec"]["template"]["spec"]["containers"]
    )
    for arguments in (own, compose, container["args"]):
        assert "--rate-limit=execution_count" in arguments
