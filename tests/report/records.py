"""Records for tests."""

WORKS, BROKEN = "ecn.connectivity.works", "ecn.connectivity.broken"


def record(dip, *conditions, minute=0, **more):
    time = f"2026-11-22 10:{minute:02d}:00.000000"
    return {"dip": dip, "dp": 80, "domain": "www.example.com", "path": ["203.0.113.1", "*", dip],
            "conditions": list(conditions), "time": {"from": time, "to": time}, **more}
