//! A database without a binlog stream: says so, and why, when it does not pass.
//!
//! A stream comes into being with its first record, and every way to switch a binlog on writes one, except that a database
//! is created with it. So a database that has tables and no stream has a binlog that is off, or that is not in force although
//! its definition says that it is on (releases up to 2.1.6 after `CREATE DATABASE ... PROPERTIES ("binlog.enable" = "true")`):
//! what is written then is not recorded anywhere.

use std::convert::Infallible;
use std::time::Duration;

use ccr_control::{Problem, ProblemKind, ProblemPart, StreamState};
use ccr_doris::ddl::ident;
use ccr_doris::{BinlogPage, Inspect};
use tracing::{debug, info, warn};

use crate::context::Context;
use crate::error::Error;
use crate::report::Concern;

/// Looks at a missing stream before it is reported: a stream may be missing for a moment.
const MIN_LOOKS: u32 = 5;
/// Pause between two questions why the stream is missing.
const ASK_INTERVAL: Duration = Duration::from_secs(10);

/// Pause between two looks at the switch of the database's binlog; a status names a problem within ten seconds.
const SWITCH_INTERVAL: Duration = Duration::from_secs(8);

/// Looks at a stream that is not there.
#[derive(Debug, Default)]
pub(crate) struct MissingStream {
    looks: u32,
    asked: Option<Duration>,
}

/// Why a database has no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It has no tables; the first one begins the stream.
    NoTables,
    /// Its definition does not switch the binlog on.
    Off,
    /// Its definition switches the binlog on.
    NotInForce,
}

fn cause(has_tables: bool, is_on: bool) -> Cause {
    match (has_tables, is_on) {
        (false, true) => Cause::NoTables,
        (true | false, false) => Cause::Off,
        (true, true) => Cause::NotInForce,
    }
}

impl Cause {
    fn problem(self, database: &str, now_ms: i64) -> Option<Problem> {
        let what = match self {
            Self::NoTables => return None,
            Self::Off => format!(
                "the binlog of database {database} is switched off at the source, so that not all changes are recorded"
            ),
            Self::NotInForce => format!(
                "the source has no binlog of database {database} although its definition says that the binlog is on: it is not \
                 in force, so changes are not recorded"
            ),
        };
        let next = format!(
            "run ALTER DATABASE {} SET PROPERTIES (\"binlog.enable\" = \"true\") at the source (the stream then begins by itself) and \
             check that fe.conf and be.conf have enable_feature_binlog = true; then run `ccr job resync JOB` for what was not recorded",
            ident(database)
        );
        let (part, kind) = (ProblemPart::Source, ProblemKind::BinlogOff);
        Some(Problem::new(part, kind, what, now_ms).advise(next))
    }
}

impl MissingStream {
    /// Notes what the source answered. Reports a stream that stays away, and that it has come.
    ///
    /// # Errors
    /// What the source answers when it is asked why.
    pub(crate) async fn note(&mut self, ctx: &Context, page: &BinlogPage) -> Result<(), Error> {
        match page {
            BinlogPage::NoStream => self.look(ctx).await,
            BinlogPage::Records(_) | BinlogPage::CaughtUp | BinlogPage::TooOld { .. } => {
                if self.asked.is_some() {
                    info!(stream = %ctx.key, "the source has a binlog of the database now");
                    ctx.report.well(Concern::Binlog);
                    ctx.report.enter(StreamState::Following, "following");
                }
                *self = Self::default();
                Ok(())
            }
        }
    }

    async fn look(&mut self, ctx: &Context) -> Result<(), Error> {
        self.looks = self.looks.saturating_add(1);
        let now = ctx.clock.monotonic();
        if self.looks < MIN_LOOKS || self.asked.is_some_and(|at| now < at + ASK_INTERVAL) {
            return Ok(());
        }
        let first = self.asked.replace(now).is_none();
        let database = ctx.key.database.as_str();
        let objects = ctx
            .ask("show_tables", || ctx.source.objects(database))
            .await?;
        let is_on = is_on_for_database(ctx).await?.unwrap_or(true);
        let Some(problem) = cause(!objects.is_empty(), is_on).problem(database, ctx.clock.now_ms())
        else {
            ctx.report.well(Concern::Binlog);
            ctx.report.enter(
                StreamState::Following,
                "waiting for the first table of the database",
            );
            return Ok(());
        };
        if first {
            warn!(stream = %ctx.key, what = problem.what, "no binlog stream");
        }
        ctx.report.trouble(Concern::Binlog, problem);
        Ok(())
    }
}

/// Looks now and then whether the binlog of the database is still switched on, for jobs that follow all of its tables: the
/// stream goes on without it, but does not have what the tables do not switch on themselves.
///
/// # Errors
/// A source that does not answer.
pub(crate) async fn watch_switch(ctx: &Context) -> Result<Infallible, Error> {
    loop {
        ctx.clock.sleep(SWITCH_INTERVAL).await;
        let is_off = (ctx.follows_database)() && is_on_for_database(ctx).await? == Some(false);
        if !is_off {
            ctx.report.well(Concern::Switch);
            continue;
        }
        if let Some(problem) = Cause::Off.problem(&ctx.key.database, ctx.clock.now_ms()) {
            ctx.report.trouble(Concern::Switch, problem);
        }
    }
}

/// Whether the database's definition switches the binlog on; `None` when the account may not ask, or the database is gone.
///
/// # Errors
/// A source that does not answer.
pub(crate) async fn is_on_for_database(ctx: &Context) -> Result<Option<bool>, Error> {
    let database = ctx.key.database.as_str();
    let answer = ctx
        .ask("show_create_database", || async {
            match ctx.source.is_binlog_enabled(database).await {
                Err(error) if error.refusal().is_some() => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        })
        .await?;
    match answer {
        Ok(is_on) => Ok(Some(is_on)),
        Err(error) => {
            debug!(stream = %ctx.key, error = %error, "SHOW CREATE DATABASE is refused");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_with_tables_and_without_a_stream_is_a_problem() {
        let cases = [
            (false, true, None),
            (false, false, Some("switched off")),
            (true, false, Some("switched off")),
            (true, true, Some("not in force")),
        ];
        for (has_tables, is_on, expected) in cases {
            let problem = cause(has_tables, is_on).problem("d`b", 7);
            match expected {
                None => assert_eq!(problem, None),
                Some(text) => {
                    let problem = problem.unwrap();
                    assert!(problem.what.contains(text), "{}", problem.what);
                    assert!(
                        problem
                            .next_step
                            .contains("ALTER DATABASE `d``b` SET PROPERTIES"),
                        "{}",
                        problem.next_step
                    );
                }
            }
        }
    }
}
