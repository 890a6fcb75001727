use std::net::SocketAddr;

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::telemetry;

struct Server {
    address: SocketAddr,
    token: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(health: Health, bounds: Bounds) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let token = CancellationToken::new();
        let router = Router::new()
            .route("/echo", post(async |body: String| body))
            .route(
                "/slow",
                get(async || tokio::time::sleep(Duration::from_secs(30)).await),
            );
        let task = tokio::spawn(serve(listener, router, health, bounds, token.clone()));
        Self {
            address,
            token,
            task,
        }
    }

    async fn open(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        // The server may answer and close before it has read a body that is too long.
        let _ = stream.write_all(text.as_bytes()).await;
        stream
    }

    /// Status and the whole answer.
    async fn ask(&self, request: &str) -> (u16, String) {
        answer_of(self.open(request).await).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
        .await
    }
}

/// Asks again and again until the status is the expected one.
async fn until(server: &Server, request: &str, expected: u16) -> String {
    for _ in 0..2000 {
        let (status, body) = server.ask(request).await;
        if status == expected {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never answered with {expected}")
}

async fn answer_of(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    let _ = read.await.expect("the server neither answers nor closes");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or(0), answer)
}

fn post_echo(length: usize, body: &str) -> String {
    format!(
        "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: \
         {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn readiness_follows_its_conditions_and_liveness_does_not() {
    let health = Health::default();
    health.ready("log");
    health.not_ready("source", "fe1:9020 refuses connections");
    let server = Server::start(health.clone(), Bounds::default()).await;
    for path in ["/ready", "/readyz"] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 503);
        assert!(
            body.contains(r#""source":"fe1:9020 refuses connections""#),
            "{body}"
        );
        assert!(!body.contains("\"log\""), "{body}");
    }
    assert_eq!(server.get("/live").await.0, 200);
    assert_eq!(server.get("/livez").await.0, 200);
    health.ready("source");
    assert_eq!(server.get("/ready").await.0, 200);
}

#[tokio::test]
async fn metrics_are_text_and_requests_are_counted_by_route() {
    telemetry::metrics().expect("metrics");
    let server = Server::start(Health::default(), Bounds::default()).await;
    server.get("/live").await;
    let (status, body) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("text/plain; version=0.0.4"), "{body}");
    assert!(
        body.contains(r#"ccr_http_request_duration_seconds_count{route="/live",status="200"}"#),
        "{body}"
    );
}

#[tokio::test]
async fn bodies_and_times_are_bounded() {
    let short = Duration::from_millis(100);
    let server = Server::start(
        Health::default(),
        Bounds {
            answer_time: short,
            body_time: short,
            ..Bounds::default()
        },
    )
    .await;
    assert_eq!(server.ask(&post_echo(5, "hello")).await.0, 200);
    let long = "x".repeat(Bounds::DEFAULT_BODY_BYTES + 1);
    assert_eq!(server.ask(&post_echo(long.len(), &long)).await.0, 413);
    let (status, body) = server.get("/slow").await;
    assert_eq!(status, 504);
    assert!(body.contains("\"success\":false"), "{body}");
    // A body that never comes.
    let (status, body) = server.ask(&post_echo(9, "{")).await;
    assert_eq!(status, 408, "{body}");
    assert!(body.contains("did not arrive"), "{body}");
}

#[tokio::test]
async fn a_body_without_a_declared_length_is_bounded_as_well() {
    let server = Server::start(
        Health::default(),
        Bounds {
            body_bytes: 10,
            ..Bounds::default()
        },
    )
    .await;
    let chunked = "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n";
    assert_eq!(server.ask(chunked).await.0, 413);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let server = Server::start(
        Health::default(),
        Bounds {
            head_time: Duration::from_millis(100),
            ..Bounds::default()
        },
    )
    .await;
    for begun in ["", "GET /live HTTP/1.1\r\nhost: loc"] {
        let (_, answer) = server.ask(begun).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // Kept open after an answer, and then idle.
    let (status, _) = server
        .ask("GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn unfinished_bodies_share_a_bounded_memory() {
    let server = Server::start(
        Health::default(),
        Bounds {
            bodies_bytes: 1000,
            ..Bounds::default()
        },
    )
    .await;
    let holder = server.open(&post_echo(901, &"x".repeat(900))).await;
    // The holder's bytes are taken in some time after they were sent.
    let other = post_echo(500, &"x".repeat(500));
    let body = until(&server, &other, 503).await;
    assert!(body.contains("try again"), "{body}");
    drop(holder);
    // Its room is free again.
    until(&server, &other, 200).await;
}

#[tokio::test]
async fn health_is_answered_while_all_connections_are_in_use() {
    let server = Server::start(
        Health::default(),
        Bounds {
            connections: 4,
            reserve: 2,
            ..Bounds::default()
        },
    )
    .await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        idle.push(server.open("POST /echo HTTP/1.1\r\nhost: loc").await);
    }
    for path in ["/live", "/ready", "/metrics"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let (status, body) = server.ask(&post_echo(2, "{}")).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("in use"), "{body}");
    // A connection that ends makes room.
    drop(idle);
    until(&server, &post_echo(2, "{}"), 200).await;
}

#[tokio::test]
async fn requests_of_foreign_web_pages_are_refused() {
    let server = Server::start(Health::default(), Bounds::default()).await;
    let post = |header: &str| {
        format!(
            "POST /echo HTTP/1.1\r\n{header}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        )
    };
    for (expected, header) in [
        (200, "host: localhost\r\ncontent-type: application/json"),
        (200, "host: localhost"),
        (415, "host: localhost\r\ncontent-type: text/plain"),
        (403, "host: evil.example\r\ncontent-type: application/json"),
        (
            403,
            "host: localhost\r\ncontent-type: application/json\r\norigin: http://evil.example",
        ),
    ] {
        let (status, body) = server.ask(&post(header)).await;
        assert_eq!(status, expected, "{header}: {body}");
    }
}

#[tokio::test]
async fn cancelling_ends_the_server() {
    let server = Server::start(Health::default(), Bounds::default()).await;
    assert_eq!(server.get("/live").await.0, 200);
    let _idle = server.open("").await;
    server.token.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), server.task).await;
    assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
    assert!(TcpStream::connect(server.address).await.is_err());
}
