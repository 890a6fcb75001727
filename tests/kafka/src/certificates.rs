//! Certificates of a few days, made by the `openssl` program when a test starts. Nothing secret is in the repository, and
//! nothing in it can expire.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::KafkaError;

/// An authority, the brokers' certificate and a client's, all PEM; and an authority that nobody knows.
#[derive(Clone, Debug)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes them in `dir`. The brokers' certificate is for the address 127.0.0.1 and for no name.
    ///
    /// # Errors
    /// There is no `openssl`, or it failed; its words are in the error.
    pub(crate) fn make(dir: &Path) -> Result<Self, KafkaError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| KafkaError(format!("making {} failed: {error}", dir.display())))?;
        let made = Self {
            dir: dir.to_owned(),
        };
        made.authority("ca", "/CN=ccr test authority")?;
        made.authority("other-ca", "/CN=another authority")?;
        made.signed("broker", "/CN=broker", "subjectAltName=IP:127.0.0.1")?;
        made.signed("client", "/CN=ccr", "extendedKeyUsage=clientAuth")?;
        // Kafka wants key and certificate in one file.
        let mut both = made.read("broker.key")?;
        both.push_str(&made.read("broker.crt")?);
        made.write("broker.pem", &both)?;
        Ok(made)
    }

    /// The authority that signed the others.
    pub fn authority_file(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// An authority that signed nothing.
    pub fn other_authority_file(&self) -> PathBuf {
        self.file("other-ca.crt")
    }

    /// Certificate of the client `CN=ccr`.
    pub fn client_certificate(&self) -> PathBuf {
        self.file("client.crt")
    }

    /// Its key.
    pub fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }

    /// Key and certificate of the brokers.
    pub(crate) fn broker_file(&self) -> PathBuf {
        self.file("broker.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn read(&self, name: &str) -> Result<String, KafkaError> {
        let path = self.file(name);
        std::fs::read_to_string(&path)
            .map_err(|error| KafkaError(format!("reading {} failed: {error}", path.display())))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), KafkaError> {
        let path = self.file(name);
        std::fs::write(&path, text)
            .map_err(|error| KafkaError(format!("writing {} failed: {error}", path.display())))
    }

    fn authority(&self, name: &str, subject: &str) -> Result<(), KafkaError> {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let own = [
            "-x509",
            "-days",
            "2",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-subj",
            subject,
        ];
        self.openssl(&[NEW_KEY, &own].concat())
    }

    fn signed(&self, name: &str, subject: &str, extension: &str) -> Result<(), KafkaError> {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, request, certificate, extensions) =
            (file("key"), file("csr"), file("crt"), file("ext"));
        let own = ["-keyout", &key, "-out", &request, "-subj", subject];
        self.openssl(&[NEW_KEY, &own].concat())?;
        self.write(&extensions, extension)?;
        self.openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            &extensions,
            "-out",
            &certificate,
        ])
    }

    fn openssl(&self, args: &[&str]) -> Result<(), KafkaError> {
        let out = Command::new("openssl")
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                KafkaError(format!(
                    "no openssl program to make certificates with: {error}"
                ))
            })?;
        if out.status.success() {
            return Ok(());
        }
        Err(KafkaError(format!(
            "openssl {} failed ({}): {}",
            args.first().unwrap_or(&""),
            out.status,
            String::from_utf8_lossy(&out.stderr)
        )))
    }
}

const NEW_KEY: &[&str] = &[
    "req",
    "-new",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];
