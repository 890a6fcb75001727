//! What the client said it can do, read along with its first packet.
//!
//! The protocol library knows it too but keeps it to itself; the text of an OK packet depends on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

const SESSION_TRACK: u32 = 1 << 23;
/// Packet header and capability flags.
const NEEDED: usize = 8;

/// The flags of the connection; none before the client's first packet.
#[derive(Debug, Clone, Default)]
pub(super) struct Capabilities(Arc<AtomicU32>);

impl Capabilities {
    /// The text of an OK packet as it has to be handed to the library: without session tracking the library writes it as it
    /// is, but servers and clients agree on a length in front.
    pub(super) fn ok_text(&self, text: String) -> String {
        if text.is_empty() || self.0.load(Ordering::Relaxed) & SESSION_TRACK != 0 {
            return text;
        }
        // Lengths up to 127 are a byte that is also a character.
        match u8::try_from(text.len()) {
            Ok(length @ 0..=0x7f) => format!("{}{text}", char::from(length)),
            Ok(_) | Err(_) => String::new(),
        }
    }
}

/// Reads along.
pub(super) struct CapabilityReader<R> {
    inner: R,
    capabilities: Capabilities,
    head: Vec<u8>,
}

impl<R> CapabilityReader<R> {
    pub(super) fn new(inner: R, capabilities: Capabilities) -> Self {
        Self {
            inner,
            capabilities,
            head: Vec::with_capacity(NEEDED),
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
        if this.head.len() < NEEDED {
            let missing = NEEDED - this.head.len();
            this.head
                .extend(buf.filled()[before..].iter().take(missing));
            if let [_, _, _, _, a, b, c, d] = this.head.as_slice() {
                this.capabilities
                    .0
                    .store(u32::from_le_bytes([*a, *b, *c, *d]), Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}
