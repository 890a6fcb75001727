//! A Schema Registry with Confluent's interface, as far as a producer needs it: the id of its schema.
//!
//! `subject (topic and record) -> look up -> register when it is not there -> id`
//!
//! Read in Confluent's documentation of the interface, 2026: `POST /subjects/<subject>` looks a schema up (404 when subject or
//! schema is unknown), `POST /subjects/<subject>/versions` registers it (409 when it breaks the subject's compatibility, 422 when
//! it is no schema).

use std::fmt;
use std::time::Duration;

use ccr_schemas::TopicName;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;

/// Bound of one call.
const CALL: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;
/// Most characters of a refusal that are passed on.
const REASON_CHARS: usize = 300;

/// Whether unknown schemas may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Register them.
    Register,
    /// Somebody else registers, for example a release job; an unknown schema is an error.
    Refuse,
}

/// The registry's id of a schema, as in the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaId(pub u32);

/// A client of one registry. Plain HTTP.
#[derive(Clone)]
pub struct SchemaRegistry {
    base: String,
    client: Client,
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold an account.
        f.write_str("SchemaRegistry")
    }
}

#[derive(Deserialize)]
struct Found {
    id: u32,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl SchemaRegistry {
    /// A client for the registry at `base`, for example `http://registry:8081`.
    ///
    /// # Errors
    /// [`Error::Config`] when `base` is no `http://` address.
    pub fn new(base: &str) -> Result<Self, Error> {
        if !base.starts_with("http://") {
            return Err(Error::Config(
                "the schema registry's address must begin with http:// (TLS is for a proxy next to it)"
                    .to_owned(),
            ));
        }
        let client = Client::builder()
            .timeout(CALL)
            .build()
            .map_err(|source| Error::Config(format!("schema registry client: {source}")))?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// The subject of a record in a topic (TopicRecordNameStrategy: several kinds of records share a topic).
    pub fn subject(topic: &TopicName, record: &str) -> String {
        format!("{topic}-{record}")
    }

    /// The id of `schema` (Avro JSON) under `subject`. Safe to repeat: the same schema keeps its id.
    ///
    /// # Errors
    /// [`Error::Config`] with the registry's reason when it refuses the schema, or does not know it and `missing` is
    /// [`Missing::Refuse`]; [`Error::Unavailable`] when it does not answer in ten seconds, or with an error of its own.
    pub async fn schema_id(
        &self,
        subject: &str,
        schema: &str,
        missing: Missing,
    ) -> Result<SchemaId, Error> {
        let known = self.post(&format!("/subjects/{subject}"), schema).await?;
        if known.status() != StatusCode::NOT_FOUND {
            return id(subject, known).await;
        }
        match missing {
            Missing::Refuse => Err(Error::Config(format!(
                "the schema registry does not know this build's schema under subject {subject}; register it first"
            ))),
            Missing::Register => {
                let made = self
                    .post(&format!("/subjects/{subject}/versions"), schema)
                    .await?;
                id(subject, made).await
            }
        }
    }

    async fn post(&self, path: &str, schema: &str) -> Result<Response, Error> {
        self.client
            .post(format!("{}{path}", self.base))
            .header("Accept", "application/vnd.schemaregistry.v1+json")
            .json(&serde_json::json!({ "schema": schema, "schemaType": "AVRO" }))
            .send()
            .await
            .map_err(away)
    }
}

fn away(source: reqwest::Error) -> Error {
    Error::Unavailable {
        action: "ask the schema registry".to_owned(),
        source: Box::new(source.without_url()),
    }
}

async fn id(subject: &str, mut answer: Response) -> Result<SchemaId, Error> {
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(away)? {
        body.extend_from_slice(&part);
        if body.len() > ANSWER_BYTES {
            return Err(Error::Config(format!(
                "the schema registry's answer on subject {subject} is over {ANSWER_BYTES} bytes; is this a schema registry?"
            )));
        }
    }
    if status.is_success() {
        return serde_json::from_slice::<Found>(&body)
            .map(|found| SchemaId(found.id))
            .map_err(|error| {
                Error::Config(format!(
                    "the schema registry's answer on subject {subject} holds no id ({error}); is this a schema registry?"
                ))
            });
    }
    let reason = match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => refusal.message.chars().take(REASON_CHARS).collect(),
        Err(_) => "no reason given".to_owned(),
    };
    if status.is_server_error() {
        return Err(Error::Unavailable {
            action: format!("ask the schema registry for subject {subject}"),
            source: format!("it answered {status}: {reason}").into(),
        });
    }
    Err(Error::Config(format!(
        "the schema registry refused the schema of subject {subject}: {status}: {reason}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each request with the next of `answers` and hands back the request lines.
    async fn registry(
        answers: &'static [(&'static str, &'static str)],
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://user:pa55@{}/", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut lines = Vec::new();
            for (status, body) in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    let mut part = [0; 4096];
                    let n = socket.read(&mut part).await.unwrap();
                    request.extend_from_slice(&part[..n]);
                }
                let text = String::from_utf8(request).unwrap();
                lines.push(text.lines().next().unwrap().to_owned());
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
            lines
        });
        (base, served)
    }

    async fn ask(base: &str, missing: Missing) -> Result<SchemaId, Error> {
        let subject = SchemaRegistry::subject(&TopicName("t.events".to_owned()), "ccr.Event");
        SchemaRegistry::new(base)?
            .schema_id(&subject, r#""string""#, missing)
            .await
    }

    #[tokio::test]
    async fn a_known_schema_is_only_looked_up() {
        let (base, served) = registry(&[("200 OK", r#"{"subject":"s","version":1,"id":7}"#)]).await;
        assert_eq!(ask(&base, Missing::Refuse).await.unwrap(), SchemaId(7));
        assert_eq!(
            served.await.unwrap(),
            ["POST /subjects/t.events-ccr.Event HTTP/1.1"]
        );
    }

    #[tokio::test]
    async fn an_unknown_schema_is_registered_if_wanted() {
        const ABSENT: (&str, &str) = (
            "404 Not Found",
            r#"{"error_code":40401,"message":"Subject not found."}"#,
        );
        let (base, served) = registry(&[ABSENT, ("200 OK", r#"{"id":8}"#)]).await;
        assert_eq!(ask(&base, Missing::Register).await.unwrap(), SchemaId(8));
        assert_eq!(
            served.await.unwrap()[1],
            "POST /subjects/t.events-ccr.Event/versions HTTP/1.1"
        );
        let (base, served) = registry(&[ABSENT]).await;
        let refused = ask(&base, Missing::Refuse).await.unwrap_err();
        assert!(matches!(&refused, Error::Config(t) if t.contains("t.events-ccr.Event")));
        served.await.unwrap();
    }

    #[tokio::test]
    async fn refusals_carry_the_registrys_reason_and_no_account() {
        let (base, _served) = registry(&[(
            "422 Unprocessable Entity",
            r#"{"error_code":42201,"message":"Invalid schema"}"#,
        )])
        .await;
        let refused = format!("{:?}", ask(&base, Missing::Register).await.unwrap_err());
        assert!(
            refused.contains("Invalid schema") && !refused.contains("pa55"),
            "{refused}"
        );
        let (base, _served) = registry(&[("503 Service Unavailable", "<html>")]).await;
        let away = ask(&base, Missing::Register).await.unwrap_err();
        assert!(matches!(away, Error::Unavailable { .. }), "{away:?}");
        let (base, _served) = registry(&[("200 OK", "<html>")]).await;
        let other = ask(&base, Missing::Register).await.unwrap_err();
        assert!(matches!(other, Error::Config(_)), "{other:?}");
    }

    #[tokio::test]
    async fn nobody_there_is_unavailable_and_https_is_refused() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://user:pa55@{}", free.local_addr().unwrap());
        drop(free);
        let away = ask(&base, Missing::Register).await.unwrap_err();
        assert!(matches!(away, Error::Unavailable { .. }), "{away:?}");
        assert!(!format!("{away:?}").contains("pa55"));
        assert!(matches!(
            ask("https://r", Missing::Register).await,
            Err(Error::Config(_))
        ));
    }
}
