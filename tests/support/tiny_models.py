"""Tiny twins: models of each architecture with seeded random weights, in the files that real ones come in.

A twin has a thousand tokens and, unless its size is named, some sixty thousand weights, drawn so that
different texts have clearly different vectors: with the usual small initialisation all texts look alike, and
a parity test proves nothing.
Names of tensors and keys of config.json are those of the published models:

    bert        BAAI/bge-small-en-v1.5: no prefix, with a pooler and position ids
    nomic_bert  nomic-ai/nomic-embed-text-v1.5: q, k, v in one tensor, GPT-2's words in its config
    qwen3       Qwen/Qwen3-Embedding-0.6B: no prefix, width of a head not hidden / heads, key-value groups
    olmo3       allenai/Olmo-3-1025-7B: prefix "model.", an lm_head, sliding windows, yarn

With `as_saved_by_transformers` the config has the keys that transformers 5 writes when it saves the model.
Nothing is trained, and only numpy draws, so that a twin is the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from safetensors.numpy import save_file

from patina_hooks.specs.models import LocalFile, ModelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Tensors = dict[str, NDArray[Any]]

Architecture = Literal["bert", "nomic_bert", "qwen3", "olmo3"]
ARCHITECTURES: Final[tuple[Architecture, ...]] = ("bert", "nomic_bert", "qwen3", "olmo3")
DIMENSIONS: Final = 32
LAYERS: Final = 3
MAX_TOKENS: Final = 48

TEXTS: Final = (
    "commit",
    "fix the crash of the worker at the end of a session",
    "the observations of a commit are embedded and the index answers from memory " * 8,
    "how do I store vectors in a file on disk?",
    "def open_model(path: Path) -> Model:\n    return Model(path, mask=None)  # TODO",
    "Überraschung: naïve café, größer als zuvor",
    "репозиторий помнит каждый коммит",
    "日本語のテキストも検索できる",
    "",
    "🙂🙃 ok 👩‍💻",
)
"""Short, long, truncated, code, multilingual, empty and emoji."""

_VOCABULARY: Final = 1000
_INNER: Final = 64
"""As in real models a multiple of 16: elsewhere PyTorch rounds the last values of a run otherwise."""
_HEADS: Final = 4
_WORDS: Final = (
    "the of a and to in is it that for on with as at by from this be are or not all but what how why "
    "when where which commit commits session sessions document documents observation observations event "
    "pair pairs recipe model models runtime encoder projection fingerprint index search query answer "
    "vector vectors memory repository branch branches tag tags merge rebase worker hook hooks file "
    "files folder path paths line lines text texts word words token tokens layer layers mask batch "
    "prefix length norm mean first last crash fix add remove change test tests error errors read write "
    "open close start end store disk cache log lock key value size name names number time day week "
    "seconds code class def return import none true false self list dict tuple int str print while if "
    "else try raise embed embedded embedding embeddings train trained training weights weight hidden "
    "state attention head decision pattern work challenge note goal context activity plugin plugins "
    "settings user users command commands"
)


@dataclass(frozen=True, slots=True)
class _Shape:
    """positions: the longest text in tokens, 0 for that of the twin's architecture."""

    dimensions: int
    layers: int
    positions: int


@dataclass(frozen=True, slots=True)
class Twin:
    """The files of a twin. dimensions: of its token vectors; layers: how many it has."""

    architecture: Architecture
    config: Path
    weights: Path
    tokenizer: Path
    dimensions: int = DIMENSIONS
    layers: int = LAYERS
    files: Mapping[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        files = {"model": self.weights, "config": self.config, "tokenizer": self.tokenizer}
        object.__setattr__(self, "files", files)

    def spec(self, runtime: str) -> ModelSpec:
        """A model of these files, cut at `MAX_TOKENS`."""
        return ModelSpec(
            f"twin-{self.architecture}",
            dimensions=self.dimensions,
            runtimes={runtime: {role: LocalFile(path.absolute()) for role, path in self.files.items()}},
            max_tokens=MAX_TOKENS,
            pooling="last" if self.architecture == "qwen3" else "mean",
        )


def make_twin(
    architecture: Architecture,
    folder: Path,
    *,
    dimensions: int = DIMENSIONS,
    layers: int = LAYERS,
    positions: int = 0,
    as_saved_by_transformers: bool = False,
) -> Twin:
    """Write config.json, model.safetensors and tokenizer.json; the same bytes each time.

    positions: the longest text in tokens, where it is to be more than the usual 64 of a bert.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config_file, weights, tokenizer_file = (
        folder / name for name in ("config.json", "model.safetensors", "tokenizer.json")
    )
    twin = Twin(architecture, config_file, weights, tokenizer_file, dimensions, layers)
    shape = _Shape(dimensions, layers, positions)
    config = _CONFIGS[architecture](shape)
    if as_saved_by_transformers:
        config = _SAVED.get(architecture, dict)(config)
    twin.config.write_text(json.dumps({"model_type": architecture, **config}, indent=2))
    draw = _Draw(np.random.default_rng(ARCHITECTURES.index(architecture)))
    save_file(_TENSORS[architecture](draw, shape), twin.weights, metadata={"format": "pt"})
    tokenizer = _word_pieces() if architecture in ("bert", "nomic_bert") else _byte_pairs(architecture)
    tokenizer.save(str(twin.tokenizer))
    return twin


# --- config.json ----------------------------------------------------------------------------------


def _bert_config(shape: _Shape) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": shape.dimensions,
        "intermediate_size": _INNER,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": shape.positions or 64,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": shape.layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
        "vocab_size": _VOCABULARY,
    }


def _nomic_config(shape: _Shape) -> dict[str, object]:
    return {
        "architectures": ["NomicBertModel"],
        "activation_function": "swiglu",
        "attn_pdrop": 0.0,
        "causal": False,
        "embd_pdrop": 0.0,
        "layer_norm_epsilon": 1e-12,
        "max_trained_positions": shape.positions or 64,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "n_embd": shape.dimensions,
        "n_head": _HEADS,
        "n_inner": _INNER,
        "n_layer": shape.layers,
        "n_positions": shape.positions or 64,
        "prenorm": False,
        "qkv_proj_bias": False,
        "resid_pdrop": 0.0,
        "rotary_emb_base": 500,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "type_vocab_size": 2,
        "use_rms_norm": False,
        "vocab_size": _VOCABULARY,
    }


def _nomic_saved(config: Mapping[str, Any]) -> dict[str, object]:
    return {
        "architectures": ["NomicBertModel"],
        "head_dim": config["n_embd"] // _HEADS,
        "hidden_act": "silu",
        "hidden_size": config["n_embd"],
        "intermediate_size": config["n_inner"],
        "layer_norm_eps": config["layer_norm_epsilon"],
        "max_position_embeddings": config["n_positions"],
        "num_attention_heads": config["n_head"],
        "num_hidden_layers": config["n_layer"],
        "rope_parameters": {"rope_theta": config["rotary_emb_base"], "rope_type": "default"},
        "type_vocab_size": config["type_vocab_size"],
        "vocab_size": config["vocab_size"],
    }


def _qwen_config(shape: _Shape) -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "head_dim": 12,
        "hidden_act": "silu",
        "hidden_size": shape.dimensions,
        "intermediate_size": _INNER,
        "max_position_embeddings": shape.positions or 256,
        "max_window_layers": shape.layers,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_scaling": None,
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": _VOCABULARY,
    }


def _qwen_saved(config: Mapping[str, Any]) -> dict[str, object]:
    saved = {key: value for key, value in config.items() if not key.startswith("rope_")}
    return {**saved, "rope_parameters": {"rope_theta": config["rope_theta"], "rope_type": "default"}}


_OLMO_LAYERS: Final = ("sliding_attention", "sliding_attention", "full_attention")


def _olmo_config(shape: _Shape) -> dict[str, object]:
    return {
        "architectures": ["Olmo3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "eos_token_id": 0,
        "hidden_act": "silu",
        "hidden_size": shape.dimensions,
        "intermediate_size": _INNER,
        "layer_types": [_OLMO_LAYERS[layer % 3] for layer in range(shape.layers)],
        "max_position_embeddings": shape.positions or 128,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": 2,
        "pad_token_id": 1,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {
            "attention_factor": 1.2079441541679836,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "factor": 8.0,
            "original_max_position_embeddings": 16,
            "rope_type": "yarn",
        },
        "rope_theta": 500_000,
        "sliding_window": 8,
        "tie_word_embeddings": False,
        "use_cache": False,
        "vocab_size": _VOCABULARY,
    }


def _olmo_saved(config: Mapping[str, Any]) -> dict[str, object]:
    saved = {key: value for key, value in config.items() if not key.startswith("rope_")}
    theta = {"rope_theta": config["rope_theta"]}
    full, sliding = {**config["rope_scaling"], **theta}, {**theta, "rope_type": "default"}
    return {**saved, "rope_parameters": {"full_attention": full, "sliding_attention": sliding}}


_CONFIGS: Final = {
    "bert": _bert_config,
    "nomic_bert": _nomic_config,
    "qwen3": _qwen_config,
    "olmo3": _olmo_config,
}
_SAVED: Final = {"nomic_bert": _nomic_saved, "qwen3": _qwen_saved, "olmo3": _olmo_saved}


# --- model.safetensors ----------------------------------------------------------------------------


class _Draw:
    """Tensors drawn in turn from one generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def normal(self, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
        return scale * self._generator.standard_normal(shape, dtype=np.float32)

    def matrix(self, out: int, into: int, scale: float = 1.0) -> NDArray[np.float32]:
        return self.normal(out, into, scale=scale / float(np.sqrt(into)))

    def norm(self, size: int) -> NDArray[np.float32]:
        return 1 + self.normal(size, scale=0.1)

    def layer_norm(self, name: str, size: int) -> Tensors:
        return {f"{name}.weight": self.norm(size), f"{name}.bias": self.normal(size, scale=0.1)}

    def linear(self, name: str, out: int, into: int, scale: float = 1.0) -> Tensors:
        return {f"{name}.weight": self.matrix(out, into, scale), f"{name}.bias": self.normal(out, scale=0.1)}


def _bert_tensors(draw: _Draw, shape: _Shape) -> Tensors:
    d, positions = shape.dimensions, shape.positions or 64
    tensors: Tensors = {
        "embeddings.word_embeddings.weight": draw.normal(_VOCABULARY, d),
        "embeddings.position_embeddings.weight": draw.normal(positions, d, scale=0.5),
        "embeddings.token_type_embeddings.weight": draw.normal(2, d, scale=0.5),
        "embeddings.position_ids": np.arange(positions)[None],
        **draw.layer_norm("embeddings.LayerNorm", d),
    }
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        tensors |= draw.linear(f"{at}.attention.self.query", d, d, scale=2)
        tensors |= draw.linear(f"{at}.attention.self.key", d, d, scale=2)
        tensors |= draw.linear(f"{at}.attention.self.value", d, d)
        tensors |= draw.linear(f"{at}.attention.output.dense", d, d)
        tensors |= draw.layer_norm(f"{at}.attention.output.LayerNorm", d)
        tensors |= draw.linear(f"{at}.intermediate.dense", _INNER, d)
        tensors |= draw.linear(f"{at}.output.dense", d, _INNER)
        tensors |= draw.layer_norm(f"{at}.output.LayerNorm", d)
    return tensors | draw.linear("pooler.dense", d, d)


def _nomic_tensors(draw: _Draw, shape: _Shape) -> Tensors:
    d = shape.dimensions
    tensors: Tensors = {
        "embeddings.word_embeddings.weight": draw.normal(_VOCABULARY, d),
        "embeddings.token_type_embeddings.weight": draw.normal(2, d, scale=0.5),
        **draw.layer_norm("emb_ln", d),
    }
    for layer in range(shape.layers):
        at = f"encoder.layers.{layer}"
        qkv = [draw.matrix(d, d, scale=2), draw.matrix(d, d, scale=2), draw.matrix(d, d)]
        tensors[f"{at}.attn.Wqkv.weight"] = np.concatenate(qkv)
        tensors[f"{at}.attn.out_proj.weight"] = draw.matrix(d, d)
        tensors[f"{at}.mlp.fc11.weight"] = draw.matrix(_INNER, d)
        tensors[f"{at}.mlp.fc12.weight"] = draw.matrix(_INNER, d)
        tensors[f"{at}.mlp.fc2.weight"] = draw.matrix(d, _INNER)
        tensors |= draw.layer_norm(f"{at}.norm1", d) | draw.layer_norm(f"{at}.norm2", d)
    return tensors


def _decoder_tensors(
    draw: _Draw, shape: _Shape, prefix: str, head: int, norms: Sequence[str], q_norm: int, k_norm: int
) -> Tensors:
    d, kv = shape.dimensions, 2 * head
    tensors: Tensors = {f"{prefix}embed_tokens.weight": draw.normal(_VOCABULARY, d)}
    for layer in range(shape.layers):
        at = f"{prefix}layers.{layer}"
        tensors[f"{at}.self_attn.q_proj.weight"] = draw.matrix(_HEADS * head, d, scale=2)
        tensors[f"{at}.self_attn.k_proj.weight"] = draw.matrix(kv, d, scale=2)
        tensors[f"{at}.self_attn.v_proj.weight"] = draw.matrix(kv, d)
        tensors[f"{at}.self_attn.o_proj.weight"] = draw.matrix(d, _HEADS * head)
        tensors[f"{at}.self_attn.q_norm.weight"] = draw.norm(q_norm)
        tensors[f"{at}.self_attn.k_norm.weight"] = draw.norm(k_norm)
        tensors[f"{at}.mlp.gate_proj.weight"] = draw.matrix(_INNER, d)
        tensors[f"{at}.mlp.up_proj.weight"] = draw.matrix(_INNER, d)
        tensors[f"{at}.mlp.down_proj.weight"] = draw.matrix(d, _INNER)
        tensors |= {f"{at}.{name}.weight": draw.norm(d) for name in norms}
    return tensors | {f"{prefix}norm.weight": draw.norm(d)}


def _qwen_tensors(draw: _Draw, shape: _Shape) -> Tensors:
    norms = ("input_layernorm", "post_attention_layernorm")
    return _decoder_tensors(draw, shape, "", 12, norms, q_norm=12, k_norm=12)


def _olmo_tensors(draw: _Draw, shape: _Shape) -> Tensors:
    norms, head = ("post_attention_layernorm", "post_feedforward_layernorm"), shape.dimensions // _HEADS
    tensors = _decoder_tensors(draw, shape, "model.", head, norms, q_norm=_HEADS * head, k_norm=2 * head)
    return tensors | {"lm_head.weight": draw.matrix(_VOCABULARY, shape.dimensions)}


_TENSORS: Final = {
    "bert": _bert_tensors,
    "nomic_bert": _nomic_tensors,
    "qwen3": _qwen_tensors,
    "olmo3": _olmo_tensors,
}


# --- tokenizer.json -------------------------------------------------------------------------------


def _word_pieces() -> Tokenizer:
    """BERT's lower-casing WordPiece with [CLS] and [SEP]."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()] + [
        *"абвгдежзийклмнопрстуфхцчшщъыьэюя日本語"
    ]
    endings = [f"##{character}" for character in characters]
    pieces = [*special, *characters, *endings, *dict.fromkeys(_WORDS.split())]
    pieces += [f"##{word[cut:]}" for word in _WORDS.split() for cut in range(2, len(word) - 1)]
    vocabulary = {piece: place for place, piece in enumerate([*dict.fromkeys(pieces)][:_VOCABULARY])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special[1], max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(special)
    return tokenizer


def _byte_pairs(architecture: Architecture) -> Tokenizer:
    """Byte-level BPE; qwen3's puts <|endoftext|> at the end, as its embedding models want it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    end = "<|endoftext|>"
    pieces = [end, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges: dict[tuple[str, str], None] = {}
    for word in (f"Ġ{word}" for word in dict.fromkeys(_WORDS.split())):
        merges |= {(word[:cut], word[cut]): None for cut in range(1, len(word))}
    kept = [*merges][: _VOCABULARY - len(pieces)]
    vocabulary = {piece: place for place, piece in enumerate([*pieces, *map("".join, kept)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, kept))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([end])
    if architecture == "qwen3":
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, 0)]
        )
    return tokenizer
