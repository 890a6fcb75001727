//! Packets of a stream, in both directions.

use std::io;

use bytes::BytesMut;
use mysql_common::io::ParseBuf;
use mysql_common::proto::codec::PacketCodec;
use mysql_common::proto::{MyDeserialize, MySerialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest packet in bytes, received or sent.
const MAX_PACKET: usize = 64 << 20;
/// Output is written to the socket from so many bytes on.
const FLUSH_AT: usize = 64 << 10;

/// A stream cut into packets. Sequence numbers are checked when reading and counted when writing.
pub(crate) struct Packets<T> {
    stream: T,
    codec: PacketCodec,
    input: BytesMut,
    output: BytesMut,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Packets<T> {
    pub(crate) fn new(stream: T) -> Self {
        let mut codec = PacketCodec::default();
        codec.max_allowed_packet = MAX_PACKET;
        Self {
            stream,
            codec,
            input: BytesMut::new(),
            output: BytesMut::new(),
        }
    }

    /// Reads the first packet of a command, whose sequence number is 0. `None` when the client closed the connection.
    pub(crate) async fn command(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.codec.reset_seq_id();
        self.read().await
    }

    /// Reads the next packet. `None` when the client closed the connection between two packets.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut packet = Vec::new();
        loop {
            let whole = self.codec.decode(&mut self.input, &mut packet);
            if whole.map_err(invalid)? {
                return Ok(Some(packet));
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                let between = self.input.is_empty() && packet.is_empty();
                return if between {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Writes a packet; [`Self::flush`] sends what is buffered.
    pub(crate) async fn write(&mut self, body: &[u8]) -> io::Result<()> {
        let mut body = body;
        self.codec
            .encode(&mut body, &mut self.output)
            .map_err(invalid)?;
        if self.output.len() >= FLUSH_AT {
            self.send().await?;
        }
        Ok(())
    }

    /// Writes a packet of `mysql_common`.
    pub(crate) async fn write_packet(&mut self, packet: &impl MySerialize) -> io::Result<()> {
        let mut body = Vec::new();
        packet.serialize(&mut body);
        self.write(&body).await
    }

    /// Sends all packets that were written.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.send().await?;
        self.stream.flush().await
    }

    async fn send(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.output).await
    }
}

/// Parses a packet.
pub(crate) fn parse<'a, P: MyDeserialize<'a, Ctx = ()>>(packet: &'a [u8]) -> io::Result<P> {
    ParseBuf(packet).parse(())
}

/// Wraps the reason why bytes are no packet.
pub(crate) fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
