"""The graphs of BERT, NomicBERT, Qwen3 and OLMo 3: from ids to the hidden state of a layer.

Formulas and names of tensors are those of transformers 5 (`BertModel`, `NomicBertModel`, `Qwen3Model`,
`Olmo3Model`), evaluation mode. Texts are padded on the right, so positions simply count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from patina_export.configuration import SLIDING, CheckpointConfig, ModelType
from patina_export.graph import OnnxGraph
from patina_export.tensors import CheckpointTensors

if TYPE_CHECKING:
    from patina_hooks.authoring import Vectors

IDS: Final = "input_ids"
MASK: Final = "attention_mask"
KINDS: Final = "token_type_ids"
_LOWEST: Final = -3.4028234663852886e38  # of float32: exp of it is zero, and no row is all infinite


def inputs(configuration: CheckpointConfig) -> tuple[str, ...]:
    """Return the names of what the graph is fed."""
    return (IDS, MASK, KINDS) if configuration.model_type == "bert" else (IDS, MASK)


def hidden_state(
    graph: OnnxGraph, tensors: CheckpointTensors, configuration: CheckpointConfig, layer: int
) -> str:
    """Build everything up to hidden state `layer`, 0 (the embeddings) to the number of layers.

    The last one goes through the model's last norm, where it has one; what lies above `layer` is left out.
    """
    build = _Build(graph, tensors, configuration)
    value = _EMBEDDINGS[configuration.model_type](build)
    block = _BLOCKS[configuration.model_type]
    for place in range(layer):
        value = block(build, value, place)
    if configuration.causal and layer == configuration.layers:
        return build.rms_norm(value, "norm")
    return value


def left_out(configuration: CheckpointConfig, layer: int) -> tuple[str, ...]:
    """Patterns of the tensors that stand above hidden state `layer`."""
    if layer == configuration.layers:
        return ()
    numbers = "|".join(str(place) for place in range(layer, configuration.layers))
    return (rf"(?:encoder\.layer|layers)\.(?:{numbers})\.", r"norm\.")


@dataclass(slots=True)
class _Build:
    """One graph being built; what several layers share is built once and kept."""

    graph: OnnxGraph
    tensors: CheckpointTensors
    of: CheckpointConfig
    _shared: dict[str, str] = field(default_factory=dict)

    def shared(self, name: str, build: Callable[[], str]) -> str:
        if name not in self._shared:
            self._shared[name] = build()
        return self._shared[name]

    # --- layers -----------------------------------------------------------------------------------

    def table(self, places: str, name: str) -> str:
        """Rows of the embedding `name`."""
        name = f"{name}.weight"
        return self.graph.rows(places, name, self.tensors.get(name, self.tensors.rows(name), self.of.width))

    def linear(self, value: str, name: str, size: int, width: int, *, bias: bool) -> str:
        """Add a linear layer from `size` to `width`."""
        product = self.graph.product(value, f"{name}.weight", self.tensors.get(f"{name}.weight", width, size))
        return self.graph.node("Add", product, self.vector(f"{name}.bias", width)) if bias else product

    def vector(self, name: str, size: int) -> str:
        return self.graph.vector(name, self.tensors.get(name, size))

    def layer_norm(self, value: str, name: str) -> str:
        weights = (self.vector(f"{name}.{part}", self.of.width) for part in ("weight", "bias"))
        return self.graph.node("LayerNormalization", value, *weights, axis=-1, epsilon=self.of.epsilon)

    def rms_norm(self, value: str, name: str, size: int = 0) -> str:
        """Written as ONNX Runtime knows it, which makes one operator of it."""
        node, number = self.graph.node, self.graph.constant
        mean = node("ReduceMean", node("Pow", value, number(2.0)), axes=[-1])
        root = node("Sqrt", node("Add", mean, number(self.of.epsilon)))
        weight = self.vector(f"{name}.weight", size or self.of.width)
        return node("Mul", node("Div", value, root), weight)

    def activation(self, value: str) -> str:
        node, number = self.graph.node, self.graph.constant
        if self.of.activation == "relu":
            return node("Relu", value)
        if self.of.activation == "silu":
            return node("Mul", value, node("Sigmoid", value))
        error = node("Erf", node("Div", value, number(2.0**0.5)))
        return node("Mul", node("Mul", value, node("Add", error, number(1.0))), number(0.5))

    def gated(self, value: str, name: str) -> str:
        """Add the feed-forward layer of all but BERT."""
        width, inner = self.of.width, self.of.inner
        gate = self.activation(self.linear(value, f"{name}.gate_proj", width, inner, bias=False))
        up = self.linear(value, f"{name}.up_proj", width, inner, bias=False)
        return self.linear(self.graph.node("Mul", gate, up), f"{name}.down_proj", inner, width, bias=False)

    # --- attention --------------------------------------------------------------------------------

    def projected(self, value: str, name: str, heads: int, norm: str = "") -> str:
        """Add queries, keys or values [b, s, heads, head width]; norm: of all heads at once, as in OLMo."""
        size = heads * self.of.head_width
        flat = self.linear(value, name, self.of.width, size, bias=self.of.bias)
        if norm:
            flat = self.rms_norm(flat, norm, size)
        return self.graph.node("Reshape", flat, self.graph.constant([0, 0, heads, self.of.head_width]))

    def attend(self, query: str, key: str, value: str, place: int) -> str:
        """Attention of layer `place` over [b, s, heads, head width], to [b, s, heads * head width]."""
        node, numbers = self.graph.node, self.graph.constant
        of, kind = self.of, self.of.attention[place]
        if of.rotations:
            query, key = self.rotated(query, kind), self.rotated(key, kind)
        query = node("Mul", node("Transpose", query, perm=[0, 2, 1, 3]), numbers(of.head_width**-0.5))
        key = node("Transpose", key, perm=[0, 2, 3, 1])
        value = node("Transpose", value, perm=[0, 2, 1, 3])
        if of.heads != of.key_heads:
            # [b, key heads, queries to each, s, width]: a key's one row of queries is broadcast over.
            shape = [0, of.key_heads, of.heads // of.key_heads, -1, of.head_width]
            query = node("Reshape", query, numbers(shape))
            key, value = (node("Unsqueeze", part, numbers([2])) for part in (key, value))
        scores = node("Add", node("MatMul", query, key), self.shared(f"mask {kind}", lambda: self.mask(kind)))
        mixed = node("MatMul", node("Softmax", scores, axis=-1), value)
        if of.heads != of.key_heads:
            mixed = node("Reshape", mixed, numbers([0, of.heads, -1, of.head_width]))
        mixed = node("Transpose", mixed, perm=[0, 2, 1, 3])
        return node("Reshape", mixed, numbers([0, 0, of.heads * of.head_width]))

    def mask(self, kind: str) -> str:
        """Build what is added to scores: 0 where a token sees another, else the lowest number."""
        node, numbers = self.graph.node, self.graph.constant
        visible = node("Unsqueeze", node("Cast", MASK, to=9), numbers([1, 2]))
        if self.of.causal:
            rows = node("Unsqueeze", self.positions(), numbers([1]))
            columns = node("Unsqueeze", self.positions(), numbers([0]))
            visible = node("And", visible, node("LessOrEqual", columns, rows))
            if kind == SLIDING:
                first = node("Sub", rows, numbers([self.of.window]))
                visible = node("And", visible, node("Greater", columns, first))
        if self.of.heads != self.of.key_heads:
            visible = node("Unsqueeze", visible, numbers([2]))
        return node("Where", visible, numbers(0.0), numbers(_LOWEST))

    def positions(self) -> str:
        """0 to s - 1, int64 [s]."""

        def make() -> str:
            import numpy as np

            node = self.graph.node
            length = node("Squeeze", node("Shape", IDS, start=1, end=2))
            start, step = (self.graph.constant(np.array(number, dtype=np.int64)) for number in (0, 1))
            return node("Range", start, length, step)

        return self.shared("positions", make)

    def rotated(self, value: str, kind: str) -> str:
        """`value` [b, s, heads, head width] turned by its positions: halves are the two coordinates."""
        node = self.graph.node
        cosine, sine = self.turn(kind)
        first, second = self.graph.nodes("Split", 2, value, axis=-1)
        swapped = node("Concat", second, first, axis=-1)
        return node("Add", node("Mul", value, cosine), node("Mul", swapped, sine))

    def turn(self, kind: str) -> tuple[str, str]:
        """Cosines and sines [s, 1, head width], the sines of the first half negated."""
        return (
            self.shared(f"cosine {kind}", lambda: self._turn(kind, "Cos", 1.0)),
            self.shared(f"sine {kind}", lambda: self._turn(kind, "Sin", -1.0)),
        )

    def _turn(self, kind: str, function: str, sign: float) -> str:
        node, numbers = self.graph.node, self.graph.constant
        rotation = self.of.rotations[kind]
        angles = self.shared(f"angles {kind}", lambda: self._angles(rotation.frequencies))
        half = node("Mul", node(function, angles), numbers(float(rotation.scale)))
        return node("Concat", node("Mul", half, numbers(sign)), half, axis=-1)

    def _angles(self, frequencies: Vectors) -> str:
        node = self.graph.node
        places = node("Unsqueeze", node("Cast", self.positions(), to=1), self.graph.constant([1, 2]))
        return node("Mul", places, self.graph.constant(frequencies))


# --- embeddings -----------------------------------------------------------------------------------


def _bert_embeddings(build: _Build) -> str:
    add, name = build.graph.node, "embeddings.{}_embeddings".format
    words = add("Add", build.table(IDS, name("word")), build.table(KINDS, name("token_type")))
    build.tensors.get(f"{name('position')}.weight", build.of.positions, build.of.width)  # as many as it says
    value = add("Add", words, build.table(build.positions(), name("position")))
    return build.layer_norm(value, "embeddings.LayerNorm")


def _nomic_embeddings(build: _Build) -> str:
    # Every token is of the first kind, so its row is a constant.
    name = "embeddings.token_type_embeddings.weight"
    kinds = build.tensors.get(name, build.tensors.rows(name), build.of.width)
    words = build.table(IDS, "embeddings.word_embeddings")
    value = build.graph.node("Add", words, build.graph.vector(name, kinds[0]))
    return build.layer_norm(value, "embeddings.LayerNorm")


def _words(build: _Build) -> str:
    return build.table(IDS, "embed_tokens")


# --- one layer ------------------------------------------------------------------------------------


def _bert_block(build: _Build, value: str, place: int) -> str:
    name, add, of = f"encoder.layer.{place}", build.graph.node, build.of
    query, key, content = (
        build.projected(value, f"{name}.attention.self.{part}", of.heads)
        for part in ("query", "key", "value")
    )
    mixed = build.attend(query, key, content, place)
    turned = build.linear(
        mixed, f"{name}.attention.output.dense", of.heads * of.head_width, of.width, bias=True
    )
    value = build.layer_norm(add("Add", turned, value), f"{name}.attention.output.LayerNorm")
    inner = build.activation(build.linear(value, f"{name}.intermediate.dense", of.width, of.inner, bias=True))
    turned = build.linear(inner, f"{name}.output.dense", of.inner, of.width, bias=True)
    return build.layer_norm(add("Add", turned, value), f"{name}.output.LayerNorm")


def _nomic_block(build: _Build, value: str, place: int) -> str:
    name, add = f"layers.{place}", build.graph.node
    value = build.layer_norm(
        add("Add", value, _self_attention(build, value, place)), f"{name}.post_attention_layernorm"
    )
    return build.layer_norm(
        add("Add", value, build.gated(value, f"{name}.mlp")), f"{name}.post_mlp_layernorm"
    )


def _qwen_block(build: _Build, value: str, place: int) -> str:
    name, add = f"layers.{place}", build.graph.node
    normed = build.rms_norm(value, f"{name}.input_layernorm")
    value = add("Add", value, _self_attention(build, normed, place))
    normed = build.rms_norm(value, f"{name}.post_attention_layernorm")
    return add("Add", value, build.gated(normed, f"{name}.mlp"))


def _olmo_block(build: _Build, value: str, place: int) -> str:
    name, add = f"layers.{place}", build.graph.node
    mixed = build.rms_norm(_self_attention(build, value, place), f"{name}.post_attention_layernorm")
    value = add("Add", value, mixed)
    turned = build.rms_norm(build.gated(value, f"{name}.mlp"), f"{name}.post_feedforward_layernorm")
    return add("Add", value, turned)


def _self_attention(build: _Build, value: str, place: int) -> str:
    """Norms of queries and keys: none (NomicBERT), of each head (Qwen3), of all heads at once (OLMo 3)."""
    name, of = f"layers.{place}.self_attn", build.of
    whole = of.model_type == "olmo3"
    query, key = (
        build.projected(value, f"{name}.{part}_proj", heads, f"{name}.{part}_norm" if whole else "")
        for part, heads in (("q", of.heads), ("k", of.key_heads))
    )
    if of.model_type == "qwen3":
        query, key = (
            build.rms_norm(rows, f"{name}.{part}_norm", of.head_width)
            for part, rows in (("q", query), ("k", key))
        )
    mixed = build.attend(query, key, build.projected(value, f"{name}.v_proj", of.key_heads), place)
    return build.linear(mixed, f"{name}.o_proj", of.heads * of.head_width, of.width, bias=of.bias)


_EMBEDDINGS: Final[Mapping[ModelType, Callable[[_Build], str]]] = {
    "bert": _bert_embeddings,
    "nomic_bert": _nomic_embeddings,
    "qwen3": _words,
    "olmo3": _words,
}
_BLOCKS: Final[Mapping[ModelType, Callable[[_Build, str, int], str]]] = {
    "bert": _bert_block,
    "nomic_bert": _nomic_block,
    "qwen3": _qwen_block,
    "olmo3": _olmo_block,
}
