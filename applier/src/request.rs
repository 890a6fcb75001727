//! What an applier asks of the producer, through the control topic.

use ccr_control::{ProducerRequest, SourceSpec};
use ccr_log::{NewRecord, SharedLog};
use ccr_schemas::TopicName;

use crate::error::Error;

/// Posts a request; it is durable when this returns. `prefix` is the first part of topic names.
///
/// # Errors
/// The log.
pub(crate) async fn post(
    log: &SharedLog,
    prefix: &str,
    source: &SourceSpec,
    request: &ProducerRequest,
) -> Result<(), Error> {
    let control = TopicName::control(prefix, &source.cluster_name, &source.database);
    let (ProducerRequest::Snapshot { request_id, .. } | ProducerRequest::Withdraw { request_id }) =
        request;
    let value = serde_json::to_vec(request)
        .map_err(|error| Error::Config(format!("request can not be written: {error}")))?;
    let record = NewRecord {
        key: request_id.clone(),
        value: Some(value.into()),
        headers: Vec::new(),
    };
    log.append(&control, vec![record]).await?;
    Ok(())
}
