//! The newest record of a topic.

use ccr_schemas::TopicName;

use crate::error::Error;
use crate::event_log::{EventLog, Offset, Record};

/// Records read at a time.
const PAGE: usize = 64;

/// Returns the newest record of a topic, `None` when the topic is empty. The offset before the end may be a hole, so this looks
/// ever further back.
///
/// # Errors
/// Any [`Error`] of the log.
pub async fn last_record(log: &dyn EventLog, topic: &TopicName) -> Result<Option<Record>, Error> {
    let (oldest, end) = log.watermarks(topic).await?;
    let (mut from, mut back) = (end.0, 1_i64);
    while from > oldest.0 {
        from = end.0.saturating_sub(back).max(oldest.0);
        back = back.saturating_mul(4);
        let (mut next, mut last) = (Offset(from), None);
        while next < end {
            let Some(record) = log.read_range(topic, next, PAGE).await?.pop() else {
                break;
            };
            next = Offset(record.offset.0 + 1);
            last = Some(record);
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}
