"""`make dashboards`: write the dashboards that Grafana is provisioned with."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.grafana.dashboards import DASHBOARDS

FOLDER = Path(__file__).parents[2] / "deploy/grafana/dashboards"


def rendered() -> dict[str, str]:
    """Return each dashboard's JSON by file name."""
    encoder = JSONEncoder(sort_keys=True, indent=1)
    return {f"{name}.json": encoder.encode(board.make().build()) + "\n" for name, board in DASHBOARDS.items()}


if __name__ == "__main__":
    for name, text in rendered().items():
        (FOLDER / name).write_text(text)
