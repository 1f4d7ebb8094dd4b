"""ONNX files of our own from safetensors: written, proven against their source, described in a card.

`write.py` walks from a model's config and weights to a file, `prove.py` measures how far its vectors are from
those of the source, `card.py` says so in Markdown. All but this line needs `onnx`: `pip install
'patina-hooks[export]'`.
"""
