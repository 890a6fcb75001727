//! `cargo xtask check`: everything about the code but its tests.

use anyhow::{Result, bail};

use crate::gen_files::{GenArgs, generate};
use crate::run::{cargo, files, metadata, root, run};
use crate::{imports, lines};

/// Runs every check, even after one failed, and names those that did.
pub fn check() -> Result<()> {
    let mut failures = Vec::new();
    let mut note = |what: &str, result: Result<()>| {
        if let Err(error) = result {
            eprintln!("\n{what}: {error:#}");
            failures.push(what.to_owned());
        }
    };
    note("formatting", run(cargo().args(["fmt", "--all", "--check"])));
    note("imports", check_imports());
    note("lengths", check_lengths());
    note("generated files", generate(&GenArgs { check: true }));
    note(
        "lints",
        run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])),
    );
    note(
        "docs",
        run(cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")),
    );
    if failures.is_empty() {
        eprintln!("\nall checks passed");
        return Ok(());
    }
    bail!("failed: {}", failures.join(", "))
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
