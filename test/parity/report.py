"""What a check tells the driver: one JSON line each, read by tools/reference/parity.ts."""

import json


class Report:
    """Collects results and prints each as it comes."""

    def __init__(self):
        self.results = []

    def at_most(self, check, measured, limit, note=""):
        self._add(check, measured, f"<= {limit:g}", bool(measured <= limit), note)

    def at_least(self, check, measured, limit, note=""):
        self._add(check, measured, f">= {limit:g}", bool(measured >= limit), note)

    def figure(self, check, measured, note=""):
        """Without a limit: nobody passes or misses it."""
        self._add(check, measured, None, None, note)

    def _add(self, check, measured, limit, passed, note):
        result = {"check": check, "measured": float(f"{measured:.4g}"), "limit": limit, "passed": passed, "note": note}
        self.results.append(result)
        print(json.dumps(result), flush=True)
