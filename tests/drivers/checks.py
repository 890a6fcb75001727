"""Runs every driver against one dorisim and prints a table of checks; exits with 1 when one of them differs.

    python checks.py '{"port": 9030, "http_port": 8030, "password": "...", "mariadb": "/usr/bin/mariadb",
                      "jdbc": "mysql-connector-j.jar"}'

`cargo xtask drivers` starts the cluster and calls this.
"""

import json
import sys
import time
import traceback

import command_line
import connector_checks
import jdbc_checks
import pymysql_checks
import stream_load_checks

DRIVERS = [pymysql_checks, connector_checks, command_line, jdbc_checks, stream_load_checks]


class Cluster:
    """Where the cluster listens, and who may enter."""

    host = "127.0.0.1"
    user = "root"
    reader = ("reader", "r3ad")

    def __init__(self, settings):
        self.port = settings["port"]
        self.http_port = settings["http_port"]
        self.password = settings["password"]
        self.mariadb = settings["mariadb"]
        self.jdbc = settings["jdbc"]


def main():
    cluster = Cluster(json.loads(sys.argv[1]))
    results = []
    for driver in DRIVERS:
        for name, check in driver.checks(cluster):
            started = time.monotonic()
            try:
                check()
                failure = None
            except Exception:  # a check may fail in any way; the others still run
                failure = traceback.format_exc(limit=-3)
            results.append((driver.NAME, name, time.monotonic() - started, failure))
    width = max(len(name) for _, name, _, _ in results)
    for driver, name, seconds, failure in results:
        print(f"{driver:24} {name:{width}} {'FAILED' if failure else 'ok':6} {seconds * 1000:6.0f} ms")
    failed = [result for result in results if result[3]]
    for driver, name, _, failure in failed:
        print(f"\n{driver}: {name}\n{failure}")
    print(f"\n{len(results) - len(failed)} of {len(results)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
