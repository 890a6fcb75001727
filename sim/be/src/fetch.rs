//! The HTTP client inside a backend: three attempts, only status 200 counts.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use md5::{Digest, Md5};
use reqwest::{Client, Method, Response, StatusCode};

use super::rowset::write_file;
use dorisim_model::backend::BeError;

const ATTEMPTS: u32 = 3;
const META_TIMEOUT: Duration = Duration::from_secs(30);
const FILE_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Query parameters of a request.
pub type Query<'a> = [(&'a str, String)];

/// What HEAD told about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Content-Length.
    pub length: u64,
    /// Content-MD5, if the server was asked for it.
    pub md5: Option<String>,
}

/// Downloads over persistent connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    pause: Duration,
}

impl Fetcher {
    /// A client that pauses this long between attempts (a genuine backend: 1 s).
    pub fn new(pause: Duration) -> Self {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build()
            .expect("invariant: a client without TLS has nothing to fail on");
        Fetcher { client, pause }
    }

    /// GET of a small answer.
    ///
    /// # Errors
    /// [`BeError::Download`] after the last attempt.
    pub async fn bytes(&self, url: &str, query: &Query<'_>) -> Result<Bytes, BeError> {
        let attempt = || async {
            let answer = self.send(Method::GET, url, query, META_TIMEOUT).await?;
            answer.bytes().await.map_err(|error| error.to_string())
        };
        self.retry(url, query, attempt).await
    }

    /// GET of a small text.
    ///
    /// # Errors
    /// As [`Fetcher::bytes`], also for bytes that are not UTF-8.
    pub async fn text(&self, url: &str, query: &Query<'_>) -> Result<String, BeError> {
        let bytes = self.bytes(url, query).await?;
        String::from_utf8(bytes.to_vec()).map_err(|_| failure(url, query, "not UTF-8".to_owned()))
    }

    /// HEAD of a file.
    ///
    /// # Errors
    /// [`BeError::Download`] after the last attempt.
    pub async fn head(&self, url: &str, query: &Query<'_>) -> Result<RemoteFile, BeError> {
        let attempt = || async {
            let answer = self.send(Method::HEAD, url, query, META_TIMEOUT).await?;
            remote_file(&answer)
        };
        self.retry(url, query, attempt).await
    }

    /// HEAD and GET of a file to `target`; checks length, and md5 when asked to.
    ///
    /// # Errors
    /// [`BeError::Download`] after the last attempt, [`BeError::Io`].
    pub async fn file(
        &self,
        url: &str,
        query: &Query<'_>,
        target: &Path,
        check_md5: bool,
    ) -> Result<u64, BeError> {
        let mut query = query.to_vec();
        if check_md5 {
            query.push(("acquire_md5", "true".to_owned()));
        }
        let wanted = self.head(url, &query).await?;
        self.file_of(url, &query, target, &wanted).await?;
        Ok(wanted.length)
    }

    /// GET of a file whose HEAD is known.
    ///
    /// # Errors
    /// [`BeError::Download`] after the last attempt, [`BeError::Io`].
    pub async fn file_of(
        &self,
        url: &str,
        query: &Query<'_>,
        target: &Path,
        wanted: &RemoteFile,
    ) -> Result<(), BeError> {
        let attempt = || async {
            let answer = self.send(Method::GET, url, query, FILE_TIMEOUT).await?;
            let body = answer.bytes().await.map_err(|error| error.to_string())?;
            check_body(&body, wanted)?;
            Ok(body)
        };
        let body = self.retry(url, query, attempt).await?;
        write_file(target, &body)
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        query: &Query<'_>,
        timeout: Duration,
    ) -> Result<Response, String> {
        let answer = self
            .client
            .request(method, url)
            .query(query)
            .timeout(timeout)
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(format!("status {}: {text}", status.as_u16()))
    }

    async fn retry<T, F>(
        &self,
        url: &str,
        query: &Query<'_>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, BeError>
    where
        F: Future<Output = Result<T, String>>,
    {
        let mut tried = 0;
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(reason) => {
                    tried += 1;
                    if tried == ATTEMPTS {
                        return Err(failure(url, query, reason));
                    }
                    tokio::time::sleep(self.pause).await;
                }
            }
        }
    }
}

fn remote_file(answer: &Response) -> Result<RemoteFile, String> {
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let length = header("content-length")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "HEAD without Content-Length".to_owned())?;
    Ok(RemoteFile {
        length,
        md5: header("content-md5").map(str::to_owned),
    })
}

fn check_body(body: &[u8], wanted: &RemoteFile) -> Result<(), String> {
    if body.len() as u64 != wanted.length {
        return Err(format!(
            "downloaded file size is not equal, local={}, remote={}",
            body.len(),
            wanted.length
        ));
    }
    let Some(remote) = &wanted.md5 else {
        return Ok(());
    };
    let local = md5_hex(body);
    if &local == remote {
        Ok(())
    } else {
        Err(format!(
            "downloaded file md5 is not equal, local={local}, remote={remote}"
        ))
    }
}

/// Lower-case hex md5.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// The error of a download, with all parameters but the token.
fn failure(url: &str, query: &Query<'_>, reason: String) -> BeError {
    let shown: Vec<String> = query
        .iter()
        .filter(|(name, _)| *name != "token")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    BeError::Download {
        url: format!("{url}?{}", shown.join("&")),
        reason,
    }
}
