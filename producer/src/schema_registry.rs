//! Registers the schema of events, so that other tools can read them.

use ccr_log::{Missing, SchemaRegistry};
use ccr_schemas::TopicName;
use ccr_schemas::codec::schema_json;

use crate::error::Error;

/// Full name of the record that every event is.
const RECORD: &str = "ccr.Envelope";

/// Registers the schema for a topic and returns its id. Registering it again gives the same id.
///
/// # Errors
/// [`Error::SchemaRegistry`].
pub(crate) async fn register(base: &str, topic: &TopicName) -> Result<u32, Error> {
    let id = async {
        SchemaRegistry::new(base)?
            .schema_id(
                &SchemaRegistry::subject(topic, RECORD),
                schema_json(),
                Missing::Register,
            )
            .await
    };
    id.await
        .map(|id| id.0)
        .map_err(|source| Error::SchemaRegistry { source })
}
