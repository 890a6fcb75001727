//! Names that a job gives to what is its own at a destination: staging tables and restore jobs.
//!
//! Both carry the job's mark, so that what an attempt, a process or a deleted job has left can be told from the staging
//! tables of every other job.

use ccr_control::JobSpec;
use sha2::{Digest, Sha256};

/// Longest table name and longest label of a restore job in Doris.
const MAX_NAME_LEN: usize = 64;
/// Bytes of the digest that make the mark.
const MARK_BYTES: usize = 6;
/// First part of the names of staging tables.
const STAGING: &str = "__ccr_";

/// Names of one job. The same through all incarnations of a job, and others for a job that is created again under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    mark: String,
    job: String,
}

impl Names {
    /// Returns the names of a job.
    pub fn of(spec: &JobSpec) -> Self {
        let mut digest = Sha256::new();
        for part in [
            spec.source.cluster_name.as_str(),
            &spec.source.database,
            &spec.dest.database,
            &spec.name,
            &spec.created_at_ms.to_string(),
        ] {
            digest.update(part);
            digest.update([0]);
        }
        let mark = digest
            .finalize()
            .iter()
            .take(MARK_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            mark,
            job: spec.name.clone(),
        }
    }

    /// Returns the name of the table into which `dest` is restored before it takes its place. `attempt` tells attempts apart.
    pub fn staging_table(&self, attempt: &str, dest: &str) -> String {
        let text = format!("{}{attempt}_{dest}", self.staging_prefix());
        label_text(&text, MAX_NAME_LEN)
    }

    /// Returns whether a table is a staging table of this job.
    pub fn is_staging_table(&self, table: &str) -> bool {
        table.starts_with(&self.staging_prefix())
    }

    /// Returns the label of a restore job. `attempt` tells attempts apart.
    pub fn restore_label(&self, attempt: &str) -> String {
        let text = format!("{}{attempt}_{}", self.label_prefix(), self.job);
        label_text(&text, MAX_NAME_LEN)
    }

    /// Returns whether a restore job is one of this job.
    pub fn is_restore_label(&self, label: &str) -> bool {
        label.starts_with(&self.label_prefix())
    }

    /// Returns whether a table is a staging table of any job.
    pub fn is_staging_table_of_a_job(table: &str) -> bool {
        table.starts_with(STAGING)
    }

    fn staging_prefix(&self) -> String {
        format!("{STAGING}{}_", self.mark)
    }

    fn label_prefix(&self) -> String {
        format!("ccr_{}_", self.mark)
    }
}

/// Returns a text in the alphabet of Doris' labels, at most `max` characters long. What does not fit is cut, and told apart
/// by a sum of the whole text.
pub fn label_text(text: &str, max: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if clean.len() <= max && clean == text {
        return clean;
    }
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let kept: String = clean.chars().take(max.saturating_sub(17)).collect();
    format!("{kept}_{sum:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(mark: &str, job: &str) -> Names {
        Names {
            mark: mark.to_owned(),
            job: job.to_owned(),
        }
    }

    #[test]
    fn labels_stay_in_the_alphabet_and_never_collide_by_cutting() {
        assert_eq!(label_text("ccr_job_a_1", 64), "ccr_job_a_1");
        let (a, b) = (label_text("job ä", 64), label_text("job ö", 64));
        assert_ne!(a, b);
        assert!(
            a.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
        let long = "x".repeat(300);
        assert!(label_text(&long, 100).len() <= 100);
        assert_ne!(label_text(&long, 100), label_text(&format!("{long}y"), 100));
    }

    #[test]
    fn a_staging_table_is_known_by_its_job_however_long_the_name_of_its_table_is() {
        let (one, other) = (names("a1b2c3d4e5f6", "j"), names("a1b2c3d4e5f7", "j"));
        for dest in ["t", "tägliche umsätze", &"x".repeat(64)] {
            let table = one.staging_table("18f0_42", dest);
            assert!(table.len() <= 64, "{table}");
            assert!(one.is_staging_table(&table), "{table}");
            assert!(!other.is_staging_table(&table), "{table}");
            assert_ne!(table, one.staging_table("18f0_43", dest));
        }
        let label = names("a1b2c3d4e5f6", &"j".repeat(128)).restore_label("18f0_1");
        assert!(one.is_restore_label(&label) && !other.is_restore_label(&label));
        assert!(label.len() <= 64, "{label}");
    }
}
