"""The table that every driver creates, fills and reads, and what it has to read."""

from datetime import date, datetime
from decimal import Decimal

COLUMNS = [
    ("id", "INT NOT NULL"),
    ("b", "BOOLEAN"),
    ("ti", "TINYINT"),
    ("si", "SMALLINT"),
    ("bi", "BIGINT"),
    ("li", "LARGEINT"),
    ("f", "FLOAT"),
    ("d", "DOUBLE"),
    ("n", "DECIMAL(18,2)"),
    ("day", "DATE"),
    ("at", "DATETIME(3)"),
    ("c", "CHAR(5)"),
    ("v", "VARCHAR(40)"),
    ("s", "STRING"),
    ("j", "JSON"),
]

FULL = (
    7, 1, -8, 300, 2**40, str(2**100), 1.5, 2.25, Decimal("1234.50"), date(2024, 2, 29),
    datetime(2024, 2, 29, 23, 59, 58, 250000), "ab", "it's \\ \"ü\" 数据", "line\nbreak\ttab", '{"k":[1,2]}',
)
EMPTY = (8,) + (None,) * 14

# MySQL's numbers of the types, in the order of COLUMNS.
TYPE_CODES = [3, 1, 1, 2, 8, 254, 4, 5, 246, 10, 12, 254, 254, 252, 245]

DESCRIBED = [
    ("id", "int", "No", "true", None, ""),
    ("b", "boolean", "Yes", "false", None, "NONE"),
    ("ti", "tinyint", "Yes", "false", None, "NONE"),
]


def create(database, table):
    columns = ", ".join(f"`{name}` {declared}" for name, declared in COLUMNS)
    return (
        f"CREATE TABLE {database}.{table} ({columns}) UNIQUE KEY(`id`) "
        f'DISTRIBUTED BY HASH(`id`) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
    )
