//! What happens to the source's tables while they are loaded.

/// A statement and when it is run.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// Percent of the live batches loaded before it; 100 is after all of them.
    pub at: usize,
    /// The statement.
    pub sql: &'static str,
}

/// In order of `at`.
pub fn statements() -> Vec<Statement> {
    let at = |at, sql| Statement { at, sql };
    vec![
        at(
            10,
            "ALTER TABLE supplier ADD COLUMN s_rating INT NULL DEFAULT \"3\"",
        ),
        at(
            15,
            "CREATE TABLE scratch (id BIGINT NOT NULL, note VARCHAR(64)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
        ),
        at(
            15,
            "INSERT INTO scratch VALUES (1, 'one'), (2, 'two'), (3, NULL)",
        ),
        at(
            20,
            "ALTER TABLE orders ADD PARTITION p1999 VALUES [(\"1999-01-01\"), (\"2000-01-01\"))",
        ),
        at(
            20,
            "INSERT INTO orders VALUES (100000001, '1999-03-04', 1, 'O', 123.45, '5-LOW', 'Clerk#000000001', 0, 'from the future')",
        ),
        at(
            30,
            "DELETE FROM lineitem PARTITION s1994 WHERE l_quantity < 10",
        ),
        at(35, "DELETE FROM customer WHERE c_nationkey = 3"),
        at(
            40,
            "INSERT INTO scratch SELECT s_suppkey, s_name FROM supplier WHERE s_suppkey < 20",
        ),
        at(45, "ALTER TABLE scratch RENAME notes"),
        at(50, "INSERT INTO notes VALUES (4, 'after the rename')"),
        at(55, "ALTER TABLE supplier DROP COLUMN s_rating"),
        at(
            60,
            "CREATE TABLE doomed (id INT NOT NULL, v INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
        ),
        at(60, "INSERT INTO doomed VALUES (1, 1), (2, 2)"),
        at(70, "DROP TABLE doomed"),
        at(
            80,
            "INSERT INTO nation VALUES (7, 'GERMANY', 3, 'a comment that was updated')",
        ),
        at(100, "ALTER TABLE lineitem DROP PARTITION s1992"),
        at(100, "TRUNCATE TABLE region"),
        at(
            100,
            "INSERT INTO region VALUES (0, 'AFRICA', 'written after the truncate'), (1, 'AMERICA', NULL)",
        ),
    ]
}
