"""How many times as many examples the long machines try: `COUNTERSIGN_THOROUGH=20 pytest tests/unit -k machine`.

Each run tries others, so that what is found by many is found over many runs.
"""

import os

THOROUGH = int(os.environ.get("COUNTERSIGN_THOROUGH", "1"))
