//! Looks through events that are not taken yet, for what they remove.

use std::sync::Arc;

use ccr_log::{Offset, SharedLog};
use ccr_schemas::TopicName;

use crate::bootstrap::decode;
use crate::error::Error;
use crate::plan::Settings;
use crate::plan::removal::{Removal, removals};

/// Events read at once.
const PAGE: usize = 500;

/// Reads a job's events without taking them.
#[derive(Clone)]
pub struct LookAhead {
    pub(crate) log: SharedLog,
    pub(crate) topic: TopicName,
    pub(crate) settings: Arc<Settings>,
}

impl LookAhead {
    /// Everything that the events from an offset to the present end of the topic remove, in order.
    ///
    /// # Errors
    /// The log, or a record that can not be read.
    pub async fn look(&self, from: Offset) -> Result<Vec<Removal>, Error> {
        let (_, end) = self.log.watermarks(&self.topic).await?;
        let mut found = Vec::new();
        let mut next = from;
        while next < end {
            let records = self.log.read_range(&self.topic, next, PAGE).await?;
            let Some(last) = records.last() else {
                break;
            };
            next = Offset(last.offset.0 + 1);
            for record in &records {
                let envelope = decode(&self.topic, record)?;
                found.extend(removals(&envelope, &self.settings));
            }
        }
        Ok(found)
    }
}
