//! One function per verb.

mod job;

use std::os::unix::fs::DirBuilderExt;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ccr_control::process::{read_log_key, start_telemetry};
use ccr_ops::Sealer;
use tokio_util::sync::CancellationToken;

pub use job::job;

use crate::args::{Args, Role, StandaloneArgs, VerifyArgs};
use crate::key_file;
use crate::settings::Settings;
use crate::stack::{LogChoice, Stack, StackConfig};
use crate::verify::{self as compare, Outcome};

/// The command could not be carried out.
pub const EXIT_FAILED: u8 = 1;
/// Tables differ.
pub const EXIT_DIFFERENT: u8 = 3;
/// Tables kept changing and were never seen equal.
pub const EXIT_UNDECIDED: u8 = 4;
/// A defect of this program or its surroundings.
pub const EXIT_INTERNAL: u8 = 70;

/// `ccr standalone`: until a signal.
pub async fn standalone(args: &Args, standalone: &StandaloneArgs) -> Result<ExitCode> {
    telemetry(args)?;
    let token = shutdown();
    let roles = &standalone.roles;
    let settings = Settings::of(standalone, std::env::vars())?;
    let prefix = settings.producer.prefix.clone();
    let data = &standalone.data_dir;
    let log = LogChoice::of(&standalone.log, &prefix, &settings.kafka, data)?;
    if matches!(log, LogChoice::Embedded(_)) && roles.len() < 3 {
        bail!(
            "the embedded log serves one process only: run all roles (drop --roles), or use --kafka HOST:PORT"
        );
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("making the data folder {}", data.display()))?;
    let (sealer, fresh_key) = match &standalone.log_key_file {
        Some(path) => (read_log_key(path)?, None),
        None => key_file::load_or_make(&data.join("log.key"))?,
    };
    let stack = Stack::start(
        StackConfig {
            log,
            prefix,
            sealer,
            fresh_key,
            producer: roles.contains(&Role::Producer),
            producer_config: settings.producer,
            applier: roles.contains(&Role::Applier),
            applier_config: settings.applier,
            listen: roles.contains(&Role::Api).then_some(standalone.listen),
            allow_hosts: standalone.allow_hosts.clone(),
        },
        &token,
    )
    .await?;
    println!("log: {}", stack.log.describe());
    if let Some(address) = stack.api_address {
        println!("HTTP API: http://{address}");
    }
    stack.ended().await?;
    Ok(ExitCode::SUCCESS)
}

/// `ccr verify`: exit code 0 only if everything is equal.
pub async fn verify(args: &Args, verify: &VerifyArgs) -> Result<ExitCode> {
    telemetry(args)?;
    let body = job::body_of(&verify.file)?;
    let request = serde_json::from_value(body)
        .with_context(|| format!("{} is not a valid job definition", verify.file.display()))?;
    let findings = compare::run(verify, &request).await?;
    println!("{}", compare::headline());
    for finding in &findings {
        println!("{}", finding.line());
    }
    println!("{}", compare::summary(&findings));
    if let Some(path) = &verify.json {
        std::fs::write(path, serde_json::to_vec_pretty(&findings)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let has = |outcome| findings.iter().any(|finding| finding.result == outcome);
    Ok(if has(Outcome::Different) {
        ExitCode::from(EXIT_DIFFERENT)
    } else if has(Outcome::Unread) {
        ExitCode::from(EXIT_FAILED)
    } else if has(Outcome::Undecided) {
        ExitCode::from(EXIT_UNDECIDED)
    } else {
        ExitCode::SUCCESS
    })
}

/// `ccr keygen`.
pub fn keygen() -> Result<ExitCode> {
    println!("{}", Sealer::generate_key().expose());
    Ok(ExitCode::SUCCESS)
}

fn telemetry(args: &Args) -> Result<()> {
    Ok(start_telemetry(&args.log, args.log_format)?)
}

fn shutdown() -> CancellationToken {
    ccr_ops::shutdown::on_signals()
}
