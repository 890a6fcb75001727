//! Statements and queries of the destination in memory.

use async_trait::async_trait;
use ccr_doris::error::Refusal;
use ccr_doris::{Error, Row, SqlSession, TxnState};

use super::{BUCKETS, Fake, World, asked, by_name, create, refused};

/// Back-quoted words of a statement.
fn words(sql: &str) -> Vec<String> {
    sql.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// As SHOW PROC lists them. Times are seconds of the fake's clock.
fn transactions(world: &World, part: &str) -> Vec<Row> {
    let listed = world.txns.iter().rev().filter(|(id, txn)| {
        let ended = matches!(txn.state, TxnState::Visible | TxnState::Aborted);
        ended == (part == "finished") && !world.forgotten.contains(*id)
    });
    listed
        .map(|(id, txn)| {
            let state = format!("{:?}", txn.state).to_uppercase();
            [
                ("TransactionId", id.to_string()),
                ("Label", txn.label.clone()),
                ("TransactionStatus", state),
                ("FinishTime", txn.ended_at.to_string()),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Some(value)))
            .collect()
        })
        .collect()
}

#[async_trait]
impl SqlSession for Fake {
    async fn execute(&self, _: Option<&str>, sql: &str) -> Result<(), Error> {
        self.call(|world| {
            for (text, times) in &mut world.refuse {
                if *times > 0 && sql.contains(text.as_str()) {
                    *times -= 1;
                    return Err(refused(Refusal::Other, "refused for the test"));
                }
            }
            world.statements.push(sql.to_owned());
            let words = words(sql);
            if sql.starts_with("CREATE DATABASE") {
                return Ok(());
            }
            if sql.starts_with("CREATE TABLE") {
                if by_name(world, &words[1]).is_some() {
                    return Err(refused(Refusal::AlreadyExists, "exists"));
                }
                create(world, &words[1]);
                return Ok(());
            }
            let table = by_name(world, &words[0]);
            if sql.starts_with("DROP TABLE IF EXISTS") {
                if let Some(id) = table {
                    world.tables.remove(&id);
                }
                return Ok(());
            }
            let Some(id) = table else {
                return Err(refused(
                    Refusal::UnknownTable,
                    &format!("unknown table {}", words[0]),
                ));
            };
            if sql.starts_with("TRUNCATE TABLE") {
                world.next_id += 10;
                let partition = world.next_id + 70_000;
                let table = world.tables.get_mut(&id).unwrap();
                table.partition = partition;
                table.version = 1;
                table.tablets = vec![Vec::new(); BUCKETS as usize];
            } else if sql.contains(" REPLACE WITH TABLE ") {
                let Some(replacement) = by_name(world, &words[1]) else {
                    return Err(refused(Refusal::UnknownTable, "unknown table"));
                };
                if sql.contains("'swap' = 'false'") {
                    world.tables.remove(&id);
                } else {
                    world.tables.get_mut(&id).unwrap().name = words[1].clone();
                }
                world.tables.get_mut(&replacement).unwrap().name = words[0].clone();
            } else if sql.contains(" RENAME `") {
                if by_name(world, &words[1]).is_some() {
                    return Err(refused(Refusal::AlreadyExists, "exists"));
                }
                world.tables.get_mut(&id).unwrap().name = words[1].clone();
            } else if sql.contains(" ADD COLUMN ") {
                let table = world.tables.get_mut(&id).unwrap();
                if table.columns.contains(&words[1]) {
                    return Err(refused(Refusal::AlreadyExists, "column exists"));
                }
                table.columns.push(words[1].clone());
            } else {
                panic!("statement not known to the fake: {sql}");
            }
            Ok(())
        })
        .await
    }

    async fn query(&self, _: Option<&str>, sql: &str) -> Result<Vec<Row>, Error> {
        self.call(|world| {
            let row = |column: &str, value: &str| {
                Row::from([(column.to_owned(), Some(value.to_owned()))])
            };
            if sql.starts_with("SHOW TABLES FROM ") {
                return Ok(world
                    .tables
                    .values()
                    .map(|t| row("Tables_in_d", &t.name))
                    .collect());
            }
            if sql == "SHOW PROC '/dbs'" {
                let mut found = row("DbId", "7");
                found.extend(row("DbName", "dst"));
                return Ok(vec![found]);
            }
            if let Some(part) = sql.strip_prefix("SHOW PROC '/transactions/7/") {
                let listed = transactions(world, part.trim_end_matches('\''));
                if part.starts_with("running") {
                    asked(world);
                }
                return Ok(listed);
            }
            if sql.starts_with("SELECT TIMESTAMPDIFF") {
                let ended_at: u64 = sql.split('\'').nth(1).unwrap().parse().unwrap();
                let age = world.seconds.saturating_sub(ended_at);
                return Ok(vec![row("s", &age.to_string())]);
            }
            let words = words(sql);
            if sql.starts_with("DESC") {
                let table = world.tables.values().find(|t| t.name == words[0]);
                return match table {
                    Some(table) => Ok(table.columns.iter().map(|c| row("Field", c)).collect()),
                    None => Err(refused(Refusal::UnknownTable, "unknown table")),
                };
            }
            if sql.starts_with("SHOW RESTORE") {
                return Ok(world
                    .restores
                    .iter()
                    .filter(|(label, _)| sql.contains(label.as_str()))
                    .map(|(label, _)| {
                        let mut found = row("Label", label);
                        found.extend(row("State", "FINISHED"));
                        found
                    })
                    .collect());
            }
            panic!("query not known to the fake: {sql}");
        })
        .await
    }
}
