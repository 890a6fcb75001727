//! `cargo xtask check`: everything about the code but its tests.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::gen_files::{GenArgs, generate};
use crate::run::{cargo, files, metadata, output, root, run};
use crate::{imports, lines, promises, words};

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
    /// The programs that operators run contain nothing of the simulator.
    Shipped,
    /// Each test that docs/testing.md names is there.
    Promises,
    /// No word that docs/glossary.md replaces.
    Words,
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
        Part::Shipped => check_shipped(),
        Part::Promises => check_promises(),
        Part::Words => check_words(),
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

/// Links (all of it is looked at, not direct dependencies alone) and symbols.
fn check_shipped() -> Result<()> {
    eprintln!("\n== shipped programs");
    let metadata = metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` names no target folder")?;
    let mut broken = Vec::new();
    for package in imports::SHIPPED {
        run(cargo().args(["build", "--quiet", "--package", package, "--bins"]))?;
        let path = Path::new(target).join("debug").join(package);
        let program =
            std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        if let Some(symbol) = imports::symbol_of_simulator(&program) {
            broken.push(format!(
                "{package} contains {symbol}, which is the simulator's"
            ));
        }
        let tree = output(cargo().args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ]))?;
        for line in tree
            .lines()
            .filter(|line| line.starts_with(imports::SIMULATOR))
        {
            broken.push(format!("{package} links {line}"));
        }
    }
    fail_on(&broken)
}

fn check_promises() -> Result<()> {
    eprintln!("\n== promises");
    let page = "docs/testing.md";
    let text = std::fs::read_to_string(root().join(page)).with_context(|| page.to_owned())?;
    let named = promises::named_tests(&text)
        .map_err(anyhow::Error::msg)
        .context(page)?;
    let mut sources = BTreeMap::new();
    for test in &named {
        // A file that cannot be read is a finding of its own.
        if let Ok(text) = std::fs::read_to_string(root().join(&test.path)) {
            sources.insert(test.path.clone(), text);
        }
    }
    fail_on(&promises::missing(&named, &sources))
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

fn check_words() -> Result<()> {
    eprintln!("\n== words");
    let mut findings = Vec::new();
    for file in files()? {
        // Files that are not text are none that the check looks at.
        if let Ok(text) = std::fs::read_to_string(root().join(&file)) {
            findings.extend(words::of_file(&file.to_string_lossy(), &text));
        }
    }
    fail_on(&findings)
}

fn fail_on(findings: &[String]) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    bail!("\n  {}", findings.join("\n  "))
}
