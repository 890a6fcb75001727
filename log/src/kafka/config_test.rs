use rdkafka::admin::AdminClient;

use super::super::failure::{Quiet, of_call};
use super::*;

fn secured(more: &[(&str, &str)]) -> KafkaConfig {
    let mut config = KafkaConfig::new("b:9092");
    for (key, value) in [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "u"),
        ("sasl.password", "pa55"),
    ]
    .iter()
    .chain(more)
    {
        config.set(key, value).unwrap();
    }
    config
}

fn refusal(config: &KafkaConfig) -> String {
    config.validate().expect_err("refused").to_string()
}

#[test]
fn intervals_follow_from_the_session_timeout() {
    let mut config = KafkaConfig::new("b:9092");
    config.set_option("session.timeout.ms=2000").unwrap();
    config.set_option("linger.ms = 7").unwrap();
    let member = config.member("g");
    assert_eq!(member.get("session.timeout.ms"), Some("2000"));
    assert_eq!(member.get("heartbeat.interval.ms"), Some("200"));
    assert_eq!(config.writer().get("linger.ms"), Some("7"));
    assert!(config.set_option("session.timeout.ms=soon").is_err());
    assert!(config.set_option("nothing").is_err());
}

#[test]
fn secrets_do_not_show() {
    let config = secured(&[
        ("ssl.key.password", "pa55"),
        ("statistics.interval.ms", "1000"),
    ]);
    let shown = format!("{config:?}");
    assert!(!shown.contains("pa55"), "{shown}");
    assert!(
        shown.contains("1000") && shown.contains("SCRAM-SHA-512"),
        "{shown}"
    );
}

#[test]
fn a_secret_may_lie_in_a_file_of_its_own() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let mut config = secured(&[]);
    let empty = config.set("sasl.password.file", path).unwrap_err();
    assert!(empty.to_string().contains("is empty"), "{empty}");
    std::fs::write(file.path(), "from the file\r\n").unwrap();
    config.set("sasl.password.file", path).unwrap();
    assert_eq!(config.writer().get("sasl.password"), Some("from the file"));
    let absent = config.set("sasl.password.file", "/no/such").unwrap_err();
    assert!(absent.to_string().contains("/no/such"), "{absent}");
}

#[test]
fn what_correctness_rests_on_cannot_be_overridden() {
    let mut config = KafkaConfig::new("b:9092");
    assert!(config.validate().is_ok());
    config
        .extra
        .insert("auto.offset.reset".to_owned(), "largest".to_owned());
    assert!(refusal(&config).contains("auto.offset.reset"));
    assert!(KafkaConfig::new(" ").validate().is_err());
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let refused = refusal(&secured(&[("ssl.ca.location", "/no/such/file.pem")]));
    assert!(
        refused.contains("/no/such/file.pem") && refused.contains("ssl.ca.location"),
        "{refused}"
    );
}

#[test]
fn half_a_login_is_refused_before_anything_is_connected() {
    assert!(secured(&[]).validate().is_ok());
    for (key, wanted) in [
        ("sasl.password", "needs the Kafka property sasl.password"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("security.protocol", "expected sasl_ssl"),
    ] {
        let mut config = secured(&[]);
        config.extra.remove(key);
        let refused = refusal(&config);
        assert!(refused.contains(wanted), "{refused}");
        assert!(!refused.contains("pa55"), "{refused}");
    }
}

#[test]
fn copies_are_settings_and_must_make_sense() {
    let mut config = KafkaConfig::new("b:9092");
    config.set("replication.factor", "3").unwrap();
    config.set("min.insync.replicas", "2").unwrap();
    assert_eq!(
        (config.replication_factor, config.min_in_sync),
        (Some(3), Some(2))
    );
    assert!(config.validate().is_ok());
    assert!(config.writer().get("replication.factor").is_none());
    config.set("replication.factor", "1").unwrap();
    assert!(refusal(&config).contains("nothing could be written"));
    config.set("replication.factor", "0").unwrap();
    assert!(refusal(&config).contains("at least 1"));
    assert!(config.set("replication.factor", "all").is_err());
}

#[test]
fn properties_of_java_programs_are_translated() {
    let error = KafkaConfig::new("b:9092")
        .set("sasl.jaas.config", "... password=\"pa55\";")
        .unwrap_err()
        .to_string();
    assert!(error.contains("sasl.username"), "{error}");
    assert!(!error.contains("pa55"), "{error}");
}

#[test]
fn librdkafka_is_built_with_tls_and_with_the_mechanisms() {
    let with = |mechanism: &str, protocol: &str| {
        secured(&[
            ("sasl.mechanism", mechanism),
            ("security.protocol", protocol),
        ])
        .admin()
        .create_with_context::<_, AdminClient<Quiet>>(Quiet::default())
        .map(drop)
        .map_err(|error| of_call("make a client", error))
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        with(mechanism, "sasl_plaintext").expect("known");
        with(mechanism, "sasl_ssl").expect("known");
    }
    assert!(matches!(with("NO-SUCH", "sasl_ssl"), Err(Error::Config(_))));
}

#[test]
fn a_look_at_the_certificate_alone_tells_no_password() {
    let config = secured(&[]);
    let made = config.writer();
    assert_eq!(made.get("sasl.password"), Some("pa55"));
    assert_eq!(made.get("acks"), Some("all"));
    let look = config.unverified_name();
    assert_eq!(look.get("security.protocol"), Some("ssl"));
    assert_eq!(look.get("sasl.password"), None);
    assert_eq!(look.get("sasl.username"), None);
}
