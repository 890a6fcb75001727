"""Stream load by curl, read back by PyMySQL."""

import gzip
import json
import subprocess

import pymysql

from compare import equal

NAME = "curl stream load"
DATABASE = "by_curl"


def checks(cluster):
    def sql(text):
        connection = pymysql.connect(
            host=cluster.host, port=cluster.port, user=cluster.user, password=cluster.password, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()

    def load(table, body, *headers, password=None, path="_stream_load"):
        password = cluster.password if password is None else password
        url = f"http://{cluster.host}:{cluster.http_port}/api/{DATABASE}/{table}/{path}"
        command = ["curl", "-sS", "--max-time", "20", "--location-trusted", "-u", f"{cluster.user}:{password}"]
        for header in ("Expect: 100-continue", *headers):
            command += ["-H", header]
        body = body if isinstance(body, bytes) else body.encode()
        done = subprocess.run([*command, "-T", "-", url], input=body, capture_output=True, timeout=30)
        equal((done.returncode, done.stderr), (0, b""), " ".join(headers))
        return json.loads(done.stdout)

    def loaded(answer, rows, **more):
        wanted = {"Status": "Success", "Message": "OK", "NumberLoadedRows": rows, **more}
        equal({name: answer.get(name) for name in wanted}, wanted, str(answer))

    def create():
        sql(f"DROP DATABASE IF EXISTS {DATABASE} FORCE")
        sql(f"CREATE DATABASE {DATABASE}")
        sql(
            f"CREATE TABLE {DATABASE}.t (id INT NOT NULL, name VARCHAR(10), price DECIMAL(9,2)) UNIQUE KEY(id) "
            'DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES ("replication_num" = "1")'
        )

    def csv():
        create()
        answer = load("t", "1,a,1.5\n2,\\N,2\n", "column_separator: ,", "label: first")
        loaded(answer, 2, Label="first", TwoPhaseCommit="false", NumberTotalRows=2, NumberFilteredRows=0)
        equal(list(answer)[:6], ["TxnId", "Label", "Comment", "TwoPhaseCommit", "Status", "Message"])
        again = load("t", "1,a,1.5\n", "column_separator: ,", "label: first")
        equal((again["Status"], again["ExistingJobStatus"]), ("Label Already Exists", "FINISHED"))
        equal(str(sql(f"SELECT * FROM {DATABASE}.t ORDER BY id")), "((1, 'a', Decimal('1.50')), (2, None, Decimal('2.00')))")

    def expressions():
        body = "10\tten\t5\n11\televen\t-5\n"
        answer = load("t", body, "columns: id, tmp, cents, name = upper(tmp), price = cents / 100", "where: price > 0")
        loaded(answer, 1, NumberUnselectedRows=1)
        equal(str(sql(f"SELECT * FROM {DATABASE}.t WHERE id = 10")), "((10, 'TEN', Decimal('0.05')),)")

    def json_and_gzip():
        rows = [{"id": number, "name": f"n{number}", "price": number / 4} for number in range(100, 3100)]
        loaded(load("t", json.dumps(rows), "format: json", "strip_outer_array: true"), 3000)
        lines = "\n".join(f"{number}|'x|{number % 7}'|0" for number in range(5000, 25000))
        packed = gzip.compress(lines.encode())
        answer = load("t", packed, "compress_type: gz", "column_separator: |", "enclose: '")
        loaded(answer, 20000, LoadBytes=len(packed))
        found = sql(f"SELECT COUNT(*), SUM(price), MAX(name) FROM {DATABASE}.t WHERE id >= 100")
        equal(str(found), f"((23000, Decimal('{sum(range(100, 3100)) / 4:.2f}'), 'x|6'),)")

    def merge():
        headers = ("column_separator: ,", "merge_type: MERGE", "columns: id,name,price,gone", "delete: gone = 1")
        loaded(load("t", "1,A,9,0\n2,B,9,1\n", *headers), 2)
        equal(sql(f"SELECT id, name FROM {DATABASE}.t WHERE id < 10"), ((1, "A"),))

    def errors():
        answer = load("t", "x,a,1\n20,far too long a name,1\n21,b,2\n", "column_separator: ,")
        equal((answer["Status"], answer["Message"]), ("Fail", "[DATA_QUALITY_ERROR]too many filtered rows"), str(answer))
        equal((answer["NumberTotalRows"], answer["NumberFilteredRows"], answer["NumberLoadedRows"]), (3, 2, 0))
        log = subprocess.run(["curl", "-sS", answer["ErrorURL"]], capture_output=True, text=True, timeout=30).stdout
        assert "column(id) values is null while columns is not nullable. src line [x a 1]" in log, log
        equal(len(sql(f"SHOW LOAD WARNINGS ON '{answer['ErrorURL']}'")), 2)
        allowed = load("t", "x,a,1\n21,b,2\n", "column_separator: ,", "max_filter_ratio: 0.5")
        loaded(allowed, 1, NumberFilteredRows=1)

    def two_phases():
        answer = load("t", "30,c,1\n", "column_separator: ,", "two_phase_commit: true")
        loaded(answer, 1, TwoPhaseCommit="true")
        equal(sql(f"SELECT id FROM {DATABASE}.t WHERE id = 30"), ())
        done = load("t", "", f"txn_id: {answer['TxnId']}", "txn_operation: commit", path="_stream_load_2pc")
        equal(done, {"status": "Success", "msg": f"transaction [{answer['TxnId']}] commit successfully."})
        equal(sql(f"SELECT id FROM {DATABASE}.t WHERE id = 30"), ((30,),))

    def passwords():
        answer = load("t", "1,a,1\n", password="wrong")
        equal((answer["code"], answer["data"]), (401, "Access denied for user 'root@127.0.0.1' (using password: YES)"))

    return [
        ("CSV, labels", csv),
        ("expressions and filters", expressions),
        ("JSON, gzip, quotes", json_and_gzip),
        ("MERGE", merge),
        ("error URL", errors),
        ("two phases", two_phases),
        ("a wrong password is refused", passwords),
    ]
