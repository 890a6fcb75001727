//! Writes `schemas/golden`: the bytes of every sample, and the schema they are written with. Run by `cargo xtask gen`.
//!
//! With `--check` nothing is written; the exit code tells whether the files are what this build would write.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use ccr_schemas::{Codec, codec, sample};

fn main() -> ExitCode {
    let check = std::env::args().any(|arg| arg == "--check");
    match run(check) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(changed) => {
            eprintln!("{changed} golden files differ from what this build writes");
            if check {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => {
            eprintln!("golden files: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many files were not as they should be.
fn run(check: bool) -> Result<usize, Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let wanted = wanted()?;
    let mut changed = 0;
    for (name, text) in &wanted {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(text) {
            changed += 1;
            eprintln!("{}", path.display());
            if !check {
                std::fs::write(&path, text)?;
            }
        }
    }
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !wanted.contains_key(&name) {
            changed += 1;
            eprintln!("{} belongs to no sample", entry.path().display());
            if !check {
                std::fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(changed)
}

fn wanted() -> Result<BTreeMap<String, String>, Box<dyn std::error::Error>> {
    let codec = Codec::default();
    let mut files = BTreeMap::new();
    for sample in sample::samples() {
        let text = hex::encode(codec.encode(&sample.envelope)?);
        let mut lines = String::new();
        for (i, digit) in text.chars().enumerate() {
            if i > 0 && i % 64 == 0 {
                lines.push('\n');
            }
            lines.push(digit);
        }
        lines.push('\n');
        files.insert(format!("{}.hex", sample.name), lines);
    }
    let schema: serde_json::Value = serde_json::from_str(codec::schema_json())?;
    files.insert(
        format!("envelope.v{}.json", ccr_schemas::envelope::SCHEMA_VERSION),
        serde_json::to_string_pretty(&schema)? + "\n",
    );
    Ok(files)
}
