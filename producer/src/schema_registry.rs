//! Registers the schema of events, so that other tools can read them.

use std::time::Duration;

use ccr_schemas::TopicName;
use ccr_schemas::codec::schema_json;
use serde::Deserialize;

use crate::error::Error;

/// Bound of the call.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

/// Registers the schema as the value of a topic and returns its id. Registering it again gives the same id.
///
/// # Errors
/// [`Error::SchemaRegistry`].
pub(crate) async fn register(base: &str, topic: &TopicName) -> Result<u32, Error> {
    let url = format!(
        "{}/subjects/{topic}-value/versions",
        base.trim_end_matches('/')
    );
    let failed = |source: reqwest::Error| Error::SchemaRegistry {
        // The address may hold an account.
        source: source.without_url(),
    };
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(failed)?;
    let answer = client
        .post(url)
        .json(&serde_json::json!({ "schema": schema_json() }))
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    Ok(answer.json::<Registered>().await.map_err(failed)?.id)
}
