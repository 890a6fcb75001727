//! Do the jobs of this installation lead a change back to the tables it came from? Pure.
//!
//! A job is an edge from a source database to a destination database, for some tables, some of them under another name there.
//! A loop exists when the tables that a job writes reach, through other jobs, tables that it reads. Other tables of the same
//! two databases may be replicated in the opposite direction.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::job::{JobSpec, TableFilter};

/// A database of a cluster: `(cluster name, database)`.
type Node<'a> = (&'a str, &'a str);

/// Returns the jobs along which changes of `job` would come back to its own source, in order and without `job` itself; empty when
/// source and destination are the same tables. `None` when nothing comes back. A destination whose cluster is not known
/// leads nowhere.
pub fn find_loop<'a>(
    job: &JobSpec,
    others: impl IntoIterator<Item = &'a JobSpec>,
) -> Option<Vec<String>> {
    let mut leaving: BTreeMap<Node<'_>, Vec<&JobSpec>> = BTreeMap::new();
    for other in others {
        if other.name != job.name {
            leaving.entry(source(other)).or_default().push(other);
        }
    }
    let mut reached: BTreeMap<Node<'_>, Tables> = BTreeMap::new();
    let mut queue = VecDeque::from([(dest(job)?, written(job, Tables::all()), Vec::new())]);
    while let Some((node, tables, path)) = queue.pop_front() {
        let seen = reached.entry(node).or_insert_with(Tables::none);
        let fresh = tables.without(seen);
        if fresh.is_empty() {
            continue;
        }
        *seen = seen.with(&fresh);
        if node == source(job) && !read(job, fresh.clone()).is_empty() {
            return Some(path);
        }
        for next in leaving.get(&node).into_iter().flatten() {
            if let Some(to) = dest(next) {
                let mut path = path.clone();
                path.push(next.name.clone());
                queue.push_back((to, written(next, fresh.clone()), path));
            }
        }
    }
    None
}

fn source(job: &JobSpec) -> Node<'_> {
    (&job.source.cluster_name, &job.source.database)
}

fn dest(job: &JobSpec) -> Option<Node<'_>> {
    let cluster = job.dest.cluster_name.as_str();
    (!cluster.is_empty()).then_some((cluster, &job.dest.database))
}

/// What of the source's tables the job reads.
fn read(job: &JobSpec, tables: Tables) -> Tables {
    tables.within(&Tables::of(&job.tables))
}

/// What the job writes at its destination when these tables change at its source.
fn written(job: &JobSpec, tables: Tables) -> Tables {
    let names = &job.dest.table_names;
    let there = |name: String| names.get(&name).cloned().unwrap_or(name);
    match read(job, tables) {
        Tables::Only(names) => Tables::Only(names.into_iter().map(there).collect()),
        Tables::AllBut(left_out) => {
            let renamed = names.keys().cloned();
            let mut left_out: BTreeSet<String> = left_out.into_iter().chain(renamed).collect();
            left_out.retain(|name| !names.values().any(|new| new == name));
            Tables::AllBut(left_out)
        }
    }
}

/// A set of table names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tables {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Tables {
    fn all() -> Self {
        Self::AllBut(BTreeSet::new())
    }

    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn of(filter: &TableFilter) -> Self {
        if filter.include.is_empty() {
            Self::AllBut(filter.exclude.clone())
        } else {
            Self::Only(&filter.include - &filter.exclude)
        }
    }

    /// False for all tables but some: there may be any number of others.
    fn is_empty(&self) -> bool {
        *self == Self::none()
    }

    fn inverse(&self) -> Self {
        match self {
            Self::Only(names) => Self::AllBut(names.clone()),
            Self::AllBut(names) => Self::Only(names.clone()),
        }
    }

    fn within(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a & b),
            (Self::Only(a), Self::AllBut(b)) | (Self::AllBut(b), Self::Only(a)) => {
                Self::Only(a - b)
            }
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(a | b),
        }
    }

    fn without(&self, other: &Self) -> Self {
        self.within(&other.inverse())
    }

    fn with(&self, other: &Self) -> Self {
        self.inverse().within(&other.inverse()).inverse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `from cluster, to cluster, tables read (empty: all), names there`
    fn job(name: &str, from: &str, to: &str, tables: &[&str], names: &[(&str, &str)]) -> JobSpec {
        let end = r#"{"frontends": [], "user": "u", "sealed_password": ""}"#;
        let mut job: JobSpec = serde_json::from_str(&format!(
            r#"{{"name": "{name}", "incarnation": "i", "version": 1, "wanted": "running", "tables": {{}}, "options": {{}},
                "source": {{"cluster_name": "{from}", "database": "db", "cluster": {end}}},
                "dest": {{"cluster_name": "{to}", "database": "db", "cluster": {end}}}, "created_at_ms": 0}}"#
        ))
        .unwrap();
        job.tables.include = tables.iter().map(|name| (*name).to_owned()).collect();
        job.dest.table_names = names
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect();
        job
    }

    fn found(new: JobSpec, others: &[&JobSpec]) -> Option<String> {
        find_loop(&new, others.iter().copied()).map(|path| path.join(" "))
    }

    #[test]
    fn loops_over_any_number_of_jobs_are_found() {
        let a_b = || job("ab", "a", "b", &[], &[]);
        let b_c = || job("bc", "b", "c", &[], &[]);
        let itself = job("aa", "a", "a", &[], &[]);
        assert_eq!(found(itself, &[]).as_deref(), Some(""));
        let back = || job("ba", "b", "a", &[], &[]);
        assert_eq!(found(back(), &[]), None);
        assert_eq!(found(back(), &[&a_b()]).as_deref(), Some("ab"));
        let ring = || job("ca", "c", "a", &[], &[]);
        assert_eq!(found(ring(), &[&a_b(), &b_c()]).as_deref(), Some("ab bc"));
        assert_eq!(found(ring(), &[&b_c()]), None);
        // A chain and a fan-out are no loops, nor is a loop that the new job only feeds.
        let fan = job("ad", "a", "d", &[], &[]);
        assert_eq!(found(fan, &[&a_b(), &b_c(), &back()]), None);
        let feeder = job("xa", "x", "a", &[], &[]);
        assert_eq!(found(feeder, &[&a_b(), &back()]), None);
    }

    #[test]
    fn only_the_same_tables_make_a_loop() {
        let one = |name, from, to, table| job(name, from, to, &[table], &[]);
        let there = one("ab", "a", "b", "t");
        assert_eq!(found(one("ba", "b", "a", "u"), &[&there]), None);
        assert!(found(one("ba", "b", "a", "t"), &[&there]).is_some());
        assert!(found(job("ba", "b", "a", &[], &[]), &[&there]).is_some());
        let mut rest = job("ba", "b", "a", &[], &[]);
        rest.tables.exclude.insert("t".to_owned());
        assert_eq!(found(rest, &[&there]), None);
        // Names follow the table: t -> t2 -> t3 ends outside, t -> t2 -> t comes back.
        let renamed = job("ab", "a", "b", &["t"], &[("t", "t2")]);
        let away = job("ba", "b", "a", &["t2"], &[("t2", "t3")]);
        assert_eq!(found(away, &[&renamed]), None);
        let home = job("ba", "b", "a", &["t2"], &[("t2", "t")]);
        assert_eq!(found(home, &[&renamed]).as_deref(), Some("ab"));
        // A database job in a chain of renames passes on what it got.
        let all = job("bc", "b", "c", &[], &[]);
        let home = job("ca", "c", "a", &["t2"], &[("t2", "t")]);
        assert_eq!(found(home, &[&renamed, &all]).as_deref(), Some("ab bc"));
    }

    #[test]
    fn a_destination_of_an_unknown_cluster_leads_nowhere() {
        let unknown = job("ab", "a", "", &[], &[]);
        assert_eq!(found(job("ba", "b", "a", &[], &[]), &[&unknown]), None);
        assert_eq!(found(unknown, &[&job("ba", "b", "a", &[], &[])]), None);
    }
}
