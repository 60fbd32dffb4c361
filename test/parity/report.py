"""What a check tells the driver: one JSON line each, read by tools/reference/parity.ts."""

import json


class Report:
    """Collects results and prints each as it comes."""

    def __init__(self):
        self.results = []

    def at_most(self, check, measured, limit, note=""):
        self._add(check, measured, f"<= {limit:g}", measured <= limit, note)

    def at_least(self, check, measured, limit, note=""):
        self._add(check, measured, f">= {limit:g}", measured >= limit, note)

    def _add(self, check, measured, limit, passed, note):
        result = {"check": check, "measured": float(f"{measured:.4g}"), "limit": limit, "passed": bool(passed), "note": note}
        self.results.append(result)
        print(json.dumps(result), flush=True)
