//! A public client against [`dorisim_mysql::serve`].
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests end at the first surprise"
)]

use std::io;

use dorisim_mysql::{Column, ColumnType, Prepared, Refusal, Reply, Service, Value, proves, serve};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder};
use mysql_common::constants::CapabilityFlags;
use mysql_common::scramble::scramble_native;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SALT: &[u8; 20] = b"abcdefghijklmnopqrst";

/// Replies by the words of a statement.
#[derive(Clone)]
struct Echo {
    resets: u32,
}

fn column(name: &str, kind: ColumnType) -> Column {
    Column::new(kind).with_name(name.as_bytes())
}

fn numbers(to: i64) -> Reply {
    Reply::Rows {
        columns: vec![
            column("n", ColumnType::MYSQL_TYPE_LONGLONG),
            column("t", ColumnType::MYSQL_TYPE_VAR_STRING),
        ],
        rows: (0..to)
            .map(|n| vec![Some(n.to_string()), (n % 2 == 0).then(|| "even".to_owned())])
            .collect(),
    }
}

impl Service for Echo {
    fn version(&self) -> String {
        "5.7.99".to_owned()
    }

    fn connection_id(&self) -> u32 {
        77
    }

    fn salt(&self) -> [u8; 20] {
        *SALT
    }

    fn log_in(&mut self, user: &str, proof: &[u8]) -> Result<(), Refusal> {
        if user == "root" && proves("secret", SALT, proof) {
            return Ok(());
        }
        Err(Refusal::new(1045, format!("Access denied for {user}")))
    }

    async fn use_database(&mut self, name: &str) -> Result<(), Refusal> {
        match name {
            "there" => Ok(()),
            _ => Err(Refusal::new(1049, format!("Unknown database '{name}'"))),
        }
    }

    async fn query(&mut self, text: &str) -> io::Result<Vec<Reply>> {
        let one = |statement: &str| match statement.trim().split_once(' ') {
            Some(("numbers", to)) => numbers(to.parse().unwrap()),
            Some(("done", info)) => Reply::Done {
                affected_rows: 300,
                info: info.to_owned(),
            },
            Some(("fail", text)) => Reply::Refused(Refusal::new(5_025, text)),
            Some(("long", length)) => Reply::Rows {
                columns: vec![column("t", ColumnType::MYSQL_TYPE_BLOB)],
                rows: vec![vec![Some("x".repeat(length.parse().unwrap()))]],
            },
            Some(("length", of)) => Reply::Done {
                affected_rows: of.len() as u64,
                info: String::new(),
            },
            _ => Reply::Rows {
                columns: vec![column("v", ColumnType::MYSQL_TYPE_LONGLONG)],
                rows: vec![vec![Some(self.resets.to_string())]],
            },
        };
        if text == "cut" {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(text.split(';').map(one).collect())
    }

    async fn prepare(&mut self, text: &str) -> Result<Prepared, Refusal> {
        if text == "wrong" {
            return Err(Refusal::new(1064, "no statement"));
        }
        let parameters = text.matches('?').count();
        Ok(Prepared {
            parameters: vec![column("?", ColumnType::MYSQL_TYPE_VAR_STRING); parameters],
            columns: vec![column("v", ColumnType::MYSQL_TYPE_VAR_STRING)],
        })
    }

    async fn execute(&mut self, text: &str, parameters: Vec<Value>) -> io::Result<Vec<Reply>> {
        if text == "numbers" {
            return Ok(vec![numbers(2)]);
        }
        let row = parameters.iter().map(|value| Some(value.as_sql(true)));
        Ok(vec![Reply::Rows {
            columns: vec![column("v", ColumnType::MYSQL_TYPE_VAR_STRING); parameters.len()],
            rows: vec![row.collect()],
        }])
    }

    async fn reset(&mut self) {
        self.resets += 1;
    }
}

async fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Echo { resets: 0 }));
        }
    });
    port
}

fn options(port: u16, password: &str, database: Option<&str>) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some("root"))
        .pass(Some(password))
        .db_name(database)
        .prefer_socket(false)
        .max_allowed_packet(Some(64 << 20))
        .wait_timeout(Some(60))
        .into()
}

async fn connected() -> Conn {
    let port = server().await;
    Conn::new(options(port, "secret", None)).await.unwrap()
}

fn code(error: Error) -> (u16, String, String) {
    match error {
        Error::Server(error) => (error.code, error.state, error.message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_refused() {
    let port = server().await;
    let denied = Conn::new(options(port, "wrong", None)).await.unwrap_err();
    let denied = code(denied);
    assert_eq!((denied.0, denied.1.as_str()), (1045, "28000"));
    let missing = Conn::new(options(port, "secret", Some("nowhere"))).await;
    assert_eq!(code(missing.unwrap_err()).0, 1049);
    let mut conn = Conn::new(options(port, "secret", Some("there")))
        .await
        .unwrap();
    assert_eq!(conn.id(), 77);
    conn.ping().await.unwrap();
}

#[tokio::test]
async fn rows_counts_and_texts_arrive() {
    let mut conn = connected().await;
    let rows: Vec<(i64, Option<String>)> = conn.query("numbers 3").await.unwrap();
    let even = || Some("even".to_owned());
    assert_eq!(rows, [(0, even()), (1, None), (2, even())]);
    let none: Vec<(i64, Option<String>)> = conn.query("numbers 0").await.unwrap();
    assert_eq!(none, []);
    let info = format!("{{'label':'{}'}}", "l".repeat(300));
    conn.query_drop(format!("done {info}")).await.unwrap();
    assert_eq!((conn.affected_rows(), conn.info()), (300, info.into()));
}

/// Sends a packet with a sequence number.
async fn send(stream: &mut TcpStream, number: u8, body: &[u8]) {
    let [a, b, c, _] = u32::try_from(body.len()).unwrap().to_le_bytes();
    let packet = [&[a, b, c, number], body].concat();
    stream.write_all(&packet).await.unwrap();
}

/// Receives a packet.
async fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// A connection whose client asked for several results per text, and the packets that answer a text.
async fn several(text: &str, packets: usize) -> Vec<Vec<u8>> {
    let port = server().await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    receive(&mut stream).await;
    let flags = CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_MULTI_STATEMENTS
        // Named without being offered, as clients do: no attributes come.
        | CapabilityFlags::CLIENT_CONNECT_ATTRS;
    let mut body = flags.bits().to_le_bytes().to_vec();
    body.extend([0; 28]);
    body.extend(b"root\0\x14");
    body.extend(scramble_native(SALT, b"secret").unwrap());
    send(&mut stream, 1, &body).await;
    assert_eq!(receive(&mut stream).await[0], 0);
    send(&mut stream, 0, &[b"\x03", text.as_bytes()].concat()).await;
    let mut answer = Vec::new();
    for _ in 0..packets {
        answer.push(receive(&mut stream).await);
    }
    send(&mut stream, 0, b"\x0e").await;
    assert_eq!(receive(&mut stream).await[0], 0, "a ping is answered next");
    answer
}

#[tokio::test]
async fn a_text_gives_several_results_until_one_fails() {
    const MORE: u8 = 8;
    let answer = several("numbers 1;done x;fail no;done y", 8).await;
    let [count, first, second, end, row, last, ok, failed] = answer.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(count, b"\x02");
    assert!(first.starts_with(b"\x03def") && second.starts_with(b"\x03def"));
    assert_eq!(end, &[0xfe, 0, 0, 0, 0]);
    assert_eq!(row, b"\x010\x04even");
    assert_eq!(last, &[0xfe, 0, 0, MORE, 0]);
    assert_eq!(ok, &[0, 0xfc, 0x2c, 1, 0, MORE, 0, 0, 0, 1, b'x']);
    assert_eq!(failed, b"\xff\xa1\x13#HY000no");
}

#[tokio::test]
async fn a_client_of_one_result_gets_the_last() {
    let mut conn = connected().await;
    let rows: Vec<(i64, Option<String>)> = conn.query("done x;numbers 2").await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn packets_beyond_16_mib_are_cut_and_joined() {
    let mut conn = connected().await;
    for length in [(1 << 24) - 2, (1 << 24) - 1, (1 << 24) + 5] {
        let text: Option<String> = conn.query_first(format!("long {length}")).await.unwrap();
        assert_eq!(text.unwrap().len(), length);
        conn.query_drop(format!("length {}", "y".repeat(length)))
            .await
            .unwrap();
        assert_eq!(conn.affected_rows(), length as u64);
    }
}

#[tokio::test]
async fn prepared_statements_take_parameters_of_all_kinds() {
    let mut conn = connected().await;
    let rows: Vec<(i64, Option<String>)> = conn.exec("numbers", ()).await.unwrap();
    assert_eq!(rows, [(0, Some("even".to_owned())), (1, None)]);
    let date = Value::Date(2024, 2, 29, 1, 2, 3, 0);
    for _ in 0..2 {
        let back: Option<(String, String, String, String)> = conn
            .exec_first("? ? ? ?", (-5, "it's", None::<u8>, date.clone()))
            .await
            .unwrap();
        let wanted = ("-5", "'it''s'", "NULL", "'2024-02-29 01:02:03'");
        assert_eq!(
            back.unwrap(),
            (
                wanted.0.into(),
                wanted.1.into(),
                wanted.2.into(),
                wanted.3.into()
            )
        );
    }
    let refused = conn.prep("wrong").await.unwrap_err();
    assert_eq!(code(refused).1, "42000");
}

#[tokio::test]
async fn a_reset_reaches_the_session_and_forgets_statements() {
    let mut conn = connected().await;
    let before: Option<i64> = conn.query_first("resets").await.unwrap();
    assert!(conn.reset().await.unwrap());
    let after: Option<i64> = conn.query_first("resets").await.unwrap();
    assert_eq!((before, after), (Some(0), Some(1)));
}

#[tokio::test]
async fn a_service_that_fails_closes_the_connection() {
    let mut conn = connected().await;
    assert!(matches!(
        conn.query_drop("cut").await.unwrap_err(),
        Error::Io(_) | Error::Driver(_)
    ));
}

#[tokio::test]
async fn bytes_that_are_no_handshake_close_the_connection() {
    let port = server().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 1],
        &[4, 0, 0, 1, 0, 2, 0, 0],
        &[0xff, 0xff, 0xff, 9],
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut greeting = Vec::new();
        // Ends with the greeting, or with a reset when bytes were left unread.
        let _ = stream.read_to_end(&mut greeting).await;
        assert!(greeting.len() < 100, "{greeting:?}");
    }
}
