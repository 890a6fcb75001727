//! Runs what the planner draws.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_ops::SystemClock;

use super::history::History;
use super::ops::{Kind, Planner};
use crate::world::World;

/// How long a statement may be refused: a schema change or rollup of its table runs, or a backend is away.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(50);

/// Writes one operation after another to the source.
#[derive(Debug)]
pub struct Workload {
    planner: Planner,
    history: History,
}

impl Workload {
    /// Makes the first tables. Operations of the kinds in `without` are left out.
    pub async fn start(world: &World, seed: u64, without: &[Kind]) -> Result<Self> {
        let planner = Planner::new(seed, without);
        let first = planner.first();
        let mut workload = Self {
            planner,
            history: History::default(),
        };
        workload.run(world, &first).await?;
        Ok(workload)
    }

    /// The next operation.
    pub async fn step(&mut self, world: &World) -> Result<()> {
        let statements = self.planner.operation();
        self.run(world, &statements).await
    }

    /// Drops what would keep a first sync waiting.
    pub async fn tidy(&mut self, world: &World) -> Result<()> {
        let statements = self.planner.tidy();
        self.run(world, &statements).await
    }

    /// A last row into every table, and nothing that would keep a table waiting.
    pub async fn finish(&mut self, world: &World) -> Result<()> {
        self.tidy(world).await?;
        let statements = self.planner.last();
        self.run(world, &statements).await
    }

    /// What was run.
    pub fn history(&self) -> &History {
        &self.history
    }

    async fn run(&mut self, world: &World, statements: &[String]) -> Result<()> {
        for statement in statements {
            until_taken(world, statement).await?;
            self.history.push(statement);
        }
        Ok(())
    }
}

/// Repeats a statement until the source takes it. A refused statement has no effect.
async fn until_taken(world: &World, statement: &str) -> Result<()> {
    let clock = SystemClock::shared();
    let deadline = clock.monotonic() + PATIENCE;
    loop {
        let Err(error) = world.sql(statement).await else {
            return Ok(());
        };
        if clock.monotonic() > deadline {
            bail!(error.context(format!("refused for {PATIENCE:?}")));
        }
        clock.sleep(RETRY).await;
    }
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{name}={text} is not a number")),
        Err(_) => Ok(default),
    }
}
