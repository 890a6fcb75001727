//! The screen: a table of the source and the targets that stays in place on a terminal, and lines elsewhere.

use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Width of the bar of a phase whose end is known.
const BAR: u64 = 12;

/// The source and what is done with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLine {
    /// Rows loaded so far.
    pub rows: u64,
    /// Rows that are loaded in the end.
    pub rows_in_all: u64,
    /// Last statement that changed a table.
    pub statement: Option<&'static str>,
}

/// A target and what its job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetLine {
    /// Name of the job.
    pub job: &'static str,
    /// What the job does, for people.
    pub phase: String,
    /// Work done and work known, when the phase has an end.
    pub progress: Option<(u64, u64)>,
    /// Rows of all tables at the target; `None` when they cannot be read now.
    pub rows: Option<u64>,
    /// Age of the oldest change that is not applied, milliseconds; `None` when it is not known.
    pub lag_ms: Option<i64>,
}

/// The screen. Progress is written to stderr, results to stdout.
#[derive(Debug)]
pub struct View {
    screen: MultiProgress,
    /// In place on a terminal; `None` elsewhere.
    table: Option<Table>,
}

/// Lines of the table that stays in place.
#[derive(Debug)]
struct Table {
    head: ProgressBar,
    source: ProgressBar,
    targets: Vec<ProgressBar>,
}

impl View {
    /// Makes a screen for a number of targets. The table appears with its first line.
    pub fn new(targets: usize) -> Self {
        let screen = MultiProgress::new();
        let table = std::io::stderr().is_terminal().then(|| {
            let line = || screen.add(ProgressBar::new_spinner().with_style(plain()));
            Table {
                head: line(),
                source: line(),
                targets: (0..targets).map(|_| line()).collect(),
            }
        });
        Self { screen, table }
    }

    /// Begins a part of the run.
    pub fn step(&self, text: &str) {
        self.line(&format!("==> {text}"));
    }

    /// Says something about a part of the run.
    pub fn note(&self, text: &str) {
        self.line(&format!("    {text}"));
    }

    /// Says something that the table shows as well: elsewhere than on a terminal only.
    pub fn note_without_table(&self, text: &str) {
        if self.table.is_none() {
            self.note(text);
        }
    }

    /// Prints a part of the result.
    pub fn result(&self, text: &str) {
        self.screen.suspend(|| println!("{text}"));
    }

    /// Shows the table in place; does nothing where there is no terminal.
    pub fn show(&self, source: &SourceLine, targets: &[TargetLine]) {
        let Some(table) = &self.table else {
            return;
        };
        table.head.set_message(head());
        table.source.set_message(source.to_string());
        for (bar, target) in table.targets.iter().zip(targets) {
            bar.set_message(target.to_string());
        }
    }

    /// Takes the table off the screen: what it showed last is in the results.
    pub fn close_table(&self) {
        if let Some(table) = &self.table {
            for bar in [&table.head, &table.source]
                .into_iter()
                .chain(&table.targets)
            {
                bar.finish_and_clear();
            }
        }
    }

    fn line(&self, text: &str) {
        self.screen.suspend(|| eprintln!("{text}"));
    }
}

fn plain() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn head() -> String {
    format!("    {:<8} {:>10} {:>9}  phase", "", "rows", "lag")
}

impl std::fmt::Display for SourceLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            rows,
            rows_in_all,
            statement,
        } = self;
        write!(f, "    {:<8} {rows:>10} {:>9}  ", "source", "")?;
        write!(f, "loading {}", bar(*rows, *rows_in_all))?;
        if let Some(statement) = statement {
            // One line of an ordinary terminal.
            let shown: String = statement.chars().take(56).collect();
            let cut = if shown.len() < statement.len() {
                "..."
            } else {
                ""
            };
            write!(f, "  {shown}{cut}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for TargetLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unknown = || "-".to_owned();
        let rows = self.rows.map_or_else(unknown, |rows| rows.to_string());
        let lag = self.lag_ms.map_or_else(unknown, |lag| format!("{lag} ms"));
        write!(f, "    {:<8} {rows:>10} {lag:>9}  {}", self.job, self.phase)?;
        if let Some((done, all)) = self.progress {
            write!(f, " {}", bar(done, all))?;
        }
        Ok(())
    }
}

fn bar(done: u64, all: u64) -> String {
    let filled = done.min(all) * BAR / all.max(1);
    let columns = |text: &str, count: u64| text.repeat(usize::try_from(count).unwrap_or_default());
    format!(
        "[{}{}] {done}/{all}",
        columns("=", filled),
        columns(" ", BAR - filled)
    )
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

    #[test]
    fn lines_fit_below_their_head() {
        let target = TargetLine {
            job: "main",
            phase: "restoring".to_owned(),
            progress: Some((6, 12)),
            rows: None,
            lag_ms: Some(120),
        };
        assert_eq!(
            target.to_string(),
            "    main              -    120 ms  restoring [======      ] 6/12"
        );
        let source = SourceLine {
            rows: 400,
            rows_in_all: 400,
            statement: Some("ALTER TABLE t"),
        };
        assert_eq!(
            source.to_string(),
            "    source          400            loading [============] 400/400  ALTER TABLE t"
        );
        assert_eq!(head(), "                   rows       lag  phase");
    }
}
