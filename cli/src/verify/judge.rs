//! Equal, different, or still moving? Decided from what was seen of one object, look by look.

use ccr_doris::{ColumnInfo, TableDigest};

/// Looks without any change, one after the other, after which a difference is believed.
const STEADY: usize = 3;
/// Contents of the source remembered: a destination follows some seconds behind.
const REMEMBERED: usize = 64;

/// A table or view as one side has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Visible columns.
    pub columns: Vec<ColumnInfo>,
    /// Rows; zero and empty for a view.
    pub digest: TableDigest,
}

/// Both sides, one shortly after the other. `None`: it does not exist there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// At the source.
    pub source: Option<Content>,
    /// At the destination, looked at afterwards.
    pub dest: Option<Content>,
}

impl Look {
    /// What differs, for people.
    pub fn difference(&self) -> String {
        match (&self.source, &self.dest) {
            (Some(_), None) => "missing at the destination".to_owned(),
            (None, Some(_)) => "only at the destination".to_owned(),
            (None, None) => "gone on both sides".to_owned(),
            (Some(source), Some(dest)) if source.columns != dest.columns => {
                columns(&source.columns, &dest.columns)
            }
            (Some(source), Some(dest)) if source.digest.rows != dest.digest.rows => {
                "number of rows".to_owned()
            }
            (Some(_), Some(_)) => "values".to_owned(),
        }
    }
}

fn columns(source: &[ColumnInfo], dest: &[ColumnInfo]) -> String {
    let text = |column: &ColumnInfo| format!("{} {}", column.name, column.kind);
    let only = |ours: &[ColumnInfo], theirs: &[ColumnInfo]| {
        let names: Vec<_> = ours
            .iter()
            .filter(|c| !theirs.contains(c))
            .map(text)
            .collect();
        names.join(", ")
    };
    let (here, there) = (only(source, dest), only(dest, source));
    if here.is_empty() && there.is_empty() {
        return "order of columns".to_owned();
    }
    format!("columns: source [{here}], destination [{there}]")
}

/// What can be said of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The destination has what the source has, or had a moment ago.
    Equal,
    /// Neither side moves, and they differ.
    Different,
    /// They differ, but the looks were too few or one of the sides changed between them.
    Moving,
}

/// Everything seen of one object.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    sources: Vec<Option<Content>>,
    last: Option<Look>,
    unchanged: usize,
}

impl Judge {
    /// Takes a look in and says what is known now. The destination repeats the source's commits in their order, so a content
    /// that the source had at any earlier look is as good as the newest.
    pub fn add(&mut self, look: Look) -> Verdict {
        self.unchanged = match &self.last {
            Some(last) if *last == look => self.unchanged + 1,
            Some(_) | None => 1,
        };
        if !self.sources.contains(&look.source) {
            if self.sources.len() == REMEMBERED {
                self.sources.remove(0);
            }
            self.sources.push(look.source.clone());
        }
        let equal = self.sources.contains(&look.dest);
        self.last = Some(look);
        match (equal, self.unchanged >= STEADY) {
            (true, _) => Verdict::Equal,
            (false, true) => Verdict::Different,
            (false, false) => Verdict::Moving,
        }
    }

    /// The newest look.
    pub fn last(&self) -> Option<&Look> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: u64) -> Option<Content> {
        Some(Content {
            columns: vec![column("k", "int")],
            digest: TableDigest {
                rows: n,
                sum: n.to_string(),
            },
        })
    }

    fn column(name: &str, kind: &str) -> ColumnInfo {
        ColumnInfo {
            name: name.to_owned(),
            kind: kind.to_owned(),
            is_key: true,
        }
    }

    fn look(source: Option<Content>, dest: Option<Content>) -> Look {
        Look { source, dest }
    }

    #[test]
    fn a_destination_that_follows_is_equal_although_the_source_is_ahead() {
        let mut judge = Judge::default();
        assert_eq!(judge.add(look(rows(5), rows(3))), Verdict::Moving);
        assert_eq!(judge.add(look(rows(9), rows(5))), Verdict::Equal);
    }

    #[test]
    fn a_difference_is_believed_when_nothing_moves() {
        let mut judge = Judge::default();
        assert_eq!(judge.add(look(rows(5), rows(4))), Verdict::Moving);
        assert_eq!(judge.add(look(rows(5), rows(4))), Verdict::Moving);
        assert_eq!(judge.add(look(rows(5), rows(4))), Verdict::Different);
    }

    #[test]
    fn what_moves_is_not_judged() {
        let mut judge = Judge::default();
        for n in 0..100 {
            assert_eq!(
                judge.add(look(rows(1000 + n), rows(n))),
                Verdict::Moving,
                "{n}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_shaped_otherwise_is_named() {
        let mut judge = Judge::default();
        assert_eq!(judge.add(look(rows(1), None)), Verdict::Moving);
        assert_eq!(
            look(rows(1), None).difference(),
            "missing at the destination"
        );
        assert_eq!(judge.add(look(None, None)), Verdict::Equal, "dropped");
        let mut wider = rows(1).unwrap();
        wider.columns.push(column("v", "bigint"));
        assert_eq!(
            look(Some(wider), rows(1)).difference(),
            "columns: source [v bigint], destination []"
        );
    }
}
