//! What the show looks like: bars on a terminal, lines elsewhere.

use std::fmt;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// The screen.
#[derive(Debug)]
pub struct View {
    bars: MultiProgress,
}

impl View {
    /// Writes to stderr; results go to stdout.
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
        }
    }

    /// A headline.
    pub fn step(&self, text: &str) {
        self.line(&format!("==> {text}"));
    }

    /// Something that happens inside a step.
    pub fn note(&self, text: &str) {
        self.line(&format!("    {text}"));
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| eprintln!("{text}"));
    }

    /// Part of the answer.
    pub fn result(&self, text: &str) {
        self.bars.suspend(|| println!("{text}"));
    }

    /// A bar over a known number of rows.
    pub fn rows(&self, name: &str, total: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(total));
        bar.set_style(style(
            "    {prefix:<22} [{bar:30}] {human_pos:>9} of {human_len} rows  {rate}  {elapsed}",
        ));
        bar.set_prefix(name.to_owned());
        bar
    }

    /// A bar over work whose size shows later.
    pub fn sync(&self, name: &str) -> SyncBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style("    {prefix:<22} {spinner} {msg}  {elapsed}"));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        SyncBar { bar }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that can not be drawn is not worth an error.
            let _ = write!(out, "{:.0} rows/s", state.per_sec());
        })
        .progress_chars("=> ")
}

/// Progress of a job.
#[derive(Debug)]
pub struct SyncBar {
    bar: ProgressBar,
}

impl SyncBar {
    /// What it is doing, and how far.
    pub fn show(&self, action: &str, progress: Option<(u64, u64)>) {
        if self.bar.is_finished() {
            return;
        }
        self.bar.set_message(match progress {
            Some((done, known)) => format!("{action} ({done} of {known})"),
            None => action.to_owned(),
        });
    }

    /// Done; further calls change nothing.
    pub fn done(&self) {
        if !self.bar.is_finished() {
            self.bar.finish_with_message("done");
        }
    }
}

/// p50 and p99 of the replication lag in seconds, out of the metrics text; the worst of these jobs.
pub fn lag_quantiles(metrics: &str, jobs: &[&str]) -> Option<(f64, f64)> {
    let of_jobs: Vec<String> = jobs.iter().map(|job| format!("job=\"{job}\"")).collect();
    let worst = |quantile: &str| {
        metrics
            .lines()
            .filter(|line| line.starts_with("ccr_applier_replication_lag_seconds{"))
            .filter(|line| of_jobs.iter().any(|job| line.contains(job)))
            .filter(|line| line.contains(&format!("quantile=\"{quantile}\"")))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .reduce(f64::max)
    };
    Some((worst("0.5")?, worst("0.99")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_from_the_metrics_text() {
        let text = "# TYPE x summary\n\
            ccr_applier_replication_lag_seconds{job=\"a\",quantile=\"0.5\"} 0.1\n\
            ccr_applier_replication_lag_seconds{job=\"b\",quantile=\"0.5\"} 0.2\n\
            ccr_applier_replication_lag_seconds{job=\"a\",quantile=\"0.99\"} 0.9\n\
            ccr_applier_replication_lag_seconds_sum{job=\"a\"} 9\n";
        assert_eq!(lag_quantiles(text, &["a", "b"]), Some((0.2, 0.9)));
        assert_eq!(lag_quantiles(text, &["a"]), Some((0.1, 0.9)));
        assert_eq!(lag_quantiles("", &["a"]), None);
    }
}
