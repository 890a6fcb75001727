//! The newest record of each key, out of a topic read from its begin to its end.

use std::collections::BTreeMap;

use crate::event_log::Record;

/// Collects the newest record of each key.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    last: BTreeMap<String, Record>,
}

impl Newest {
    /// Takes the next records of the topic; tells the offset after them, or nothing when there are none.
    pub(crate) fn take(&mut self, records: Vec<Record>) -> Option<i64> {
        let next = records.last()?.offset.0 + 1;
        for record in records {
            self.last.insert(record.key.clone(), record);
        }
        Some(next)
    }

    /// What stands: keys whose newest record removes them are left out.
    pub(crate) fn standing(mut self) -> BTreeMap<String, Record> {
        self.last.retain(|_, record| record.value.is_some());
        self.last
    }
}
