//! Statements of a session: checks, then the file that runs each.

use super::answer::Answer;
use super::change::{self, RowSource};
use super::session::{SqlSession, Transaction};
use super::words::parsed;
use super::{dml, explain, guards, privileges, show};
use dorisim_fe::SqlError;
use dorisim_query::find_variable;
use dorisim_sql::ast::{Assignment, Show, Statement};

impl SqlSession {
    /// Runs the statements of `text` one after the other; the answers up to the first that fails.
    pub(super) async fn execute_each(&mut self, text: &str) -> (Vec<Answer>, Option<SqlError>) {
        let mut answers = Vec::new();
        let statements = match parsed(text) {
            Ok(statements) => statements,
            Err(error) => return (answers, Some(error)),
        };
        for (statement, _) in statements {
            match self.run(statement).await {
                Ok(answer) => answers.push(answer),
                Err(error) => return (answers, Some(error)),
            }
        }
        (answers, None)
    }

    /// Runs every statement of `text`; the answer is the last one's.
    ///
    /// # Errors
    /// The first statement that fails, or one that can not be read.
    pub async fn execute(&mut self, text: &str) -> Result<Answer, SqlError> {
        let statements = parsed(text)?;
        let mut answer = Answer::nothing();
        for (statement, _) in statements {
            answer = self.run(statement).await?;
        }
        Ok(answer)
    }

    async fn run(&mut self, statement: Statement) -> Result<Answer, SqlError> {
        privileges::check(self, &statement)?;
        guards::check(self, &statement)?;
        match statement {
            Statement::Select { text } => self.select(text).await.map(Answer::Rows),
            Statement::Show(Show::Other { text }) if text.eq_ignore_ascii_case("LAST INSERT") => {
                Ok(Answer::Rows(self.last_insert_rows()))
            }
            Statement::Show(form) => show::show(self, form).await.map(Answer::Rows),
            Statement::Describe { table, all } => match show::view_of(self, &table)? {
                Some(view) if !all => {
                    let columns = self.describe(&view.definition).await.unwrap_or_default();
                    Ok(Answer::Rows(show::describe_view(&view, &columns)))
                }
                Some(_) => Err(SqlError::analysis("Unknown storage engine 'VIEW'")),
                None => show::describe(self, &table, all).map(Answer::Rows),
            },
            Statement::AdminShowConfig { like } => {
                Ok(Answer::Rows(show::frontend_config(self, like.as_deref())))
            }
            Statement::Explain { text } => explain::explain(self, &text).await.map(Answer::Rows),
            Statement::Use { db } => self.use_db(&db).map(|()| Answer::nothing()),
            Statement::Set { assignments } => {
                for assignment in assignments {
                    self.set(assignment).await?;
                }
                Ok(Answer::nothing())
            }
            Statement::SetPassword {
                user: None,
                password,
            } => {
                let user = Some(self.user().to_owned());
                self.forward(Statement::SetPassword { user, password })
                    .await
            }
            Statement::Insert(insert) => dml::insert(self, *insert).await,
            Statement::Delete {
                table,
                alias,
                partitions,
                using,
                predicate,
            } => {
                let source = RowSource {
                    alias,
                    partitions,
                    others: using,
                    predicate,
                };
                change::delete(self, &table, source).await
            }
            Statement::Update {
                table,
                alias,
                assignments,
                from,
                predicate,
            } => {
                let source = RowSource {
                    alias,
                    partitions: Vec::new(),
                    others: from,
                    predicate,
                };
                change::update(self, &table, &assignments, source).await
            }
            Statement::CreateTableAsSelect { table, select } => {
                dml::create_as_select(self, *table, select).await
            }
            Statement::Begin { label } => {
                if self.transaction == Transaction::None {
                    self.transaction = Transaction::Announced { label };
                }
                Ok(Answer::nothing())
            }
            Statement::Commit => dml::commit(self).await,
            Statement::Rollback => dml::rollback(self).await,
            Statement::NoEffect { kind } => {
                self.server().faults.note(&format!("no_effect.{kind}"));
                Ok(Answer::nothing())
            }
            other => self.forward(other).await,
        }
    }

    /// Sets a variable; those of the user, `@name`, take the value of an expression.
    async fn set(&mut self, assignment: Assignment) -> Result<(), SqlError> {
        let Assignment {
            global,
            name,
            value,
        } = assignment;
        if !name.starts_with('@') {
            let known = find_variable(&name)
                .ok_or_else(|| SqlError::new(1193, format!("Unknown system variable '{name}'")))?;
            let value = value.trim().trim_matches(['\'', '"']);
            let value = if value.eq_ignore_ascii_case("default") {
                known.default.to_owned()
            } else {
                known.accept(value).map_err(SqlError::analysis)?
            };
            if global {
                self.frontend().set_global_variable(known.name, &value);
            }
            // A global value is the session's own as well.
            if known.name != name {
                self.set_variable(name, Some(value.clone()));
            }
            self.set_variable(known.name.to_owned(), Some(value));
            return Ok(());
        }
        let answer = self.select(format!("SELECT {value}")).await?;
        let cell = answer
            .rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next());
        self.set_variable(name, cell.flatten());
        Ok(())
    }

    /// Forgets database, variables and an open transaction (COM_RESET_CONNECTION).
    pub(super) async fn reset(&mut self) {
        // It is gone either way: by this, or by its timeout.
        let _ = dml::rollback(self).await;
        self.clear();
    }
}
