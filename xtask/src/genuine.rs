//! `cargo xtask genuine`: the product against a genuine Doris frontend whose backends are dorisim's.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::run::{cargo, run};

/// Where the tests find the frontend; they know it by the same name.
const ENV_FE_HOME: &str = "CCR_GENUINE_FE_HOME";

/// Options of `genuine`.
#[derive(Debug, clap::Args)]
pub struct GenuineArgs {
    /// An unpacked frontend of a Doris release: the folder with `lib/doris-fe.jar`.
    #[arg(long, value_name = "DIR", env = ENV_FE_HOME)]
    fe_home: PathBuf,
    /// Run the tests whose names contain this text only.
    filter: Option<String>,
}

/// Builds what the tests start as processes and runs them, one at a time: each frontend takes more than a GiB.
pub fn genuine(args: &GenuineArgs) -> Result<()> {
    let Ok(home) = args.fe_home.canonicalize() else {
        bail!("{} does not exist", args.fe_home.display());
    };
    if !home.join("lib/doris-fe.jar").is_file() {
        bail!(
            "{} has no lib/doris-fe.jar: give the folder `fe` of an unpacked Doris release",
            home.display()
        );
    }
    run(cargo().args(["build", "-p", "ccr", "-p", "dorisim", "--bins"]))?;
    let mut tests = cargo();
    tests.args(["test", "--package", "ccr-tests", "--features", "genuine"]);
    tests.args([
        "--test",
        "genuine",
        "--no-fail-fast",
        "--",
        "--test-threads",
        "1",
    ]);
    tests.args(&args.filter);
    run(tests.env(ENV_FE_HOME, home))
}
