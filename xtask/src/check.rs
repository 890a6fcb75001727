//! `cargo xtask check`: everything about the code but its tests.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::gen_files::{GenArgs, generate};
use crate::run::{cargo, files, metadata, root, run};
use crate::{imports, lines};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Only these; all when none is named.
    #[arg(value_enum)]
    only: Vec<Part>,
}

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// rustfmt would change nothing.
    Format,
    /// Who may import whom.
    Imports,
    /// No source file is too long.
    Lengths,
    /// Generated files are what their sources give.
    Generated,
    /// Clippy without a warning.
    Lints,
    /// rustdoc without a warning.
    Docs,
}

/// Runs the checks, even after one failed, and names those that did.
pub fn check(args: &CheckArgs) -> Result<()> {
    let mut failures = Vec::new();
    for part in Part::value_variants() {
        if !args.only.is_empty() && !args.only.contains(part) {
            continue;
        }
        if let Err(error) = one(*part) {
            eprintln!("\n{part:?}: {error:#}");
            failures.push(format!("{part:?}"));
        }
    }
    if failures.is_empty() {
        eprintln!("\nall checks passed");
        return Ok(());
    }
    bail!("checks failed: {}", failures.join(", "))
}

fn one(part: Part) -> Result<()> {
    match part {
        Part::Format => run(cargo().args(["fmt", "--all", "--check"])),
        Part::Imports => check_imports(),
        Part::Lengths => check_lengths(),
        Part::Generated => generate(&GenArgs { check: true }),
        Part::Lints => run(cargo()
            .args(["clippy", "--workspace", "--all-targets", "--all-features"])
            .args(["--", "-D", "warnings"])),
        Part::Docs => run(cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")),
    }
}

fn check_imports() -> Result<()> {
    eprintln!("\n== imports");
    let mut broken = imports::of_packages(&metadata()?);
    for file in files()? {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root().join(&file))?;
            broken.extend(imports::of_source(&file.to_string_lossy(), &text));
        }
    }
    fail_on(&broken)
}

fn check_lengths() -> Result<()> {
    eprintln!("\n== lengths");
    let mut long = Vec::new();
    for file in files()? {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root().join(&file))?;
            long.extend(lines::too_long(&file.to_string_lossy(), &text));
        }
    }
    fail_on(&long)
}

fn fail_on(findings: &[String]) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    bail!("\n  {}", findings.join("\n  "))
}
