//! Loads that nobody published or cleared for long: tablet reports name them, and the frontend tells what became of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// When the transactions of now were first noticed.
#[derive(Debug, Default)]
pub struct Expiry(Mutex<HashMap<i64, i64>>);

impl Expiry {
    /// Tablet to its transactions that were noticed `after` or longer ago. `open` are all (transaction, tablets) of now.
    pub fn expired(
        &self,
        open: &[(i64, Vec<i64>)],
        now_ms: i64,
        after: Duration,
    ) -> BTreeMap<i64, Vec<i64>> {
        let mut noticed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now_open: HashSet<i64> = open.iter().map(|(txn, _)| *txn).collect();
        noticed.retain(|txn, _| now_open.contains(txn));
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let mut expired: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (txn, tablets) in open {
            let since = *noticed.entry(*txn).or_insert(now_ms);
            if now_ms.saturating_sub(since) < after {
                continue;
            }
            for tablet in tablets {
                expired.entry(*tablet).or_default().push(*txn);
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_expires_from_its_first_notice_on() {
        let expiry = Expiry::default();
        let open = [(1, vec![10, 11]), (2, vec![10])];
        let after = Duration::from_secs(1);
        assert!(expiry.expired(&open[..1], 0, after).is_empty());
        assert_eq!(
            expiry.expired(&open, 1000, after),
            BTreeMap::from([(10, vec![1]), (11, vec![1])])
        );
        assert!(expiry.expired(&open[1..], 1500, after).is_empty());
        assert!(expiry.expired(&open, 2000, after)[&10].contains(&2));
        assert_eq!(
            expiry.expired(&open, 2000, after)[&10],
            [2],
            "1 was gone meanwhile"
        );
    }
}
