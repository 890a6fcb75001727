//! The traffic between frontend and backends, as plain structs and as the structs of the wire.
//!
//! [`task`] with [`push`], [`alter`], [`clone`], [`snapshot`] (what a frontend asks), [`end`] (what a backend tells about a task), [`schema`] and [`types`] (tablets to create),
//! [`status`] (refusals). Each part converts both ways; what a reader does not know it passes over.

pub mod alter;
pub mod clone;
pub mod end;
pub mod indexes;
pub mod push;
pub mod schema;
pub mod snapshot;
pub mod status;
pub mod task;
#[cfg(test)]
mod tests;
pub mod types;

pub use alter::{AlterTablet, DefinedColumn};
pub use clone::{CloneSource, CloneTablet};
pub use end::{FinishDetail, FinishedTask, TaskFailure};
pub use push::Push;
pub use schema::CreateTablet;
pub use snapshot::{Download, MakeSnapshot, ReleaseSnapshot};
pub use task::{AgentTask, DropTablet, MoveDir, PublishVersion, TabletMeta};

/// A struct of the wire that has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

impl WireError {
    /// With the text that names the object.
    pub fn new(text: impl Into<String>) -> Self {
        WireError(text.into())
    }
}
