"""The mariadb command line client."""

import os
import re
import subprocess

from compare import equal

NAME = "mariadb client"
DATABASE = "by_mariadb"

SCRIPT = f"""
DROP DATABASE IF EXISTS {DATABASE} FORCE;
CREATE DATABASE {DATABASE};
USE {DATABASE};
CREATE TABLE t (id INT, day DATE, name VARCHAR(20) DEFAULT 'nobody')
  DUPLICATE KEY(id) PARTITION BY RANGE(day) (PARTITION p1 VALUES LESS THAN ('2024-01-01'), PARTITION p2 VALUES LESS THAN ('2025-01-01'))
  DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES ("replication_num" = "1");
INSERT INTO t VALUES (1, '2023-05-05', 'one'), (2, '2024-05-05', NULL), (3, '2024-06-06', DEFAULT);
-- a comment
SELECT id, name FROM t ORDER BY id;
SELECT COUNT(*) AS `how many`, MAX(day) FROM t WHERE day >= '2024-01-01';
DELETE FROM t PARTITION p2 WHERE id = 3;
SELECT id FROM t PARTITION (p2);
"""

ANSWERS = """id\tname
1\tone
2\tNULL
3\tnobody
how many\tMAX(day)
2\t2024-06-06
id
2
"""


def checks(cluster):
    def run(*arguments, script=None, password=None):
        environment = dict(os.environ, MYSQL_PWD=cluster.password if password is None else password)
        command = [cluster.mariadb, "--no-defaults", "--skip-ssl", "-h", cluster.host, "-P", str(cluster.port), "-u", cluster.user]
        return subprocess.run(
            [*command, *arguments], input=script, env=environment, capture_output=True, text=True, timeout=30
        )

    def ok(*arguments, script=None):
        done = run(*arguments, script=script)
        equal((done.returncode, done.stderr), (0, ""), " ".join(arguments))
        return done.stdout

    def passwords():
        done = run("-e", "SELECT 1", password="wrong")
        equal(done.returncode, 1)
        assert done.stderr.startswith("ERROR 1045 (28000): Access denied for user 'root@127.0.0.1'"), done.stderr

    def script():
        equal(ok("--batch", script=SCRIPT), ANSWERS)

    def tables():
        table = ok("--table", "-D", DATABASE, "-e", "SELECT id, name FROM t WHERE id = 1")
        equal(table.splitlines()[1:4:2], ["| id   | name |", "|    1 | one  |"])
        equal(ok("-N", "-B", "-D", DATABASE, "-e", "SHOW TABLES"), "t\n")
        equal(ok("-N", "-B", "-e", f"DESC {DATABASE}.t").splitlines()[0], "id\tint\tYes\ttrue\tNULL\t")
        vertical = ok("-e", f"SHOW CREATE TABLE {DATABASE}.t\\G")
        assert "PARTITION BY RANGE(`day`)" in vertical, vertical

    def column_types():
        shown = ok("--column-type-info", "--table", "-D", DATABASE, "-e", "SELECT id, day, name, id = 1 AS same FROM t LIMIT 1")
        equal(re.findall(r"^Type: +(\w+)", shown, re.M), ["LONG", "DATE", "STRING", "TINY"])

    def names_are_completed():
        # Without -A the client asks for all tables and columns at USE.
        shown = ok("--auto-rehash", "-D", DATABASE, script="SELECT 'in' AS x;\n")
        equal(shown, "x\nin\n")

    def status():
        assert re.search(r"Current user:\s+.*root", ok("-e", "status"))

    def errors():
        done = run("-D", DATABASE, "-e", "SELECT nothing FROM t")
        equal(done.returncode, 1)
        assert "ERROR 1105 (HY000) at line 1: errCode = 2, detailMessage = Unknown column" in done.stderr, done.stderr
        done = run("--force", "--batch", script=f"SELECT frob();\nSELECT 5;\n")
        equal(done.stdout, "5\n5\n")


    return [
        ("a wrong password is refused", passwords),
        ("runs a script", script),
        ("shows tables", tables),
        ("knows column types", column_types),
        ("completes names", names_are_completed),
        ("status", status),
        ("errors", errors),
    ]
