"""Text in, unit vectors out: tokenised, sorted by length, run by ONNX Runtime on a CPU or, by its parameters, a GPU."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer


def keep_memory_private():
    """Texts come by shared memory, which Triton makes readable for every user of the machine."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/dev/shm/" in line:  # noqa: S108 - where the region is
            with suppress(FileNotFoundError):
                Path(line.split(maxsplit=5)[5]).chmod(0o600)


class TritonPythonModel:
    """One execution answers all requests of Triton's dynamic batch, in passes of texts of like length."""

    def initialize(self, args):
        keep_memory_private()
        parameters = {
            name: item["string_value"] for name, item in json.loads(args["model_config"])["parameters"].items()
        }
        os.nice(int(parameters["nice"]))
        folder = Path(os.environ["COUNTERSIGN_EMBEDDER"])
        self._rows = int(parameters["rows"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(int(parameters["max_tokens"]))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(parameters["threads"]) or os.cpu_count()
        # A thread that spins while it waits takes its core from whoever would feed it.
        options.add_session_config_entry("session.intra_op.allow_spinning", parameters["spinning"])
        providers = parameters["providers"].split(",")
        self._session = onnxruntime.InferenceSession(str(folder / parameters["model"]), options, providers=providers)

    def execute(self, requests):
        texts, sizes = [], []
        for request in requests:
            values = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
            texts += [value.decode("utf-8", errors="replace") for value in values]
            sizes.append(len(values))
        vectors = self._embed(texts)
        answers, start = [], 0
        for size in sizes:
            output = pb_utils.Tensor("EMBEDDING", vectors[start : start + size])
            answers.append(pb_utils.InferenceResponse(output_tensors=[output]))
            start += size
        return answers

    def _embed(self, texts):
        """Vectors [len(texts), dimensions]. Like lengths run together: padding is work for nothing."""
        encoded = [item.ids for item in self._tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        vectors = None
        for start in range(0, len(order), self._rows):
            rows = order[start : start + self._rows]
            ids = np.zeros((len(rows), len(encoded[rows[-1]])), dtype=np.int64)
            for row, index in enumerate(rows):
                ids[row, : len(encoded[index])] = encoded[index]
            (found,) = self._session.run(
                ["embedding"], {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}
            )
            if vectors is None:
                vectors = np.empty((len(texts), found.shape[1]), dtype=np.float32)
            vectors[rows] = found
        return vectors
