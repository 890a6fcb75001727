//! The first contact: who answers, and when nobody does, why, in words that name the next step.
//!
//! librdkafka goes on trying whatever a broker says, and tells a caller only that it could not; the reason it gives to the client's
//! context. So questions are short, and between them the reason is looked at.

use std::sync::Arc;
use std::time::Duration;

use ccr_ops::Clock;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::Producer;

use super::admin::{blocking, brokers};
use super::config::KafkaConfig;
use super::failure::{Quiet, Trouble};
use super::writer::Client;
use crate::error::Error;

/// Bound of the whole.
const REACH: Duration = Duration::from_secs(10);
/// One question. Logins on a busy machine take most of it.
const ASK: Duration = Duration::from_secs(2);
/// How long a look at a broker's certificate may take.
const LOOK: Duration = Duration::from_secs(3);

/// Number of brokers, once one of them answers.
pub(super) async fn reach(
    config: &KafkaConfig,
    client: &Client,
    trouble: &Trouble,
    clock: &Arc<dyn Clock>,
) -> Result<usize, Error> {
    let until = clock.monotonic() + REACH;
    loop {
        let (client, bootstrap) = (client.clone(), config.bootstrap.clone());
        let asked = blocking("reach Kafka", move || brokers(&client, &bootstrap, ASK)).await;
        let error = match asked {
            Ok(count) => return Ok(count),
            Err(error @ (Error::Config(_) | Error::Refused { .. })) => return Err(error),
            Err(error) => error,
        };
        let reason = trouble.last();
        match &reason {
            Some((code, text)) if is_final(*code, text) => {
                return Err(refused(config, *code, text).await);
            }
            Some(_) | None => {}
        }
        if clock.monotonic() >= until {
            return Err(match reason {
                Some((_, text)) => Error::Unavailable {
                    action: format!("reach Kafka at {}", config.bootstrap),
                    source: format!("{text}; {}", which_protocol(config)).into(),
                },
                None => error,
            });
        }
    }
}

/// True when trying again is of no use before a person has changed something.
fn is_final(code: Code, text: &str) -> bool {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL => true,
        // How the peer's refusal of our certificate, and a listener without TLS, show.
        _ => text.contains("SSL alert") || text.contains("PLAINTEXT broker listener"),
    }
}

async fn refused(config: &KafkaConfig, code: Code, text: &str) -> Error {
    let advice = if text.contains("certificate verify failed") {
        match look_at_certificate(config.clone()).await {
            Certificate::OtherName => {
                "the broker's certificate is for another host name: reach the brokers by a name that it has, or have one made that names them (subjectAltName); advertised.listeners of the brokers must use such names too"
            }
            Certificate::Unknown => {
                "the broker's certificate is of no authority that is trusted here, or is out of date: set ssl.ca.location to the PEM file of the authority that signed it"
            }
        }
    } else if text.contains("SSL alert") {
        "the broker does not accept our certificate: set ssl.certificate.location and ssl.key.location (or ssl.keystore.location) to one that its truststore knows"
    } else if text.contains("PLAINTEXT broker listener") {
        "security.protocol asks for TLS and this listener has none: use the port of the broker's ssl or sasl_ssl listener"
    } else if text.contains("mechanism") && text.contains("supported mechanisms") {
        "set sasl.mechanism to one that the broker supports"
    } else if code == Code::SSL {
        "check the files of ssl.ca.location, ssl.certificate.location and ssl.key.location"
    } else {
        "check sasl.username, sasl.password and sasl.mechanism; a SCRAM user has a password per mechanism"
    };
    Error::Refused {
        action: format!("let in {} at {}", config.user(), config.bootstrap),
        reason: text.to_owned(),
        advice: advice.to_owned(),
    }
}

/// Between a listener and a client of other protocols there is only silence.
fn which_protocol(config: &KafkaConfig) -> String {
    format!(
        "if the brokers are up: is {} (security.protocol) what their listener speaks?",
        config.protocol()
    )
}

/// What is wrong with a certificate that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certificate {
    /// It is good, for somebody else.
    OtherName,
    /// Its authority is not known, or its time is over.
    Unknown,
}

/// OpenSSL says the same of both. Connects once more without looking at the name, and without a login.
async fn look_at_certificate(config: KafkaConfig) -> Certificate {
    let look = tokio::task::spawn_blocking(move || {
        let trouble = Trouble::default();
        let made = config
            .unverified_name()
            .create_with_context::<_, Client>(Quiet::noting(&trouble));
        let Ok(client) = made else {
            return Certificate::Unknown;
        };
        // On a listener with SASL the broker hangs up after the handshake, so the answer may well be none.
        let asked = client.client().fetch_metadata(None, LOOK);
        match (asked, trouble.last()) {
            (Err(_), Some((Code::SSL, text))) if text.contains("certificate verify failed") => {
                Certificate::Unknown
            }
            (Ok(_) | Err(_), _) => Certificate::OtherName,
        }
    });
    look.await.unwrap_or(Certificate::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_distinguished_from_unavailable_brokers() {
        assert!(is_final(Code::Authentication, "wrong password"));
        assert!(is_final(
            Code::BrokerTransportFailure,
            "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42"
        ));
        assert!(!is_final(
            Code::BrokerTransportFailure,
            "Connect to ipv4#127.0.0.1:27099 failed: Connection refused"
        ));
    }
}
