"""MySQL Connector/J: Jdbc.java runs the checks, this reads what it prints."""

import pathlib
import subprocess

NAME = "Connector/J"


def checks(cluster):
    if not cluster.jdbc:
        return []
    program = pathlib.Path(__file__).with_name("Jdbc.java")
    done = subprocess.run(
        ["java", "-cp", cluster.jdbc, str(program), str(cluster.port), cluster.password],
        capture_output=True, text=True, timeout=120,
    )
    printed = [line.split("\t") for line in done.stdout.splitlines()]

    def ended():
        assert done.returncode == 0 and printed, done.stderr

    def told(failure):
        def check():
            assert not failure, failure
        return check

    return [("the program runs to its end", ended)] + [(name, told(failure)) for name, _, failure in printed]
