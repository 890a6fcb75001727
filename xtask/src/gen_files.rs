//! `cargo xtask gen`: generated files change only together with what they are made from.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, is_ci, root, run};

/// Version of the Thrift compiler that the committed code was made with.
const THRIFT: &str = "0.17.0";

/// Options of `gen`.
#[derive(Debug, clap::Args)]
pub struct GenArgs {
    /// Write nothing; fail when a generated file is not what would be written.
    #[arg(long)]
    pub check: bool,
}

/// Thrift code and golden bytes.
pub fn generate(args: &GenArgs) -> Result<()> {
    thrift(args.check)?;
    let mut golden = cargo();
    golden.args([
        "run",
        "--quiet",
        "--package",
        "ccr-schemas",
        "--example",
        "golden",
    ]);
    if args.check {
        golden.args(["--", "--check"]);
    }
    run(&mut golden)
}

fn thrift(check: bool) -> Result<()> {
    let found = thrift_version();
    if found.as_deref() != Some(THRIFT) {
        let text = format!(
            "the Thrift compiler {THRIFT} is needed for {} (Debian: apt-get install thrift-compiler), found: {}",
            WIRE.join(" and "),
            found.as_deref().unwrap_or("none")
        );
        if check && !is_ci() {
            eprintln!("\n!! NOT CHECKED: generated Thrift code; {text}");
            return Ok(());
        }
        bail!(text);
    }
    for folder in WIRE {
        one_wire(folder, check)?;
    }
    Ok(())
}

/// Crates of generated Thrift code.
const WIRE: [&str; 2] = ["doris/wire", "sim/wire"];

fn one_wire(folder: &str, check: bool) -> Result<()> {
    let script = root().join(folder).join("generate.sh");
    if !check {
        return run(Command::new(script).current_dir(root()));
    }
    let fresh = root().join("target/wire-check").join(folder);
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh).with_context(|| format!("making {}", fresh.display()))?;
    run(Command::new(script).arg(&fresh).current_dir(root()))?;
    let committed = root().join(folder).join("src/generated");
    let differing = differing(&fresh, &committed)?;
    if differing.is_empty() {
        return Ok(());
    }
    bail!(
        "{folder}/src/generated is not what its IDL gives ({}); run `./x fix`",
        differing.join(", ")
    )
}

fn thrift_version() -> Option<String> {
    let out = Command::new("thrift")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    text.trim()
        .strip_prefix("Thrift version ")
        .map(str::to_owned)
}

/// Names of files that are only in one folder, or not the same in both.
fn differing(a: &Path, b: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for folder in [a, b] {
        for entry in
            std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?
        {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names.dedup();
    let read = |path: PathBuf| std::fs::read(path).ok();
    names.retain(|name| read(a.join(name)) != read(b.join(name)));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found_in_both_directions() {
        let a = tempfile::tempdir().expect("folder");
        let b = tempfile::tempdir().expect("folder");
        for (folder, name, text) in [
            (&a, "same", "1"),
            (&b, "same", "1"),
            (&a, "changed", "1"),
            (&b, "changed", "2"),
            (&a, "only_a", "1"),
            (&b, "only_b", "1"),
        ] {
            std::fs::write(folder.path().join(name), text).expect("write");
        }
        assert_eq!(
            differing(a.path(), b.path()).expect("readable"),
            ["changed", "only_a", "only_b"]
        );
    }
}
