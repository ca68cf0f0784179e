"""`python -m tests.proof.model_server`: a light model server with the gRPC interface of Triton that can be killed.

What it writes follows from the prompt alone: mostly sentences that the record supports, now and then nonsense, a
sentence that nothing supports, a refusal, an error.
"""

import argparse
import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

MODEL = "drafter-proof"
PLAIN = (
    "The patient was admitted and cared for on the ward. Treatment was given as the record states. "
    "The patient improved and left the hospital.\n\n"
    "Instructions: Take your medicines as they are listed. Come back at once if you feel worse."
)
UNSUPPORTED = "The patient had a cerebral infarction and was given 40 mg of enoxaparin.\n\nInstructions: Rest."
# Of 100 prompts: up to which number each answer is given.
ANSWERS = ((80, PLAIN), (90, UNSUPPORTED), (94, "%%%"), (97, "error"), (100, "full"))


def answer_to(prompt: bytes) -> str:
    number = int(hashlib.sha256(prompt).hexdigest(), 16) % 100
    return next(text for limit, text in ANSWERS if number < limit)


class ModelServer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """The calls of Triton's interface that the drafter makes."""

    async def ServerReady(self, _: Any, __: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=True)

    async def ModelReady(self, _: Any, __: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=True)

    async def ModelConfig(self, _: Any, __: Any) -> Any:
        answer = service_pb2.ModelConfigResponse()
        answer.config.name = MODEL
        answer.config.parameters["model_version"].string_value = "1"
        return answer

    async def ModelStreamInfer(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield _answer(request)


def _answer(request: Any) -> Any:
    place = next(index for index, item in enumerate(request.inputs) if item.name == "text_input")
    text = answer_to(request.raw_input_contents[place])
    answer = service_pb2.ModelStreamInferResponse()
    if text in ("error", "full"):
        answer.error_message = "told to fail" if text == "error" else "maximum queue size"
        return answer
    found = answer.infer_response
    found.model_name, found.id = request.model_name, request.id
    output = found.outputs.add()
    output.name, output.datatype = "text_output", "BYTES"
    output.shape.extend([1])
    data = text.encode()
    found.raw_output_contents.append(len(data).to_bytes(4, "little") + data)
    return answer


async def serve(port: int) -> None:
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(ModelServer(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
