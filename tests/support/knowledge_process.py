"""`python -m tests.support.knowledge_process`: the embedder and the evaluator as one process.

Qdrant's engine in a process serves that process alone, and no Qdrant server is here. The environment is that of the
services; `EVALUATOR_SEED` is the seed of the evaluator.
"""

import os

from pydantic import SecretStr

from services.embedder.main import build as build_embedder
from services.embedder.settings import EmbedderSettings
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.runtime.service import create_app, make_server
from tests.support.embedder import HashEmbedder


def main() -> None:
    embedding = EmbedderSettings()
    evaluating = EvaluatorSettings(nats_seed=SecretStr(os.environ["EVALUATOR_SEED"]))
    embedder, base = HashEmbedder(), embedding.qdrant.connect()
    services = [
        build_embedder(embedding, embedder=embedder, base=base),
        build_evaluator(evaluating, embedder=embedder, base=base),
    ]
    make_server(create_app(services, on_stop=base.close), embedding.host, embedding.port).run()


if __name__ == "__main__":
    main()
