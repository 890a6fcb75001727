//! PUBLISH_VERSION: which tablets have the version afterwards, and when it has to wait.

use std::collections::BTreeMap;

use dorisim_wire::TStatusCode;

use super::Agent;
use super::execute::Done;
use crate::sync::lock;
use dorisim_model::backend::{BackendApi, BeError};
use dorisim_net::agent::{FinishDetail, PublishVersion, TaskFailure};

/// An earlier version of a tablet is not there yet, and may come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wait;

/// Where a tablet stands after a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct After {
    tablet_id: i64,
    table_id: i64,
    /// Version that was to be published.
    wanted: i64,
    /// Version that it has.
    has: i64,
    /// Rows that the transaction brought, if it was published here and now or before.
    rows: i64,
    /// It holds a rowset of the transaction that is not published.
    holds: bool,
}

impl After {
    fn is_done(self) -> bool {
        self.has >= self.wanted && !self.holds
    }

    /// The rowset is here; versions between are not.
    fn is_gap(self) -> bool {
        self.holds && self.has + 1 < self.wanted
    }
}

impl Agent {
    /// Publishes. None: a fault took the answer.
    pub(super) async fn publish(
        &self,
        publish: &PublishVersion,
        accepted_ms: i64,
    ) -> Option<Result<Done, Wait>> {
        let wanted: BTreeMap<i64, i64> = publish.partitions.iter().copied().collect();
        let tablets = self.tablets_of(&wanted);
        let ids: Vec<i64> = tablets.iter().map(|(tablet, _)| *tablet).collect();
        let published = self
            .backend
            .publish_version(publish.txn_id, &publish.partitions, &ids)
            .await;
        let (rows, failure) = match published {
            Ok(published) => {
                let rows = published.iter().filter(|tablet| tablet.ok);
                (
                    rows.map(|tablet| (tablet.tablet_id, tablet.delta_rows))
                        .collect(),
                    None,
                )
            }
            Err(BeError::Down { .. }) => return None,
            Err(error) => (BTreeMap::new(), Some(TaskFailure::from(&error))),
        };
        let held = self.backend.committed_tablets(publish.txn_id);
        let after: Vec<After> = tablets
            .iter()
            .filter_map(|(tablet_id, wanted)| {
                let tablet = self.backend.tablet(*tablet_id).ok()?;
                let tablet = lock(&tablet);
                Some(After {
                    tablet_id: *tablet_id,
                    table_id: tablet.spec.table_id,
                    wanted: *wanted,
                    has: tablet.version,
                    rows: rows.get(tablet_id).copied().unwrap_or(0),
                    holds: held.contains(tablet_id),
                })
            })
            .collect();
        let age = self.backend.clock().now_ms().saturating_sub(accepted_ms);
        let patient = u128::try_from(age).unwrap_or(0) < self.config.publish_wait.as_millis();
        if failure.is_none() && patient && after.iter().any(|tablet| tablet.is_gap()) {
            return Some(Err(Wait));
        }
        let done = conclude(&after, publish, failure);
        Some(Ok(done.at(self.report_version())))
    }

    /// Tablets of the partitions, with the version that each shall have.
    fn tablets_of(&self, wanted: &BTreeMap<i64, i64>) -> Vec<(i64, i64)> {
        let of_partition = |(partition, version): (&i64, &i64)| {
            let tablets = self.backend.partitions.of(*partition);
            let version = *version;
            tablets.into_iter().map(move |tablet| (tablet, version))
        };
        wanted.iter().flat_map(of_partition).collect()
    }
}

/// What the frontend is told: every tablet of the partitions is either among the succeeded or among the failed.
fn conclude(after: &[After], publish: &PublishVersion, failure: Option<TaskFailure>) -> Done {
    let mut succeeded = BTreeMap::new();
    let mut failed = Vec::new();
    let mut delta_rows: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for tablet in after {
        if !tablet.is_done() {
            failed.push(tablet.tablet_id);
            continue;
        }
        succeeded.insert(tablet.tablet_id, tablet.wanted);
        let counted = publish.base_tablets.contains(&tablet.tablet_id);
        if counted && tablet.rows > 0 {
            let table = delta_rows.entry(tablet.table_id).or_default();
            table.insert(tablet.tablet_id, tablet.rows);
        }
    }
    let gap = after.iter().find(|tablet| tablet.is_gap());
    let failure = failure.or_else(|| {
        gap.map(|gap| TaskFailure {
            code: TStatusCode::INTERNAL_ERROR.0,
            message: format!(
                "version not continuous, tablet_id={}, tablet_max_version={}, txn_version={}",
                gap.tablet_id, gap.has, gap.wanted
            ),
        })
    });
    Done {
        outcome: failure.map_or(Ok(()), Err),
        detail: FinishDetail::Published {
            succeeded,
            failed,
            delta_rows,
        },
        report_version: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn after(tablet_id: i64, has: i64, holds: bool) -> After {
        After {
            tablet_id,
            table_id: 1,
            wanted: 5,
            has,
            rows: 3,
            holds,
        }
    }

    #[test]
    fn every_tablet_is_told_as_done_or_failed() {
        let publish = PublishVersion {
            txn_id: 1,
            partitions: vec![(9, 5)],
            base_tablets: BTreeSet::from([10]),
        };
        let tablets = [
            after(10, 5, false),
            after(11, 6, false),
            after(12, 3, true),
            after(13, 4, false),
        ];
        let done = conclude(&tablets, &publish, None);
        assert!(done.outcome.unwrap_err().message.contains("tablet_id=12"));
        let FinishDetail::Published {
            succeeded,
            failed,
            delta_rows,
        } = done.detail
        else {
            panic!("another detail");
        };
        assert_eq!(succeeded, BTreeMap::from([(10, 5), (11, 5)]));
        assert_eq!(failed, [12, 13]);
        assert_eq!(delta_rows, BTreeMap::from([(1, BTreeMap::from([(10, 3)]))]));
    }
}
