//! `cargo xtask test`: everything that needs no server, then everything on a real Kafka.

use anyhow::{Context, Result, bail};
use ccr_test_kafka::{Broker, ENV_BOOTSTRAP, ENV_START, KafkaServer};
use serde_json::Value;

use crate::run::{cargo, is_ci, metadata, run};

/// The package of the end-to-end tests.
const END_TO_END: &str = "ccr-tests";

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Fail instead of leaving out the tests on real Kafka when no broker can be started. Always so when CI is set.
    #[arg(long)]
    require_kafka: bool,
    /// Leave out the tests on real Kafka.
    #[arg(long, conflicts_with = "require_kafka")]
    no_kafka: bool,
}

/// First the packages that know nothing of Kafka, then those that do, on a real one where it can be had.
pub fn test(args: &TestArgs) -> Result<()> {
    let on_kafka = packages_on_kafka(&metadata()?);
    // End-to-end tests start the programs of this workspace as processes of their own.
    run(cargo().args(["build", "--workspace", "--bins"]))?;

    let mut first = cargo();
    first.args(["test", "--workspace", "--no-fail-fast"]);
    for package in &on_kafka {
        first.args(["--exclude", package]);
    }
    let mut failures = Vec::new();
    note(&mut failures, run(&mut first));

    let mut second = cargo();
    second.args(["test", "--no-fail-fast"]);
    for package in on_kafka.iter().filter(|package| *package != END_TO_END) {
        second.args(["--package", package]);
    }
    // One at a time: each runs clusters and processes of its own, and some have deadlines.
    let mut third = cargo();
    third.args(["test", "--no-fail-fast", "--package", END_TO_END]);
    third.args(["--", "--test-threads", "1"]);
    // One broker is shared by all test programs; those that stop and crash one start their own.
    let broker = offered(args);
    match &broker {
        Ok(Offer::Broker(broker)) => eprintln!("\n== Apache Kafka at {}", broker.bootstrap()),
        Ok(Offer::LeftOut(reason)) => notice(reason),
        Err(_) => eprintln!("\n== no Kafka; the tests that do without run nevertheless"),
    }
    for mut pass in [second, third] {
        pass.env_remove(ENV_BOOTSTRAP).env_remove(ENV_START);
        if let Ok(Offer::Broker(broker)) = &broker {
            pass.env(ENV_BOOTSTRAP, broker.bootstrap());
            pass.env(ENV_START, "1");
        }
        note(&mut failures, run(&mut pass));
    }
    match broker {
        Ok(Offer::Broker(_)) => {}
        // Once more, where it is seen.
        Ok(Offer::LeftOut(reason)) => notice(&reason),
        Err(error) => note(&mut failures, Err(error)),
    }

    if failures.is_empty() {
        return Ok(());
    }
    bail!("{}", failures.join("\nerror: "))
}

fn note(failures: &mut Vec<String>, result: Result<()>) {
    if let Err(error) = result {
        failures.push(format!("{error:#}"));
    }
}

/// What the second pass runs on.
enum Offer {
    /// A real Kafka.
    Broker(Broker),
    /// None, for this reason; it is not mandatory here.
    LeftOut(String),
}

fn offered(args: &TestArgs) -> Result<Offer> {
    if args.no_kafka {
        return Ok(Offer::LeftOut("left out, as asked for".to_owned()));
    }
    let broker = match std::env::var(ENV_BOOTSTRAP) {
        Ok(bootstrap) if !bootstrap.is_empty() => Ok(Broker::Shared(bootstrap)),
        Ok(_) | Err(_) => start().map(Broker::Own),
    };
    match broker {
        Ok(broker) => Ok(Offer::Broker(broker)),
        Err(error) if args.require_kafka || is_ci() => {
            Err(error.context("real Kafka is mandatory here"))
        }
        Err(error) => Ok(Offer::LeftOut(format!("{error:#}"))),
    }
}

fn start() -> Result<KafkaServer> {
    ccr_test_kafka::available().map_err(anyhow::Error::msg)?;
    KafkaServer::start().context("starting Apache Kafka")
}

/// Packages whose tests can ask for a broker.
fn packages_on_kafka(metadata: &Value) -> Vec<String> {
    let mut names: Vec<String> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| {
            package["name"] == "ccr-test-kafka"
                || package["name"] != "xtask"
                    && package["dependencies"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|dependency| dependency["name"] == "ccr-test-kafka")
        })
        .filter_map(|package| package["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn notice(reason: &str) {
    let line = "!".repeat(100);
    eprintln!(
        "\n{line}\n!! NOT TESTED ON REAL KAFKA: {reason}\n\
         !! The tests against the embedded log and librdkafka's mock cluster did run.\n{line}"
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packages_that_use_the_broker_are_found() {
        let metadata = json!({"packages": [
            {"name": "ccr-test-kafka", "dependencies": []},
            {"name": "ccr-log", "dependencies": [{"name": "ccr-test-kafka", "kind": "dev"}]},
            {"name": "ccr-ops", "dependencies": [{"name": "tokio", "kind": null}]},
            {"name": "xtask", "dependencies": [{"name": "ccr-test-kafka", "kind": null}]},
        ]});
        assert_eq!(packages_on_kafka(&metadata), ["ccr-log", "ccr-test-kafka"]);
    }
}
