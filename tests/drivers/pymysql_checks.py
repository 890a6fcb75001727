"""PyMySQL: text protocol."""

from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import version

import pymysql

import tables
from compare import equal

NAME = f"PyMySQL {version('pymysql')}"
DATABASE = "by_pymysql"


def checks(cluster):
    def connect(**options):
        settings = dict(host=cluster.host, port=cluster.port, user=cluster.user, password=cluster.password)
        return pymysql.connect(**{**settings, "charset": "utf8mb4", "connect_timeout": 5, **options})

    def fetch(sql, arguments=None):
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall()

    def refused(code, action):
        try:
            action()
        except pymysql.MySQLError as error:
            equal(error.args[0], code, f"the number of: {error}")
            return error.args[1]
        raise AssertionError("nothing was refused")

    def passwords():
        for options in [{"password": "wrong"}, {"password": ""}, {"user": "nobody"}]:
            text = refused(1045, lambda: connect(**options))
            assert text.startswith("Access denied for user '"), text
        refused(1049, lambda: connect(database="nowhere"))

    def create_and_fill():
        with connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} FORCE")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
            cursor.execute(tables.create(DATABASE, "t"))
            places = ", ".join(["%s"] * len(tables.COLUMNS))
            equal(cursor.execute(f"INSERT INTO {DATABASE}.t VALUES ({places})", tables.FULL), 1)
            equal(cursor.executemany(f"INSERT INTO {DATABASE}.t VALUES ({places})", [tables.EMPTY]), 1)

    def read():
        with connect(database=DATABASE) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM t ORDER BY id")
            equal([column[1] for column in cursor.description], tables.TYPE_CODES, "types")
            equal([column[5] for column in cursor.description][8:11], [2, 0, 3], "scales")
            equal(cursor.fetchall(), (tables.FULL, tables.EMPTY))

    def expressions():
        sql = (
            f"SELECT COUNT(*), SUM(n), MAX(day), MIN(`at`), 1, 1.50, 'x', NULL, id > 3, CAST(id AS BIGINT) "
            f"FROM {DATABASE}.t WHERE id = 7 GROUP BY id"
        )
        wanted = (1, Decimal("1234.50"), date(2024, 2, 29), tables.FULL[10], 1, Decimal("1.50"), "x", None, 1, 7)
        equal(fetch(sql), (wanted,))
        equal(fetch("SELECT CAST('2024-02-29 01:02:03' AS DATETIME)"), ((datetime(2024, 2, 29, 1, 2, 3),),))

    def dictionaries_and_streams():
        with connect(database=DATABASE, cursorclass=pymysql.cursors.DictCursor) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT id, v FROM t WHERE id = %(id)s", {"id": 7})
                equal(cursor.fetchone(), {"id": 7, "v": tables.FULL[12]})
            with connection.cursor(pymysql.cursors.SSCursor) as cursor:
                cursor.execute('SELECT number FROM numbers("number" = "5000")')
                equal(sum(row[0] for row in cursor), 12497500)

    def describe():
        equal(fetch(f"DESC {DATABASE}.t")[:3], tuple(tables.DESCRIBED))
        equal(fetch(f"SHOW TABLES FROM {DATABASE}"), (("t",),))
        created = fetch(f"SHOW CREATE TABLE {DATABASE}.t")[0]
        equal(created[0], "t")
        assert "UNIQUE KEY(`id`)" in created[1] and "`n` decimal(18,2) NULL" in created[1], created[1]
        equal(fetch(f"SELECT TABLE_NAME FROM information_schema.tables WHERE TABLE_SCHEMA = '{DATABASE}'"), (("t",),))

    def transactions():
        with connect(database=DATABASE) as connection, connection.cursor() as cursor:
            for end, left in [(connection.rollback, 0), (connection.commit, 2)]:
                connection.begin()
                cursor.execute("INSERT INTO t (id) VALUES (100)")
                cursor.execute("INSERT INTO t (id) VALUES (101)")
                equal(fetch(f"SELECT COUNT(*) FROM {DATABASE}.t WHERE id >= 100"), ((0,),))
                end()
                equal(fetch(f"SELECT COUNT(*) FROM {DATABASE}.t WHERE id >= 100"), ((left,),))

    def changes():
        with connect(database=DATABASE, autocommit=True) as connection, connection.cursor() as cursor:
            equal(cursor.execute("UPDATE t SET v = CONCAT('new ', id), n = n + 1 WHERE id = 7"), 1)
            equal(fetch(f"SELECT v, n FROM {DATABASE}.t WHERE id = 7"), (("new 7", Decimal("1235.50")),))
            equal(cursor.execute("DELETE FROM t WHERE id >= %s", (100,)), 2)
            equal(fetch(f"SELECT COUNT(*) FROM {DATABASE}.t"), ((2,),))

    def several_statements():
        flag = pymysql.constants.CLIENT.MULTI_STATEMENTS
        with connect(database=DATABASE, client_flag=flag, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SET @low = 7; SELECT id FROM t WHERE id > @low; UPDATE t SET si = 5 WHERE id = 7; SELECT 'end'")
            answers = []
            while True:
                answers.append(cursor.rowcount if cursor.description is None else cursor.fetchall())
                if not cursor.nextset():
                    break
            equal(answers, [0, ((8,),), 1, (("end",),)])
            refused(1105, lambda: cursor.execute("SELECT nothing FROM t; SELECT 1"))

    def errors():
        refused(1105, lambda: fetch("SELEC 1"))
        assert "nothing" in refused(1105, lambda: fetch(f"SELECT * FROM {DATABASE}.nothing"))
        refused(1105, lambda: fetch(f"SELECT nothing FROM {DATABASE}.t"))
        user, password = cluster.reader
        with connect(user=user, password=password) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {DATABASE}.t")
            equal(cursor.fetchall(), ((2,),))
            refused(1105, lambda: cursor.execute(f"DROP TABLE {DATABASE}.t"))
            # The connection stays of use.
            cursor.execute("SELECT 1")
            equal(cursor.fetchall(), ((1,),))
            assert connection.ping() is None

    return [
        ("a wrong password is refused", passwords),
        ("creates and fills a table", create_and_fill),
        ("reads every type", read),
        ("expressions have types", expressions),
        ("dictionaries, unbuffered rows", dictionaries_and_streams),
        ("describes tables", describe),
        ("transactions", transactions),
        ("UPDATE and DELETE", changes),
        ("several statements at once", several_statements),
        ("errors and privileges", errors),
    ]
