//! Which objects of a snapshot a job restores under which names, also over those that are there already.
//!
//! Doris restores over an existing table when it bears its own name. Under another name it never does: the signature it
//! compares contains the name at the source. Such a table is restored aside, under a fresh name, and then takes its place.

use std::collections::BTreeSet;

use ccr_control::JobSpec;
use ccr_doris::ddl::{self as sql, ObjectName};
use ccr_schemas::event::SnapshotTaken;

use crate::names::Names;

/// One object of the snapshot that the job follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name at the source.
    pub name: String,
    /// Name at the destination.
    pub dest: String,
    /// The fresh name it is restored under before it takes the place of `dest`.
    pub aside: Option<String>,
}

/// What a job restores of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Objects.
    pub objects: Vec<Target>,
    /// These are all objects of the source database, each under its own name.
    pub everything: bool,
}

impl Targets {
    /// For the n-th snapshot asked for.
    pub fn of(spec: &JobSpec, taken: &SnapshotTaken, n: u32) -> Self {
        let tables = taken.tables.iter().map(|table| (&table.table.name, true));
        let views = taken.views.iter().map(|view| (&view.name, false));
        let mut everything = taken.whole_database;
        let mut objects = Vec::new();
        for (name, is_table) in tables.chain(views) {
            if !spec.tables.takes(name) {
                everything = false;
                continue;
            }
            let dest = spec.dest.table_names.get(name).unwrap_or(name);
            let renamed = dest != name;
            everything &= !renamed;
            let aside = (renamed && is_table && spec.replaces_existing()).then(|| {
                let attempt = format!("{}_{n}", spec.incarnation);
                Names::of(spec).staging_table(&attempt, dest)
            });
            objects.push(Target {
                name: name.clone(),
                dest: dest.clone(),
                aside,
            });
        }
        Self {
            objects,
            everything,
        }
    }

    /// Table references of the restore; none means all.
    pub fn references(&self) -> Vec<(String, Option<String>)> {
        if self.everything {
            return Vec::new();
        }
        let reference = |target: &Target| {
            let under = target.aside.as_ref().unwrap_or(&target.dest);
            (
                target.name.clone(),
                (*under != target.name).then(|| under.clone()),
            )
        };
        self.objects.iter().map(reference).collect()
    }

    /// Statements that bring what was restored aside into its place, given the objects of the destination database. What
    /// stands aside no more has taken its place: after a crash only the rest is done.
    pub fn into_place(&self, there: &BTreeSet<String>) -> Vec<String> {
        let mut statements = Vec::new();
        for target in &self.objects {
            let Some(aside) = target.aside.as_ref().filter(|name| there.contains(*name)) else {
                continue;
            };
            let name = |name| ObjectName {
                database: None,
                name,
            };
            statements.push(if there.contains(&target.dest) {
                sql::replace_table(name(&target.dest), aside, false)
            } else {
                sql::rename_table(name(aside), &target.dest)
            });
        }
        statements
    }
}
