//! Who may import whom.

use serde_json::Value;

/// What a package may use of the workspace, in anything that ships.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ccr-schemas", &[]),
    ("ccr-ops", &[]),
    ("ccr-doris-wire", &[]),
    ("ccr-test-kafka", &[]),
    ("xtask", &["ccr-test-kafka"]),
    ("ccr-doris", &["ccr-schemas", "ccr-ops", "ccr-doris-wire"]),
    ("ccr-log", &["ccr-schemas", "ccr-ops"]),
    (
        "ccr-control",
        &["ccr-schemas", "ccr-ops", "ccr-log", "ccr-doris"],
    ),
    (
        "ccr-producer",
        &[
            "ccr-schemas",
            "ccr-ops",
            "ccr-log",
            "ccr-doris",
            "ccr-control",
        ],
    ),
    (
        "ccr-applier",
        &[
            "ccr-schemas",
            "ccr-ops",
            "ccr-log",
            "ccr-doris",
            "ccr-control",
        ],
    ),
    (
        "ccr",
        &[
            "ccr-schemas",
            "ccr-ops",
            "ccr-log",
            "ccr-doris",
            "ccr-control",
            "ccr-producer",
            "ccr-applier",
        ],
    ),
    ("dorisim-wire", &["ccr-doris-wire"]),
    ("dorisim-model", &["ccr-doris-wire", "dorisim-wire"]),
    (
        "dorisim-net",
        &["ccr-doris-wire", "dorisim-wire", "dorisim-model"],
    ),
    (
        "dorisim-sql",
        &[
            "ccr-doris-wire",
            "dorisim-wire",
            "dorisim-model",
            "dorisim-net",
        ],
    ),
    ("dorisim-mysql", &[]),
    (
        "dorisim-query",
        &[
            "ccr-doris-wire",
            "dorisim-wire",
            "dorisim-model",
            "dorisim-net",
            "dorisim-sql",
        ],
    ),
    (
        "dorisim-fe",
        &[
            "ccr-doris-wire",
            "dorisim-wire",
            "dorisim-model",
            "dorisim-net",
            "dorisim-sql",
            "dorisim-query",
        ],
    ),
    (
        "dorisim-be",
        &[
            "ccr-doris-wire",
            "dorisim-wire",
            "dorisim-model",
            "dorisim-net",
            "dorisim-sql",
            "dorisim-query",
            "dorisim-fe",
        ],
    ),
    (
        "dorisim-server",
        &[
            "ccr-doris-wire",
            "dorisim-wire",
            "dorisim-model",
            "dorisim-net",
            "dorisim-sql",
            "dorisim-mysql",
            "dorisim-query",
            "dorisim-fe",
            "dorisim-be",
        ],
    ),
    (
        "dorisim",
        &[
            "ccr-doris-wire",
            "dorisim-wire",
            "dorisim-model",
            "dorisim-net",
            "dorisim-sql",
            "dorisim-mysql",
            "dorisim-query",
            "dorisim-fe",
            "dorisim-be",
            "dorisim-server",
        ],
    ),
];

/// What an operator runs.
pub const SHIPPED: &[&str] = &["ccr", "ccr-producer", "ccr-applier"];
/// Names of the simulator's packages begin so.
pub const SIMULATOR: &str = "dorisim";

/// Test support that nothing may depend on outside of tests.
const TESTS_ONLY: &[&str] = &[
    "ccr-tests",
    "ccr-test-kafka",
    "ccr-test-kit",
    "ccr-lab",
    "xtask",
];
/// What may use it, and the simulator.
const TEST_PACKAGES: &[&str] = TESTS_ONLY;

fn is_simulator(package: &str) -> bool {
    package.starts_with(SIMULATOR)
}

/// Libraries that one place of the product hides, and the packages that are this place. The simulator has them all.
const HIDDEN: &[(&str, &[&str])] = &[
    ("apache-avro", &["ccr-schemas"]),
    ("rdkafka", &["ccr-log"]),
    ("thrift", &["ccr-doris", "ccr-doris-wire"]),
    ("mysql_async", &["ccr-doris", "ccr-tests"]),
];

/// Pairs of which neither may know the other, not even in tests.
const STRANGERS: &[(&str, &str)] = &[("ccr-producer", "ccr-applier")];

/// Broken rules in the packages' manifests (`cargo metadata --no-deps`).
pub fn of_packages(metadata: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let packages = metadata["packages"].as_array();
    let own: Vec<&str> = packages
        .into_iter()
        .flatten()
        .filter_map(|package| package["name"].as_str())
        .collect();
    for package in packages.into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array();
        for dependency in dependencies.into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"] == "dev";
            if let Some(reason) = judge(name, on, in_tests, own.contains(&on)) {
                broken.push(format!("{name} must not depend on {on}: {reason}"));
            }
        }
    }
    broken.sort();
    broken.dedup();
    broken
}

fn judge(name: &str, on: &str, in_tests: bool, is_own: bool) -> Option<String> {
    if STRANGERS
        .iter()
        .any(|&(a, b)| (name, on) == (a, b) || (name, on) == (b, a))
    {
        return Some("they know each other through the log alone".to_owned());
    }
    if in_tests {
        return None;
    }
    let test_support = TESTS_ONLY.contains(&on) || is_simulator(on) && !is_simulator(name);
    if test_support && !TEST_PACKAGES.contains(&name) {
        return Some("it is test support and must not ship".to_owned());
    }
    if let Some((_, places)) = HIDDEN.iter().find(|(library, _)| *library == on)
        && !places.contains(&name)
        && !is_simulator(name)
    {
        return Some(format!("{} hides it", places.join(", ")));
    }
    if name == "ccr-schemas" && matches!(on, "tokio" | "async-trait" | "futures" | "rand") {
        return Some("the contract does no I/O and draws nothing".to_owned());
    }
    if is_own
        && let Some((_, allowed)) = MAY_USE.iter().find(|(package, _)| *package == name)
        && !allowed.contains(&on)
    {
        return Some(format!(
            "of the workspace it may use: {}",
            if allowed.is_empty() {
                "nothing".to_owned()
            } else {
                allowed.join(", ")
            }
        ));
    }
    None
}

/// Returns the symbol of the simulator that the bytes of a program contain, if any.
///
/// Mangled names carry the length of a crate's name in front of it, which texts do not.
pub fn symbol_of_simulator(program: &[u8]) -> Option<String> {
    let name = SIMULATOR.as_bytes();
    let found = program
        .windows(name.len() + 1)
        .position(|bytes| bytes[0].is_ascii_digit() && &bytes[1..] == name)?;
    let symbol: Vec<u8> = program[found..]
        .iter()
        .copied()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .take(80)
        .collect();
    Some(String::from_utf8_lossy(&symbol).into_owned())
}

/// Words that a pure planner has no use for.
const IMPURE: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "tokio::",
    "SystemTime",
    "Instant",
    "rand::",
    "tracing::",
];

/// Broken rules in one source file, `path` relative to the root.
pub fn of_source(path: &str, text: &str) -> Vec<String> {
    let planner = path.starts_with("producer/src/plan") || path.starts_with("applier/src/plan");
    let doris = path.starts_with("doris/src/");
    let mut broken = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        let mut tell =
            |what: &str| broken.push(format!("{path}:{}: {what}: {}", number + 1, line.trim()));
        if planner && IMPURE.iter().any(|word| line.contains(word)) {
            tell("a planner decides, it does nothing");
        }
        if doris
            && [
                "ccr_schemas::event",
                "ccr_schemas::envelope",
                "ccr_schemas::Event",
            ]
            .iter()
            .any(|word| line.contains(word))
        {
            tell("the Doris client knows the ids of the contract, not its events");
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, on: &str, kind: Option<&str>) -> Vec<String> {
        let mut packages =
            vec![json!({"name": name, "dependencies": [{"name": on, "kind": kind}]})];
        if on.starts_with("ccr") {
            packages.push(json!({"name": on, "dependencies": []}));
        }
        of_packages(&json!({"packages": packages}))
    }

    #[test]
    fn producer_and_applier_never_know_each_other() {
        assert_eq!(one("ccr-producer", "ccr-applier", None).len(), 1);
        assert_eq!(one("ccr-applier", "ccr-producer", Some("dev")).len(), 1);
        assert!(one("ccr", "ccr-applier", None).is_empty());
    }

    #[test]
    fn libraries_stay_where_they_are_hidden() {
        assert_eq!(one("ccr-producer", "rdkafka", None).len(), 1);
        assert_eq!(one("ccr-applier", "mysql_async", None).len(), 1);
        assert!(one("ccr-log", "rdkafka", None).is_empty());
        assert!(one("ccr-log", "rdkafka", Some("dev")).is_empty());
    }

    #[test]
    fn the_contract_uses_nothing_of_ours_and_tests_do_not_ship() {
        assert_eq!(one("ccr-schemas", "ccr-ops", None).len(), 1);
        assert_eq!(one("ccr-schemas", "tokio", None).len(), 1);
        assert!(one("ccr-schemas", "tokio", Some("dev")).is_empty());
        assert_eq!(one("ccr-log", "ccr-test-kafka", None).len(), 1);
        assert!(one("ccr-log", "ccr-test-kafka", Some("dev")).is_empty());
    }

    #[test]
    fn the_simulator_stays_out_of_what_ships() {
        assert_eq!(one("ccr", "dorisim", None).len(), 1);
        assert_eq!(one("ccr-producer", "dorisim-fe", None).len(), 1);
        assert!(one("ccr-producer", "dorisim", Some("dev")).is_empty());
        assert!(one("ccr-lab", "dorisim", None).is_empty());
        assert!(one("dorisim-be", "dorisim-wire", None).is_empty());
        assert_eq!(one("ccr", "ccr-lab", None).len(), 1);
        let mangled = b"\0_ZN7dorisim7cluster10SimCluster5start17h0123456789abcdefE\0";
        assert_eq!(
            symbol_of_simulator(mangled).as_deref(),
            Some("7dorisim7cluster10SimCluster5start17h0123456789abcdefE")
        );
        assert!(symbol_of_simulator(b"\0_ZN12dorisim_wire5agent\0").is_some());
        assert_eq!(
            symbol_of_simulator(b"text about dorisim and 7 others"),
            None
        );
    }

    #[test]
    fn planners_are_pure_and_comments_are_not_code() {
        let text = "//! tokio::spawn is elsewhere\nuse tokio::time;\nfn decide() {}\n";
        let broken = of_source("applier/src/plan/mod.rs", text);
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].starts_with("applier/src/plan/mod.rs:2:"));
        assert!(of_source("applier/src/perform.rs", text).is_empty());
    }
}
