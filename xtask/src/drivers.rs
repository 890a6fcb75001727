//! `cargo xtask drivers`: clients that nobody here wrote, against a dorisim: PyMySQL, MySQL Connector/Python, the mariadb command
//! line, MySQL Connector/J and curl. What they need is fetched into target/drivers once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::run::{cargo, output, root, run};

/// Connector/J: where it lies at Maven Central, and its SHA-256.
const JDBC_URL: &str =
    "https://repo1.maven.org/maven2/com/mysql/mysql-connector-j/9.1.0/mysql-connector-j-9.1.0.jar";
const JDBC_SHA256: &str = "8776e2ebc46072c9a47ea59d98298c4273bd9f16a7b26b5dfa4744535aa26c62";
/// Password of root in the cluster that is started. Not a secret: the cluster exists for the checks only.
const PASSWORD: &str = "se:cret";

/// Options of `drivers`.
#[derive(Debug, clap::Args)]
pub struct DriversArgs {
    /// Fetch everything and stop.
    #[arg(long)]
    install: bool,
    /// Leave out the checks that need Java.
    #[arg(long)]
    no_java: bool,
    /// Fetch the mariadb client from Debian even when one is installed.
    #[arg(long)]
    fetch_mariadb: bool,
}

/// Installs what is missing, starts a cluster, runs the checks.
pub fn drivers(args: &DriversArgs) -> Result<()> {
    let python = python()?;
    let mariadb = mariadb(args.fetch_mariadb)?;
    let jdbc = if args.no_java { None } else { Some(jdbc()?) };
    output(Command::new("curl").arg("--version")).context("curl is needed")?;
    if args.install {
        println!("{}", home().display());
        return Ok(());
    }
    let cluster = Cluster::start()?;
    let ports = &cluster.ports["frontends"][0];
    let settings = json!({
        "port": ports["query_port"],
        "http_port": ports["http_port"],
        "password": PASSWORD,
        "mariadb": mariadb,
        "jdbc": jdbc,
    });
    let checks = root().join("tests/drivers/checks.py");
    // Byte code of the checks has no place in the repository.
    run(Command::new(python)
        .arg("-B")
        .arg(checks)
        .arg(settings.to_string()))
}

/// `target/drivers`.
fn home() -> PathBuf {
    root().join("target").join("drivers")
}

/// The Python of a virtual environment with the drivers of `tests/drivers/requirements.txt`.
fn python() -> Result<PathBuf> {
    let wanted = root().join("tests/drivers/requirements.txt");
    let text =
        fs::read_to_string(&wanted).with_context(|| format!("reading {}", wanted.display()))?;
    let venv = home().join("venv");
    let (python, stamp) = (venv.join("bin/python"), venv.join("requirements.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == text) {
        return Ok(python);
    }
    fs::create_dir_all(home()).with_context(|| format!("creating {}", home().display()))?;
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))
    .context("Python 3 with its venv module is needed (Debian: apt install python3-venv)")?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .arg("--requirement")
        .arg(&wanted))
    .context("the drivers could not be fetched from PyPI")?;
    fs::write(&stamp, text).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(python)
}

/// The command line client: the one that is installed, or Debian's package unpacked below `target`.
fn mariadb(fetch: bool) -> Result<PathBuf> {
    let works = |program: &Path| {
        let version = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        version.is_ok_and(|out| out.status.success())
    };
    let installed = PathBuf::from("mariadb");
    if !fetch && works(&installed) {
        return Ok(installed);
    }
    let folder = home().join("mariadb");
    let program = folder.join("usr/bin/mariadb");
    if works(&program) {
        return Ok(program);
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let hint = "no mariadb client: install one (Debian: apt install mariadb-client-core), or make Debian's packages reachable";
    run(Command::new("apt-get")
        .current_dir(&folder)
        .args(["download", "mariadb-client-core"]))
    .context(hint)?;
    let package = fs::read_dir(&folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "deb"))
        .context(hint)?;
    run(Command::new("dpkg").arg("-x").arg(&package).arg(&folder))?;
    fs::remove_file(&package).with_context(|| format!("removing {}", package.display()))?;
    if !works(&program) {
        bail!(
            "{} does not run; it needs libraries that are not installed (`ldd` names them): apt install mariadb-client-core",
            program.display()
        );
    }
    Ok(program)
}

/// Connector/J, and a Java that compiles on the way.
fn jdbc() -> Result<PathBuf> {
    output(Command::new("javac").arg("-version")).context(
        "a JDK of version 17 or later is needed for Connector/J; --no-java leaves it out",
    )?;
    let jar = home().join("mysql-connector-j.jar");
    let is_right = |jar: &Path| -> bool {
        let sum = Command::new("sha256sum")
            .arg(jar)
            .stdin(Stdio::null())
            .output();
        sum.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).starts_with(JDBC_SHA256))
    };
    if is_right(&jar) {
        return Ok(jar);
    }
    fs::create_dir_all(home()).with_context(|| format!("creating {}", home().display()))?;
    run(Command::new("curl")
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            "--output",
        ])
        .arg(&jar)
        .arg(JDBC_URL))
    .context("Connector/J could not be fetched from Maven Central; --no-java leaves it out")?;
    if !is_right(&jar) {
        bail!("{JDBC_URL} is not the file it was: its SHA-256 differs from {JDBC_SHA256}");
    }
    Ok(jar)
}

/// A dorisim process; it ends with this value.
struct Cluster {
    process: Child,
    /// What it printed at its start.
    ports: Value,
}

impl Cluster {
    fn start() -> Result<Self> {
        let built = output(cargo().args([
            "build",
            "--package",
            "dorisim",
            "--bin",
            "dorisim",
            "--message-format",
            "json",
        ]))?;
        let program = built
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|message| {
                message["target"]["name"] == "dorisim" && message["executable"].is_string()
            })
            .and_then(|message| message["executable"].as_str().map(PathBuf::from))
            .context("cargo did not say where it put dorisim")?;
        let mut process = Command::new(&program)
            .args(["--fe-port", "0", "--thrift-port", "0", "--http-port", "0"])
            .args(["--print-json", "--user", "reader:r3ad:SELECT_PRIV"])
            .env("DORISIM_PASSWORD", PASSWORD)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut line = String::new();
        let printed = process.stdout.take().map(BufReader::new);
        let read = printed.map(|mut printed| printed.read_line(&mut line));
        let mut cluster = Self {
            process,
            ports: Value::Null,
        };
        read.context("dorisim has no output")?
            .context("reading the ports of dorisim")?;
        cluster.ports = serde_json::from_str(&line)
            .with_context(|| format!("dorisim printed no ports but {line:?}"))?;
        Ok(cluster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
