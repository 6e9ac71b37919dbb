"""Build the int8 ONNX graph of MiniLM from its weights: BERT with six layers, in ONNX Runtime's fused ops.

ids ──► embed, normalise ──► 6 times: attention, dense, normalise, dense, gelu, dense, normalise ──► tokens
mask ───────────────────────────────────┘
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from dana.services.knowledge.adapters.embedding.carrier import Weights

LAYERS = 6
HEADS = 12
WIDTH = 384
EPSILON = 1e-12
OPSET = 17
IR_VERSION = 8
CONTRIB = "com.microsoft"


class _Graph:
    """Collects the nodes and the numbers of the graph."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, values: NDArray[np.float32]) -> str:
        """Add numbers, and return their name."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str) -> str:
        """Add a weight as it is, such as a bias or a norm."""
        return self.constant(name, self.weights[name])

    def add(self, op: str, inputs: list[str], output: str, domain: str = CONTRIB, **attributes: Any) -> str:
        """Add a node with one used output, and return its name."""
        self.nodes.append(helper.make_node(op, inputs, [output], output, domain=domain, **attributes))
        return output

    def dense(self, layer: str, source: str) -> str:
        """Multiply by a layer's matrix; its bias is added by the fused node that follows."""
        matrix = self.constant(f"{layer}.weight.T", self.weights[f"{layer}.weight"].T)
        return self.add("MatMul", [source, matrix], f"{layer}.out", domain="")

    def norm(self, layer: str, source: str, skip: str, bias: str) -> str:
        """Add the skip connection and the bias, and normalise."""
        inputs = [
            source,
            skip,
            self.weight(f"{layer}.weight"),
            self.weight(f"{layer}.bias"),
            self.weight(bias),
        ]
        return self.add("SkipLayerNormalization", inputs, f"{layer}.out", epsilon=EPSILON)


def build(weights: Weights, path: Path) -> None:
    """Write the quantised graph to `path`."""
    with tempfile.TemporaryDirectory(prefix="dana-graph-") as folder:
        exact = Path(folder) / "exact.onnx"
        onnx.save(_model(_Graph(weights)), str(exact))
        quantize_dynamic(
            str(exact),
            str(path),
            weight_type=QuantType.QInt8,
            # Per channel and in 7 bits: exact to .99 also on processors whose int8 sums saturate.
            per_channel=True,
            reduce_range=True,
            extra_options={"DefaultTensorType": 1},
        )


def _model(graph: _Graph) -> onnx.ModelProto:
    hidden = _embeddings(graph)
    for number in range(LAYERS):
        hidden = _layer(graph, f"encoder.layer.{number}", hidden)
    graph.add("Identity", [hidden], "tokens", domain="")
    shape = ["batch", "length"]
    proto = helper.make_graph(
        graph.nodes,
        "minilm",
        [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [*shape, WIDTH])],
        graph.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION)


def _embeddings(graph: _Graph) -> str:
    tables = graph.weights
    # Every text is of segment 0, so its row is folded into the positions and needs no input.
    positions = (
        tables["embeddings.position_embeddings.weight"] + tables["embeddings.token_type_embeddings.weight"][0]
    )
    words = graph.constant("words", tables["embeddings.word_embeddings.weight"])
    places = graph.constant("places", positions)
    norm = [graph.weight(f"embeddings.LayerNorm.{part}") for part in ("weight", "bias")]
    graph.nodes.append(
        helper.make_node(
            "EmbedLayerNormalization",
            ["ids", "", words, places, "", *norm],
            ["embedded", "unused_lengths"],
            "embedded",
            domain=CONTRIB,
            epsilon=EPSILON,
        )
    )
    return "embedded"


def _layer(graph: _Graph, layer: str, hidden: str) -> str:
    own = f"{layer}.attention.self"
    parts = ("query", "key", "value")
    matrix = np.concatenate([graph.weights[f"{own}.{part}.weight"].T for part in parts], axis=1)
    bias = np.concatenate([graph.weights[f"{own}.{part}.bias"] for part in parts])
    inputs = [hidden, graph.constant(f"{own}.matrix", matrix), graph.constant(f"{own}.bias", bias), "mask"]
    attended = graph.add("Attention", inputs, f"{own}.out", num_heads=HEADS)
    dense = graph.dense(f"{layer}.attention.output.dense", attended)
    normed = graph.norm(
        f"{layer}.attention.output.LayerNorm", dense, hidden, f"{layer}.attention.output.dense.bias"
    )
    wide = graph.dense(f"{layer}.intermediate.dense", normed)
    bent = graph.add("BiasGelu", [wide, graph.weight(f"{layer}.intermediate.dense.bias")], f"{layer}.gelu")
    narrow = graph.dense(f"{layer}.output.dense", bent)
    return graph.norm(f"{layer}.output.LayerNorm", narrow, normed, f"{layer}.output.dense.bias")
