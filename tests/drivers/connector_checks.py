"""MySQL Connector/Python: text protocol in pure Python, prepared statements, the C extension when it is there."""

from decimal import Decimal

import mysql.connector
from mysql.connector import errors

import tables
from compare import equal

NAME = f"Connector/Python {mysql.connector.version.VERSION_TEXT}"
DATABASE = "by_connector"


def checks(cluster):
    def connect(**options):
        settings = dict(host=cluster.host, port=cluster.port, user=cluster.user, password=cluster.password)
        settings.update(use_pure=True, ssl_disabled=True, connection_timeout=5)
        return mysql.connector.connect(**{**settings, **options})

    def fetch(sql, arguments=(), **options):
        with connect() as connection, connection.cursor(**options) as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall()

    def passwords():
        try:
            connect(password="wrong")
        except errors.Error as error:
            equal(error.errno, 1045)
            assert "Access denied for user" in error.msg, error
            return
        raise AssertionError("a wrong password was taken")

    def create_and_fill():
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} FORCE")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
            cursor.execute(tables.create(DATABASE, "t"))
        with connect(database=DATABASE) as connection, connection.cursor(prepared=True) as cursor:
            places = ", ".join(["%s"] * len(tables.COLUMNS))
            cursor.execute(f"INSERT INTO t VALUES ({places})", tables.FULL)
            equal(cursor.rowcount, 1)
            cursor.execute(f"INSERT INTO t VALUES ({places})", tables.EMPTY)
            equal(cursor.rowcount, 1)

    def read(**options):
        with connect(database=DATABASE, **options) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM t ORDER BY id")
            equal([column[1] for column in cursor.description], tables.TYPE_CODES, "types")
            equal(cursor.fetchall(), [tables.FULL, tables.EMPTY])

    def read_prepared():
        with connect(database=DATABASE) as connection, connection.cursor(prepared=True) as cursor:
            sql = "SELECT * FROM t WHERE id >= %s AND (v IS NULL OR v LIKE %s) ORDER BY id"
            for lowest, wanted in [(7, [tables.FULL, tables.EMPTY]), (8, [tables.EMPTY]), (9, [])]:
                cursor.execute(sql, (lowest, "it's%"))
                equal([column[1] for column in cursor.description], tables.TYPE_CODES, "types")
                equal(cursor.fetchall(), wanted)

    def expressions_prepared():
        sql = f"SELECT COUNT(*), SUM(n), MAX(`at`), id = %s FROM {DATABASE}.t WHERE n > %s GROUP BY id"
        rows = fetch(sql, (7, Decimal("1000.00")), prepared=True)
        equal(rows, [(1, Decimal("1234.50"), tables.FULL[10], 1)])

    def c_extension():
        try:
            import _mysql_connector  # noqa: F401
        except ImportError:
            return
        read(use_pure=False)

    def described():
        equal(fetch(f"DESC {DATABASE}.t")[:3], tables.DESCRIBED)
        rows = fetch(f"SHOW FULL COLUMNS FROM {DATABASE}.t", dictionary=True)
        equal((rows[8]["Field"], rows[8]["Type"]), ("n", "decimalv3(18,2)"))

    def transactions():
        with connect(database=DATABASE) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO t (id) VALUES (100)")
            connection.rollback()
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO t (id) VALUES (101)")
            connection.commit()
        equal(fetch(f"SELECT id FROM {DATABASE}.t WHERE id >= 100"), [(101,)])

    def errors_prepared():
        for sql, code in [(f"SELECT nothing FROM {DATABASE}.t", 1054), (f"SELECT * FROM {DATABASE}.no WHERE id = %s", 1105)]:
            try:
                fetch(sql, (1,) if "%s" in sql else (), prepared=True)
            except errors.Error as error:
                equal(error.errno, code, str(error))
            else:
                raise AssertionError(f"{sql} was taken")

    def pool():
        pool = mysql.connector.pooling.MySQLConnectionPool(
            pool_size=2, host=cluster.host, port=cluster.port, user=cluster.user, password=cluster.password,
            use_pure=True, ssl_disabled=True,
        )
        for _ in range(3):
            with pool.get_connection() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT DATABASE(), @@autocommit")
                equal(cursor.fetchall()[0][0], None)
                cursor.execute(f"USE {DATABASE}")

    return [
        ("a wrong password is refused", passwords),
        ("creates, fills by prepared statement", create_and_fill),
        ("reads every type", read),
        ("reads every type, prepared", read_prepared),
        ("expressions, prepared", expressions_prepared),
        ("C extension", c_extension),
        ("describes tables", described),
        ("transactions", transactions),
        ("errors while preparing", errors_prepared),
        ("a pool resets its connections", pool),
    ]
