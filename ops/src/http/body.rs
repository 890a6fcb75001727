//! Bodies are read as a whole before a handler sees them, within bounds of size, time and memory over all requests.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Bounds;
use super::guard::Refusal;

/// A body in memory, and the room that it takes until it is dropped.
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Reads a body. One permit of `memory` is one byte.
///
/// # Errors
/// 413 when it is too long, 408 when it does not come in time, 503 when other requests hold all the memory, 400 when the
/// connection breaks.
pub(crate) async fn read(
    body: Body,
    bounds: &Bounds,
    memory: &Arc<Semaphore>,
) -> Result<Held, Refusal> {
    match tokio::time::timeout(bounds.body_time, collect(body, bounds, memory)).await {
        Ok(result) => result,
        Err(_elapsed) => Err((
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "the request body did not arrive within {} s",
                bounds.body_time.as_secs()
            ),
        )),
    }
}

async fn collect(
    mut body: Body,
    bounds: &Bounds,
    memory: &Arc<Semaphore>,
) -> Result<Held, Refusal> {
    let mut held = Held {
        bytes: Vec::new(),
        room: None,
    };
    if body.size_hint().lower() > bounds.body_bytes as u64 {
        return Err(too_long(bounds));
    }
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| {
            (
                StatusCode::BAD_REQUEST,
                format!("the request body cannot be read: {error}"),
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if held.bytes.len() + data.len() > bounds.body_bytes {
            return Err(too_long(bounds));
        }
        let size = u32::try_from(data.len()).map_err(|_| too_long(bounds))?;
        let Ok(room) = Arc::clone(memory).try_acquire_many_owned(size) else {
            return Err((
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "other request bodies use all of the {} bytes of the limit; try again",
                    bounds.bodies_bytes
                ),
            ));
        };
        match &mut held.room {
            Some(all) => all.merge(room),
            none => *none = Some(room),
        }
        held.bytes.extend_from_slice(&data);
    }
    Ok(held)
}

fn too_long(bounds: &Bounds) -> Refusal {
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "the request body is longer than {} bytes",
            bounds.body_bytes
        ),
    )
}
