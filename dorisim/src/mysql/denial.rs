//! A wrong password as Doris says it.
//!
//! The protocol library answers with a number and a text of its own; clients tell refusals apart by Doris' number 1045.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Set when authentication fails: the text to answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Denial(Arc<Mutex<Option<String>>>);

impl Denial {
    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    fn is_set(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Given an error packet, the packet to send instead.
    fn replace(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let text = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        let (Some(sequence), Some(0xff)) = (packet.get(3), packet.get(4)) else {
            return None;
        };
        let mut body = vec![0xff];
        body.extend(1045_u16.to_le_bytes());
        body.extend(b"#28000");
        body.extend(text.as_bytes());
        let length = u32::try_from(body.len()).ok()?.to_le_bytes();
        let mut replacement = vec![length[0], length[1], length[2], *sequence];
        replacement.extend(body);
        Some(replacement)
    }
}

/// Passes everything on, except the error packet of a failed authentication.
pub(super) struct DenialWriter<W> {
    inner: W,
    denial: Denial,
    /// A replacement under way, and how much of it is written.
    pending: Vec<u8>,
}

impl<W> DenialWriter<W> {
    pub(super) fn new(inner: W, denial: Denial) -> Self {
        Self {
            inner,
            denial,
            pending: Vec::new(),
        }
    }
}

impl<W: AsyncWrite + Unpin> DenialWriter<W> {
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

impl<W: AsyncWrite + Unpin> AsyncWrite for DenialWriter<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.poll_pending(cx)?.is_pending() {
            return Poll::Pending;
        }
        if let Some(replacement) = this.denial.replace(buf) {
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
        if self.denial.is_set() {
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
