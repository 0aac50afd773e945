"""Columns of texts and of images as numbers: the embeddings of a pretrained model in a local folder.

`source` says which folder and whether it is the same model still, `networks` loads and runs it, `cells` reads
texts and images, `memory` keeps what was computed, `embedding` and `encoder` belong to the fitted model,
`transfer` scores how well an embedding suits a target, `embedder` does all of it at the start of a fit.
"""
