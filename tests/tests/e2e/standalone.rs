//! What `ccr standalone` makes of its command line and of its data folder.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ccr_tests::{Api, Binary, Process, World};

use crate::chaos::free_address;

const LONG: Duration = Duration::from_secs(60);

fn args(data: &Path, address: std::net::SocketAddr) -> Vec<String> {
    [
        "standalone",
        "--listen",
        &address.to_string(),
        "--data-dir",
        &data.display().to_string(),
        "--set",
        "producer.settle=20ms",
        "--set",
        "applier.commit_interval=50ms",
    ]
    .map(str::to_owned)
    .into()
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_log_key_is_not_replaced_while_the_log_has_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let key = data.join("log.key");
    let printed = folder.path().join("printed");
    let world = World::start(1).await.unwrap();
    let address = free_address();
    let api = Api::at(address);
    let args = args(&data, address);

    let mut process = Process::start(Binary::Ccr, &args, &printed).unwrap();
    until("the API answers", async || {
        api.get_raw("live").await.is_ok()
    })
    .await;
    api.create(&world.database_job("kept", 0)).await.unwrap();
    process.kill9().unwrap();
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for entry in data.read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }

    let elsewhere = folder.path().join("copy");
    std::fs::rename(&key, &elsewhere).unwrap();
    let mut process = Process::start(Binary::Ccr, &args, &printed).unwrap();
    until("the process ends", async || {
        process
            .exited()
            .unwrap()
            .is_some_and(|status| !status.success())
    })
    .await;
    let text = process.tail();
    for part in [&*key.display().to_string(), "(kept)", "put the file back"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!key.exists());

    std::fs::rename(&elsewhere, &key).unwrap();
    let _process = Process::start(Binary::Ccr, &args, &printed).unwrap();
    let end = world.source_end().await.unwrap();
    api.wait_following("kept", end, LONG).await.unwrap();
}
