"""The bare loop that the pipeline is held against: tokenizer, ONNX Runtime, twenty texts at a time, all cores.

Runs in the model server's environment: `python onnx_loop.py FOLDER TEXTS`. Prints texts a second.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH = 20


def main(folder, texts):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(str(folder / "int8.onnx"), options)

    def embed(part):
        encoded = tokenizer.encode_batch(part)
        ids = np.array([item.ids for item in encoded], dtype=np.int64)
        mask = np.array([item.attention_mask for item in encoded], dtype=np.int64)
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    embed(texts[:BATCH])
    started = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        embed(texts[start : start + BATCH])
    print(len(texts) / (time.perf_counter() - started))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
