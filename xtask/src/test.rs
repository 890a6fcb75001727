//! `cargo xtask test`: everything that needs no server, then everything on a real Kafka.

use anyhow::{Context, Result, bail};
use ccr_test_kafka::{ENV_BOOTSTRAP, ENV_START, KafkaServer};
use serde_json::Value;

use crate::run::{cargo, is_ci, metadata, run};

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Fail instead of leaving out the tests on real Kafka when it can not be had. Always so when CI is set.
    #[arg(long)]
    require_kafka: bool,
    /// Leave out the tests on real Kafka.
    #[arg(long, conflicts_with = "require_kafka")]
    no_kafka: bool,
}

/// Both passes.
pub fn test(args: &TestArgs) -> Result<()> {
    // End-to-end tests start the programs of this workspace as processes of their own.
    run(cargo().args(["build", "--workspace", "--bins"]))?;
    let without = run(cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .env_remove(ENV_BOOTSTRAP)
        .env_remove(ENV_START));
    let with = if args.no_kafka {
        notice("the tests on real Kafka were left out, as asked for");
        Ok(())
    } else {
        on_kafka(args.require_kafka || is_ci())
    };
    match (without, with) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error), Ok(())) => Err(error.context("tests without a server")),
        (Ok(()), Err(error)) => Err(error.context("tests on real Kafka")),
        (Err(first), Err(second)) => {
            bail!("tests without a server: {first:#}\nerror: tests on real Kafka: {second:#}")
        }
    }
}

/// One broker is shared by all test programs; those that stop and crash one start their own.
fn on_kafka(required: bool) -> Result<()> {
    let packages = packages_on_kafka(&metadata()?);
    let shared = match std::env::var(ENV_BOOTSTRAP) {
        Ok(bootstrap) if !bootstrap.is_empty() => Some((bootstrap, None)),
        Ok(_) | Err(_) => match start() {
            Ok(server) => Some((server.bootstrap().to_owned(), Some(server))),
            Err(error) if required => return Err(error.context("Kafka is mandatory here")),
            Err(error) => {
                notice(&format!("{error:#}"));
                None
            }
        },
    };
    let Some((bootstrap, _server)) = shared else {
        return Ok(());
    };
    eprintln!("\n== Apache Kafka at {bootstrap}");
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]);
    for package in &packages {
        command.args(["--package", package]);
    }
    run(command
        .args(["--", "kafka"])
        .env(ENV_BOOTSTRAP, &bootstrap)
        .env(ENV_START, "1"))
}

fn start() -> Result<KafkaServer> {
    ccr_test_kafka::available().map_err(anyhow::Error::msg)?;
    KafkaServer::start().context("starting Apache Kafka")
}

/// Packages whose tests can ask for a broker. In them every such test has `kafka` in its path.
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
