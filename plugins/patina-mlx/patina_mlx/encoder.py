"""BERT, NomicBERT, Qwen3 and OLMo 3 in plain mlx: ids in, token vectors out.

The formulas are those of transformers' `modeling_bert`, `modeling_nomic_bert`, `modeling_qwen3` and
`modeling_olmo3`. The four differ in where a layer has its norms, and in the names of its tensors:

    before  x + attend(norm(x))     Qwen3
    after   norm(x + attend(x))     BERT, NomicBERT
    inside  x + norm(attend(x))     OLMo 3
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

from patina_hooks.authoring import ModelError
from patina_mlx.config import Config
from patina_mlx.core import mx
from patina_mlx.tensors import Linear, Tensors

Step = Callable[[mx.array], mx.array]
Layer = Callable[[mx.array, "mx.array | None"], mx.array]
"""From token vectors [b, s, d] and their mask, see `TransformerEncoder`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an architecture has its norms, and the names of its tensors; "" for absent ones."""

    norms: Literal["before", "after", "inside"]
    layer: str
    query: str
    key: str
    value: str
    out: str
    first_norm: str
    second_norm: str
    gate: str
    up: str
    down: str


_BERT: Final = Layout(
    norms="after",
    layer="encoder.layer.{}.",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    out="attention.output.dense",
    first_norm="attention.output.LayerNorm",
    second_norm="output.LayerNorm",
    gate="",
    up="intermediate.dense",
    down="output.dense",
)


def _modern(norms: Literal["before", "after", "inside"], first_norm: str, second_norm: str) -> Layout:
    return Layout(
        norms=norms,
        layer="layers.{}.",
        query="self_attn.q_proj",
        key="self_attn.k_proj",
        value="self_attn.v_proj",
        out="self_attn.o_proj",
        first_norm=first_norm,
        second_norm=second_norm,
        gate="mlp.gate_proj",
        up="mlp.up_proj",
        down="mlp.down_proj",
    )


_LAYOUTS: Final[Mapping[str, Layout]] = {
    "bert": _BERT,
    "nomic_bert": _modern("after", "post_attention_layernorm", "post_mlp_layernorm"),
    "qwen3": _modern("before", "input_layernorm", "post_attention_layernorm"),
    "olmo3": _modern("inside", "post_attention_layernorm", "post_feedforward_layernorm"),
}


class TransformerEncoder:
    """A model's layers. width: of a token vector; bidirectional: every token looks at all others.

    Hidden states are numbered as in transformers: 0 the embeddings, n the output of layer n, the last one
    after the model's last norm.
    """

    def __init__(self, config: Config, tensors: Tensors, layer: int) -> None:
        """Build the layers.

        Args:
            config: the architecture.
            tensors: the weights.
            layer: the hidden state to return.

        Raises:
            ModelError: the model has no such state, or the tensors are not those of the architecture.
        """
        if not -config.layers - 1 <= layer <= config.layers:
            raise ModelError(
                f"there is no hidden layer {layer}: the model has {config.layers + 1}, counted from 0"
            )
        self.width = config.hidden
        self.bidirectional = "bert" in config.architecture
        self._embed = _embedding(config, tensors)
        layers = [_layer(config, tensors, at) for at in range(config.layers)]
        norm: Step | None = None if self.bidirectional else _norm(config, tensors, "norm")
        tensors.finish()
        count = layer % (config.layers + 1)
        self._layers = layers[:count]
        self._norm = norm if count == config.layers else None

    def __call__(self, ids: mx.array, mask: mx.array | None = None) -> mx.array:
        """Return token vectors [b, s, d] of ids [b, s], padded on the right.

        mask: bool [b, s], False for padding; a model that attends to earlier tokens only needs none.
        """
        x = self.run_first_layer(ids, mask)
        for layer in self._layers[1:]:
            x = layer(x, _as_keys(mask))
        return self._norm(x) if self._norm else x

    def run_first_layer(self, ids: mx.array, mask: mx.array | None = None) -> mx.array:
        """Return the output of the first layer, or the embeddings where there is none."""
        x = self._embed(ids)
        return self._layers[0](x, _as_keys(mask)) if self._layers else x

    @property
    def vocabulary(self) -> int:
        """The number of ids."""
        return self._embed.words.rows


class _Embedding:
    def __init__(self, tensors: Tensors, words: str) -> None:
        self.words = tensors.matrix(words)

    def __call__(self, ids: mx.array) -> mx.array:
        return self.words.take(ids)


class _BertEmbedding(_Embedding):
    """Normalised sum of words, the first token type, and positions where there is a table."""

    def __init__(self, config: Config, tensors: Tensors) -> None:
        super().__init__(tensors, "embeddings.word_embeddings")
        zero = mx.zeros((1,), mx.int32)
        self._type = tensors.matrix("embeddings.token_type_embeddings").take(zero)
        self._positions = tensors.matrix("embeddings.position_embeddings") if config.positions else None
        self._norm = _norm(config, tensors, "embeddings.LayerNorm")

    def __call__(self, ids: mx.array) -> mx.array:
        x = super().__call__(ids) + self._type
        if self._positions:
            # Padding may reach beyond the last position, and mlx does not check bounds.
            x = x + self._positions.take(mx.minimum(mx.arange(ids.shape[1]), self._positions.rows - 1))
        return self._norm(x)


def _embedding(config: Config, tensors: Tensors) -> _Embedding:
    if "bert" in config.architecture:
        return _BertEmbedding(config, tensors)
    return _Embedding(tensors, "embed_tokens")


def _as_keys(mask: mx.array | None) -> mx.array | None:
    return None if mask is None else mask[:, None, None]


def _layer(config: Config, tensors: Tensors, at: int) -> Layer:
    layout = _LAYOUTS[config.architecture]
    name = layout.layer.format(at)
    attend = _Attention(config, tensors, layout, name, at)
    feed = _FeedForward(config, tensors, layout, name)
    first = _norm(config, tensors, name + layout.first_norm)
    second = _norm(config, tensors, name + layout.second_norm)

    def layer(x: mx.array, mask: mx.array | None) -> mx.array:
        if layout.norms == "before":
            x = x + attend(first(x), mask)
            return x + feed(second(x))
        if layout.norms == "after":
            x = first(x + attend(x, mask))
            return second(x + feed(x))
        x = x + first(attend(x, mask))
        return x + second(feed(x))

    return layer


class _Attention:
    """Attention of every token to all others, to earlier ones, or to a window of those."""

    def __init__(self, config: Config, tensors: Tensors, layout: Layout, name: str, at: int) -> None:
        self._query, self._key, self._value, self._out = (
            tensors.linear(name + part) for part in (layout.query, layout.key, layout.value, layout.out)
        )
        self._heads, self._kv_heads, self._width = config.heads, config.kv_heads, config.head_width
        self._causal, self._window = "bert" not in config.architecture, config.windows[at]
        self._norms: tuple[Step, Step] | None = None
        if self._causal:
            query, key = (_norm(config, tensors, f"{name}self_attn.{part}_norm") for part in "qk")
            self._norms = query, key
        self._norm_heads = config.architecture == "qwen3"
        rope = config.ropes[at]
        self._periods = mx.array(rope.periods, mx.float32) if rope else None
        # Queries and keys are each multiplied by the strength, so their products are by its square.
        self._scale = (rope.strength**2 if rope else 1) / sqrt(config.head_width)

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        query, key = self._query(x), self._key(x)
        if self._norms and not self._norm_heads:
            query, key = self._norms[0](query), self._norms[1](key)
        query, key = self._split(query, self._heads), self._split(key, self._kv_heads)
        if self._norms and self._norm_heads:
            query, key = self._norms[0](query), self._norms[1](key)
        query, key = self._rotate(query), self._rotate(key)
        value = self._split(self._value(x), self._kv_heads)
        visible = self._mask(x.shape[1]) if self._causal else mask
        y = mx.fast.scaled_dot_product_attention(query, key, value, scale=self._scale, mask=visible)
        return self._out(y.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1))

    def _split(self, x: mx.array, heads: int) -> mx.array:
        return x.reshape(*x.shape[:2], heads, self._width).transpose(0, 2, 1, 3)

    def _rotate(self, x: mx.array) -> mx.array:
        if self._periods is None:
            return x
        return mx.fast.rope(
            x, self._width, traditional=False, base=None, scale=1.0, offset=0, freqs=self._periods
        )

    def _mask(self, length: int) -> mx.array | str:
        if self._window and length > self._window:
            back = mx.arange(length)[:, None] - mx.arange(length)
            return (back >= 0) & (back < self._window)
        return "causal"


class _FeedForward:
    def __init__(self, config: Config, tensors: Tensors, layout: Layout, name: str) -> None:
        self._gate: Linear | None = tensors.linear(name + layout.gate) if layout.gate else None
        self._up, self._down = tensors.linear(name + layout.up), tensors.linear(name + layout.down)
        self._activate = _ACTIVATIONS[config.activation]

    def __call__(self, x: mx.array) -> mx.array:
        if self._gate:
            return self._down(self._activate(self._gate(x)) * self._up(x))
        return self._down(self._activate(self._up(x)))


def _norm(config: Config, tensors: Tensors, name: str) -> Step:
    weight = tensors.array(f"{name}.weight")
    if "bert" not in config.architecture:
        return lambda x: mx.fast.rms_norm(x, weight, config.epsilon)
    bias = tensors.array(f"{name}.bias")
    return lambda x: mx.fast.layer_norm(x, weight, bias, config.epsilon)


_ACTIVATIONS: Final[Mapping[str, Step]] = {
    "gelu": lambda x: x * (1 + mx.erf(x / sqrt(2))) / 2,
    "silu": lambda x: x * mx.sigmoid(x),
}
