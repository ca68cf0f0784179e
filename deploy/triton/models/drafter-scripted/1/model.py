"""A deterministic drafter for load and chaos tests. It reads nothing into the prompt: no language model, no delay."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

TEXT = (
    "The patient was admitted and cared for on the ward. Treatment was given as the record states. "
    "The patient improved and left the hospital.\n\n"
    "Instructions: Take your medicines as they are listed. Come back at once if you feel worse."
)


def keep_memory_private():
    """Texts come by shared memory, which Triton makes readable for every user of the machine."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/dev/shm/" in line:  # noqa: S108 - where the region is
            with suppress(FileNotFoundError):
                Path(line.split(maxsplit=5)[5]).chmod(0o600)


class TritonPythonModel:
    """Same tensors as `drafter`. `{"scripted": "fail"}` in the sampling parameters makes it answer with an error."""

    def initialize(self, args):  # noqa: ARG002 - what Triton calls
        keep_memory_private()

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            tensor = pb_utils.get_input_tensor_by_name(request, "sampling_parameters")
            parameters = json.loads(tensor.as_numpy().reshape(-1)[0]) if tensor is not None else {}
            if parameters.get("scripted") == "fail":
                response = pb_utils.InferenceResponse(error=pb_utils.TritonError("told to fail"), output_tensors=[])
            else:
                output = pb_utils.Tensor("text_output", np.array([TEXT.encode()], dtype=np.object_))
                response = pb_utils.InferenceResponse(output_tensors=[output])
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None
