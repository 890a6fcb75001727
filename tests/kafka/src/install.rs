//! Where the broker's jars come from: `pom.xml`, resolved by Maven once into `<workspace>/target/kafka/libs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::KafkaError;

const POM: &str = include_str!("../pom.xml");

/// `<workspace>/target/kafka`: jars, and the state of a broker started by `cargo xtask kafka start`.
pub fn home() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = manifest.ancestors().nth(2).unwrap_or(manifest);
    workspace.join("target").join("kafka")
}

/// Whether a broker can be had on this machine: Java 17 or later, and the jars or Maven to get them.
///
/// # Errors
/// The reason, for a notice.
pub fn available() -> Result<(), String> {
    let version = output(Command::new("java").arg("-version")).map_err(|reason| {
        format!("no Java found ({reason}); install a JRE of version 17 or later")
    })?;
    if java_major(&version).is_none_or(|major| major < 17) {
        let first = version.lines().next().unwrap_or_default();
        return Err(format!("Java 17 or later is needed, found: {first}"));
    }
    if is_installed() {
        return Ok(());
    }
    output(Command::new("mvn").arg("--version"))
        .map(|_| ())
        .map_err(|reason| format!("no Maven found to fetch Kafka with ({reason})"))
}

/// Fetches the jars unless they are there. Returns the folder they lie in.
///
/// # Errors
/// Maven failed; its last words are in the error.
pub fn install() -> Result<PathBuf, KafkaError> {
    let libs = home().join("libs");
    if is_installed() {
        return Ok(libs);
    }
    let home = home();
    let fail = |what: &str, error: std::io::Error| {
        KafkaError(format!("{what} {} failed: {error}", home.display()))
    };
    // Several test processes may install at once: each into a folder of its own, the last rename wins.
    let fresh = home.join(format!("libs.{}", std::process::id()));
    let work = home.join(format!("pom.{}", std::process::id()));
    std::fs::create_dir_all(&work).map_err(|e| fail("creating folders in", e))?;
    let pom = work.join("pom.xml");
    std::fs::write(&pom, POM).map_err(|e| fail("writing the pom into", e))?;
    let result = output(
        Command::new("mvn")
            .arg("--batch-mode")
            .arg("--quiet")
            .arg("--file")
            .arg(&pom)
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", fresh.display()))
            .arg("-DincludeScope=runtime"),
    );
    let _ = std::fs::remove_dir_all(&work);
    result.map_err(|reason| {
        KafkaError(format!(
            "Maven could not fetch Apache Kafka from Maven Central: {reason}"
        ))
    })?;
    std::fs::write(fresh.join("pom.xml"), POM).map_err(|e| fail("writing the stamp into", e))?;
    let _ = std::fs::remove_dir_all(&libs);
    if let Err(error) = std::fs::rename(&fresh, &libs)
        && !is_installed()
    {
        return Err(fail("moving the jars inside", error));
    }
    let _ = std::fs::remove_dir_all(&fresh);
    Ok(libs)
}

/// The stamp is the pom itself: another version means other jars.
fn is_installed() -> bool {
    std::fs::read_to_string(home().join("libs").join("pom.xml")).is_ok_and(|stamp| stamp == POM)
}

/// Everything a command printed; its last lines when it failed.
fn output(command: &mut Command) -> Result<String, String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    if out.status.success() {
        return Ok(text);
    }
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.split_at(lines.len().saturating_sub(8)).1;
    Err(format!("{}: {}", out.status, last.join(" | ")))
}

/// `openjdk version "17.0.15"` and the older `java version "1.8.0_392"`.
fn java_major(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let mut parts = version.split(['.', '-', '+', '_']);
    let first: u32 = parts.next()?.parse().ok()?;
    if first == 1 {
        parts.next()?.parse().ok()
    } else {
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read() {
        assert_eq!(
            java_major("openjdk version \"17.0.15\" 2025-04-15"),
            Some(17)
        );
        assert_eq!(java_major("java version \"1.8.0_392\""), Some(8));
        assert_eq!(java_major("openjdk version \"21-ea\" 2023"), Some(21));
        assert_eq!(java_major("bash: java: not found"), None);
    }
}
