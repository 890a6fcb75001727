//! The writing half of a connection: some packets of the protocol library are replaced on their way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::definition::Definitions;
use super::denial::Denial;

/// Passes everything on, except the packets that are written better here.
pub(super) struct ReplacingWriter<W> {
    inner: W,
    denial: Denial,
    definitions: Definitions,
    greeted: bool,
    /// A replacement under way, and how much of it is written.
    pending: Vec<u8>,
}

impl<W> ReplacingWriter<W> {
    pub(super) fn new(inner: W, denial: Denial, definitions: Definitions) -> Self {
        Self {
            inner,
            denial,
            definitions,
            greeted: false,
            pending: Vec::new(),
        }
    }
}

/// The greeting with the capabilities of Doris where they differ. CLIENT_LONG_FLAG: without it clients read one byte of column
/// flags and take the second for the decimals. No CLIENT_DEPRECATE_EOF: the library forgets there that more answers follow.
fn greeting(body: &[u8]) -> Option<Vec<u8>> {
    const LONG_FLAG: u8 = 4;
    const DEPRECATE_EOF: u8 = 1;
    let version = body.iter().position(|byte| *byte == 0)?;
    // Connection id, the salt's first half, a zero; capabilities, charset, status, capabilities.
    let lower = version + 1 + 4 + 8 + 1;
    let upper = lower + 2 + 1 + 2;
    let mut body = body.to_vec();
    *body.get_mut(lower)? |= LONG_FLAG;
    *body.get_mut(upper + 1)? &= !DEPRECATE_EOF;
    Some(body)
}

impl<W: AsyncWrite + Unpin> ReplacingWriter<W> {
    /// The packet to send instead of `packet`, header included.
    fn replacement(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (sequence, body) = (packet.get(3)?, packet.get(4..)?);
        let body = if self.greeted {
            let denied = self.denial.replace(body);
            denied.or_else(|| self.definitions.replace(body))?
        } else {
            self.greeted = true;
            greeting(body)?
        };
        let length = u32::try_from(body.len()).ok()?.to_le_bytes();
        let mut replacement = vec![length[0], length[1], length[2], *sequence];
        replacement.extend(body);
        Some(replacement)
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            match Pin::new(&mut self.inner).poll_write(cx, &self.pending) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.pending.drain(..written);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for ReplacingWriter<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.poll_pending(cx)?.is_pending() {
            return Poll::Pending;
        }
        if let Some(replacement) = this.replacement(buf) {
            this.pending = replacement;
            // What does not go out now goes out with the flush.
            let _ = this.poll_pending(cx)?;
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut this.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.greeted || self.denial.is_set() || self.definitions.is_set() {
            // Header and body come apart; the replacement needs both.
            let packet: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            return self.poll_write(cx, &packet);
        }
        let this = self.get_mut();
        if this.poll_pending(cx)?.is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut this.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_pending(cx)?.is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_pending(cx)?.is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
