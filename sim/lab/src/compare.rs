//! Are two tables equal? Rows counted and hashed without regard to their order, on each side by itself.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use ccr_doris::SqlSession;
use ccr_doris::ddl::ident;

/// What a table holds, in three numbers. Two tables with the same multiset of rows have the same digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Digest {
    /// Number of rows.
    pub rows: u64,
    /// Wrapping sum of the rows' hashes: repeated rows count.
    pub sum: u64,
    /// Exclusive or of the rows' hashes.
    pub xor: u64,
}

impl Digest {
    /// Takes a row in: its values by column name.
    pub fn add(&mut self, row: &ccr_doris::Row) {
        // `DefaultHasher::new` has fixed keys: the same on both sides.
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        let hash = hasher.finish();
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
        self.xor ^= hash;
    }
}

/// Digest of a table as its cluster answers it now.
pub async fn digest(sql: &dyn SqlSession, database: &str, table: &str) -> Result<Digest> {
    let rows = sql
        .query(
            None,
            &format!("SELECT * FROM {}.{}", ident(database), ident(table)),
        )
        .await
        .with_context(|| format!("reading {database}.{table} to compare it"))?;
    let mut digest = Digest::default();
    for row in &rows {
        digest.add(row);
    }
    Ok(digest)
}

/// One line of the final table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Job, or target.
    pub target: String,
    /// Table at the destination.
    pub table: String,
    /// Source side.
    pub source: Digest,
    /// Destination side; `None` when the table could not be read, with the reason.
    pub dest: Result<Digest, String>,
}

impl Comparison {
    /// Same rows on both sides.
    pub fn equal(&self) -> bool {
        self.dest.as_ref() == Ok(&self.source)
    }
}

/// The final table, for people.
pub fn render(comparisons: &[Comparison]) -> String {
    let mut out = format!(
        "{:<16} {:<14} {:>12} {:>12} {:>18} {:>18}  {}\n",
        "target",
        "table",
        "source rows",
        "target rows",
        "source checksum",
        "target checksum",
        "equal"
    );
    for c in comparisons {
        let (rows, sum) = match &c.dest {
            Ok(digest) => (digest.rows.to_string(), format!("{:016x}", digest.sum)),
            Err(_) => ("-".to_owned(), "-".to_owned()),
        };
        let verdict = match (&c.dest, c.equal()) {
            (Err(reason), _) => format!("NO: {reason}"),
            (Ok(_), true) => "yes".to_owned(),
            (Ok(_), false) => "NO".to_owned(),
        };
        out.push_str(&format!(
            "{:<16} {:<14} {:>12} {:>12} {:>18} {:>18}  {verdict}\n",
            c.target,
            c.table,
            c.source.rows,
            rows,
            format!("{:016x}", c.source.sum),
            sum
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, value: Option<&str>) -> ccr_doris::Row {
        ccr_doris::Row::from([
            ("id".to_owned(), Some(id.to_owned())),
            ("v".to_owned(), value.map(str::to_owned)),
        ])
    }

    fn digest_of(rows: &[ccr_doris::Row]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    #[test]
    fn order_does_not_matter_but_doubles_and_nulls_do() {
        let (a, b) = (row("1", Some("x")), row("2", None));
        assert_eq!(
            digest_of(&[a.clone(), b.clone()]),
            digest_of(&[b.clone(), a.clone()])
        );
        assert_ne!(
            digest_of(std::slice::from_ref(&a)),
            digest_of(&[a.clone(), a.clone()])
        );
        assert_ne!(
            digest_of(&[a.clone(), b.clone(), b.clone()]),
            digest_of(&[a.clone(), a, b])
        );
        assert_ne!(
            digest_of(&[row("2", None)]),
            digest_of(&[row("2", Some(""))])
        );
    }
}
