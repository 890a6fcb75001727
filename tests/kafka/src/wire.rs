//! The few requests of Kafka's protocol that tests need, written by hand so that this crate needs no client.
//!
//! Layouts as in Kafka's protocol guide; versions that every broker from 2.0 to 4.x takes.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;
const METADATA: u16 = 3;
const DESCRIBE_ACLS: u16 = 29;
const CREATE_ACLS: u16 = 30;

/// What an access rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Topics.
    Topic,
    /// Consumer groups.
    Group,
}

/// What an access rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fetch, and for groups: join and commit.
    Read,
    /// Produce.
    Write,
    /// Make topics.
    Create,
    /// See that a topic is there, and where it ends.
    Describe,
    /// See a topic's settings.
    DescribeConfigs,
}

impl Operation {
    fn code(self) -> u8 {
        match self {
            Self::Read => 3,
            Self::Write => 4,
            Self::Create => 5,
            Self::Describe => 8,
            Self::DescribeConfigs => 10,
        }
    }
}

/// Allows `principal` (`User:ccr`) an operation on all resources of this kind whose names begin with `prefix`.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// Who.
    pub principal: &'a str,
    /// On what kind of thing.
    pub resource: Resource,
    /// Begin of its name.
    pub prefix: &'a str,
    /// What.
    pub operation: Operation,
}

/// What a broker says of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Ids of the brokers that are not fenced.
    pub brokers: Vec<i32>,
    /// Topics, if they were asked for.
    pub topics: BTreeMap<String, Vec<Partition>>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Broker that leads it; -1: none.
    pub leader: i32,
    /// Brokers with a copy.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
}

/// Asks one broker for the cluster's brokers and, if wanted, its topics.
///
/// # Errors
/// It does not answer in a few seconds, or not with metadata.
pub fn metadata(address: SocketAddr, topics: bool) -> Result<Metadata> {
    let mut body = Body::default();
    // No list means all.
    body.count(if topics { u32::MAX } else { 0 });
    body.byte(0); // no automatic creation
    let answer = ask(address, METADATA, 4, &body.0)?;
    let mut at = Cursor(&answer);
    at.i32()?; // throttled
    let brokers = at.list(|at| {
        let id = at.i32()?;
        at.text()?;
        at.i32()?;
        at.text()?;
        Ok(id)
    })?;
    at.text()?; // cluster
    at.i32()?; // controller
    let topics = at.list(|at| {
        at.i16()?;
        let name = at.text()?;
        at.take(1)?; // internal
        let partitions = at.list(|at| {
            at.i16()?;
            at.i32()?;
            Ok(Partition {
                leader: at.i32()?,
                replicas: at.list(Cursor::i32)?,
                in_sync: at.list(Cursor::i32)?,
            })
        })?;
        Ok((name, partitions))
    })?;
    Ok(Metadata {
        brokers,
        topics: topics.into_iter().collect(),
    })
}

/// Adds access rules.
///
/// # Errors
/// The broker does not answer in a few seconds, or refuses one.
pub fn create_acls(address: SocketAddr, rules: &[Rule<'_>]) -> Result<()> {
    let mut body = Body::default();
    body.count(rules.len() as u32);
    for rule in rules {
        body.byte(match rule.resource {
            Resource::Topic => 2,
            Resource::Group => 3,
        })
        .text(rule.prefix)
        .byte(4) // the name is a prefix
        .text(rule.principal)
        .text("*") // from every host
        .byte(rule.operation.code())
        .byte(3); // allowed
    }
    let answer = ask(address, CREATE_ACLS, 1, &body.0)?;
    let mut at = Cursor(&answer);
    at.i32()?; // throttled
    let refused = at.list(|at| Ok((at.i16()?, at.text()?)))?;
    match refused.into_iter().find(|(code, _)| *code != 0) {
        None => Ok(()),
        Some((code, text)) => Err(Error::other(format!(
            "an access rule was refused: {code} {text}"
        ))),
    }
}

/// How many access rules of `principal` this broker knows.
///
/// # Errors
/// It does not answer in a few seconds.
pub fn count_acls(address: SocketAddr, principal: &str) -> Result<usize> {
    const ANY: u8 = 1;
    let mut body = Body::default();
    body.byte(ANY).no_text().byte(ANY).text(principal).no_text();
    body.byte(ANY).byte(ANY);
    let answer = ask(address, DESCRIBE_ACLS, 1, &body.0)?;
    let mut at = Cursor(&answer);
    at.i32()?; // throttled
    at.i16()?;
    at.text()?;
    let counts = at.list(|at| {
        at.take(1)?;
        at.text()?;
        at.take(1)?;
        let rules = at.list(|at| {
            at.text()?;
            at.text()?;
            at.take(2).map(drop)
        })?;
        Ok(rules.len())
    })?;
    Ok(counts.into_iter().sum())
}

fn ask(address: SocketAddr, api: u16, version: u16, body: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    request.extend_from_slice(&api.to_be_bytes());
    request.extend_from_slice(&version.to_be_bytes());
    request.extend_from_slice(&7_i32.to_be_bytes()); // correlation id
    request.extend_from_slice(&(-1_i16).to_be_bytes()); // no client id
    request.extend_from_slice(body);
    let length = u32::try_from(request.len()).map_err(Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=ANSWER_BYTES).contains(&length) {
        return Err(Error::new(ErrorKind::InvalidData, "length of an answer"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4)) // correlation id
}

#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn count(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn text(&mut self, value: &str) -> &mut Self {
        self.0
            .extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    fn no_text(&mut self) -> &mut Self {
        self.0.extend_from_slice(&(-1_i16).to_be_bytes());
        self
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        if count > self.0.len() {
            return Err(Error::new(ErrorKind::UnexpectedEof, "answer is cut"));
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16> {
        let bytes = self.take(2)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| (value << 8) | i16::from(*byte)))
    }

    fn i32(&mut self) -> Result<i32> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| (value << 8) | i32::from(*byte)))
    }

    fn text(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.i32()?.max(0);
        (0..count).map(|_| item(self)).collect()
    }
}
