//! Log lines of the product become lines of the trace, and points that were reached.

use std::fmt::Write as _;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::world::World;

/// Takes log lines down.
pub struct Telling(pub Arc<World>);

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a String can not fail.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}

impl<S: Subscriber> Layer<S> for Telling {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::INFO {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        if self.0.is_closed() {
            return;
        }
        self.0.reach(&format!("log: {}", text.message));
        let target = event.metadata().target();
        let part = target.split("::").next().unwrap_or(target);
        self.0.note(
            part.trim_start_matches("ccr_"),
            format_args!("{level} {}{}", text.message, text.fields),
        );
    }
}
