//! What the client said it can do, read along with its first packet, and its wish to start over.
//!
//! The protocol library knows the first but keeps it to itself; the text of an OK packet depends on it. It answers a
//! COM_RESET_CONNECTION with OK and tells nobody.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

const MULTI_STATEMENTS: u32 = 1 << 16;
const SESSION_TRACK: u32 = 1 << 23;
/// Packet header and capability flags.
const NEEDED: usize = 8;
const COM_RESET_CONNECTION: u8 = 0x1f;

/// The flags of the connection; none before the client's first packet.
#[derive(Debug, Clone, Default)]
pub(super) struct Capabilities {
    flags: Arc<AtomicU32>,
    reset: Arc<AtomicBool>,
}

impl Capabilities {
    /// The text of an OK packet as it has to be handed to the library: without session tracking the library writes it as it
    /// is, but servers and clients agree on a length in front.
    pub(super) fn ok_text(&self, text: String) -> String {
        if text.is_empty() || self.flags.load(Ordering::Relaxed) & SESSION_TRACK != 0 {
            return text;
        }
        // Lengths up to 127 are a byte that is also a character.
        match u8::try_from(text.len()) {
            Ok(length @ 0..=0x7f) => format!("{}{text}", char::from(length)),
            Ok(_) | Err(_) => String::new(),
        }
    }

    /// The client takes an answer per statement.
    pub(super) fn multi_statements(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & MULTI_STATEMENTS != 0
    }

    /// True once after the client asked for a fresh session.
    pub(super) fn take_reset(&self) -> bool {
        self.reset.swap(false, Ordering::AcqRel)
    }
}

/// Follows the packets of a stream: header of four bytes, then as many as it says.
#[derive(Debug, Default)]
struct Packets {
    header: Vec<u8>,
    /// Bytes of the present packet that are still to come.
    left: usize,
    /// It has one byte only.
    single: bool,
}

impl Packets {
    /// True when the bytes end a packet that is nothing but this command.
    fn see(&mut self, mut bytes: &[u8], command: u8) -> bool {
        let mut seen = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                seen |= self.single && *first == command;
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            self.header.push(*first);
            bytes = rest;
            if let [a, b, c, _] = self.header.as_slice() {
                let length = u32::from_le_bytes([*a, *b, *c, 0]);
                self.left = usize::try_from(length).unwrap_or(0);
                self.single = length == 1;
                self.header.clear();
            }
        }
        seen
    }
}

/// Reads along.
pub(super) struct CapabilityReader<R> {
    inner: R,
    capabilities: Capabilities,
    head: Vec<u8>,
    packets: Packets,
}

impl<R> CapabilityReader<R> {
    pub(super) fn new(inner: R, capabilities: Capabilities) -> Self {
        Self {
            inner,
            capabilities,
            head: Vec::with_capacity(NEEDED),
            packets: Packets::default(),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for CapabilityReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if this.packets.see(read, COM_RESET_CONNECTION) {
            this.capabilities.reset.store(true, Ordering::Release);
        }
        if this.head.len() < NEEDED {
            let missing = NEEDED - this.head.len();
            this.head.extend(read.iter().take(missing));
            if let [_, _, _, _, a, b, c, d] = this.head.as_slice() {
                this.capabilities
                    .flags
                    .store(u32::from_le_bytes([*a, *b, *c, *d]), Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_at_any_cut() {
        let stream = [2, 0, 0, 0, 0x1f, 0x1f, 1, 0, 0, 0, 0x1f, 1, 0, 0, 1, 0x0e];
        for cut in 0..stream.len() {
            let mut packets = Packets::default();
            let first = packets.see(&stream[..cut], COM_RESET_CONNECTION);
            let second = packets.see(&stream[cut..], COM_RESET_CONNECTION);
            assert_eq!((first, second), (cut > 10, cut <= 10), "{cut}");
        }
    }
}
