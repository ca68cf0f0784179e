"""The steps of a refresh as an Airflow DAG that does nothing: what orchestrating alone costs. Runs in .venv-airflow."""

import pendulum
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1), catchup=False)
def refresh() -> None:
    @task
    def detect() -> None: ...

    @task
    def extract_and_chunk() -> None: ...

    @task
    def embed() -> None: ...

    @task
    def evaluate() -> None: ...

    detect() >> extract_and_chunk() >> embed() >> evaluate()


refresh()
