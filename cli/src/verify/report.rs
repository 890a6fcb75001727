//! What `ccr verify` tells.

use serde::Serialize;

use super::judge::{Look, Verdict};

/// Partitions named per table; more are counted.
const NAMED: usize = 20;

/// What was found of one table or view.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Name at the source.
    pub object: String,
    /// Name at the destination.
    pub dest_object: String,
    /// Rows at the source.
    pub source_rows: Option<u64>,
    /// Rows at the destination.
    pub dest_rows: Option<u64>,
    /// What can be said.
    pub result: Outcome,
    /// What differs, or why it could not be read.
    pub detail: String,
    /// Partitions that differ, when the table does.
    pub partitions: Vec<String>,
    /// Columns that cannot be compared.
    pub not_compared: Vec<String>,
}

/// What can be said of a table or view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Same rows, same columns.
    Equal,
    /// Not the same, and nothing moves.
    Different,
    /// Not the same yet; one of the sides kept changing.
    Undecided,
    /// One of the sides could not be read.
    Unread,
}

impl Finding {
    /// Out of the last look and the verdict.
    pub fn new(names: (&str, &str), look: Option<&Look>, verdict: &Verdict) -> Self {
        let result = match verdict {
            Verdict::Equal => Outcome::Equal,
            Verdict::Different => Outcome::Different,
            Verdict::Moving => Outcome::Undecided,
        };
        let rows = |content: Option<&super::judge::Content>| content.map(|c| c.digest.rows);
        Self {
            object: names.0.to_owned(),
            dest_object: names.1.to_owned(),
            source_rows: rows(look.and_then(|l| l.source.as_ref())),
            dest_rows: rows(look.and_then(|l| l.dest.as_ref())),
            result,
            detail: match result {
                Outcome::Equal => String::new(),
                Outcome::Different | Outcome::Undecided | Outcome::Unread => {
                    look.map(Look::difference).unwrap_or_default()
                }
            },
            partitions: Vec::new(),
            not_compared: look
                .and_then(|l| l.source.as_ref())
                .map(|content| {
                    let without_text = content
                        .columns
                        .iter()
                        .filter(|c| !ccr_doris::digest::has_text(&c.kind));
                    without_text.map(|c| c.name.clone()).collect()
                })
                .unwrap_or_default(),
        }
    }

    /// It could not be read.
    pub fn unread(names: (&str, &str), reason: String) -> Self {
        Self {
            result: Outcome::Unread,
            detail: reason,
            ..Self::new(names, None, &Verdict::Moving)
        }
    }

    /// One line of the table, and what belongs below it.
    pub fn line(&self) -> String {
        let rows = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let name = if self.object == self.dest_object {
            self.object.clone()
        } else {
            format!("{} -> {}", self.object, self.dest_object)
        };
        let verdict = match self.result {
            Outcome::Equal => "equal".to_owned(),
            Outcome::Different => format!("DIFFERENT: {}", self.detail),
            Outcome::Undecided => format!("UNDECIDED, kept changing: {}", self.detail),
            Outcome::Unread => format!("UNREAD: {}", self.detail),
        };
        let mut line = format!(
            "{name:<40} {:>14} {:>14}  {verdict}",
            rows(self.source_rows),
            rows(self.dest_rows)
        );
        if !self.not_compared.is_empty() {
            line.push_str(&format!(
                " (not compared: {})",
                self.not_compared.join(", ")
            ));
        }
        for partition in self.partitions.iter().take(NAMED) {
            line.push_str(&format!("\n    partition {partition}"));
        }
        if self.partitions.len() > NAMED {
            line.push_str(&format!(
                "\n    and {} more partitions",
                self.partitions.len() - NAMED
            ));
        }
        line
    }
}

/// Headline of the table.
pub fn headline() -> String {
    format!(
        "{:<40} {:>14} {:>14}  result",
        "table", "source rows", "target rows"
    )
}

/// The last line.
pub fn summary(findings: &[Finding]) -> String {
    let count = |outcome| findings.iter().filter(|f| f.result == outcome).count();
    let (different, undecided, unread) = (
        count(Outcome::Different),
        count(Outcome::Undecided),
        count(Outcome::Unread),
    );
    if different + undecided + unread == 0 {
        return format!("all {} tables and views are equal", findings.len());
    }
    format!(
        "{} equal, {different} different, {undecided} undecided, {unread} not read; `ccr job status NAME` shows halted \
         tables, `ccr job resync NAME` re-syncs the whole job",
        count(Outcome::Equal)
    )
}
