//! Views: creation, change, removal, and how their select text is qualified.

use crate::api::SqlError;
use crate::binlog::record;
use crate::binlog::record_view;
use crate::catalog::show_create;
use crate::catalog::view_columns;
use crate::catalog::view_text::qualify;
use crate::ddl::statement::view;
use crate::frontend::Frontend;

impl Frontend {
    #[allow(clippy::too_many_arguments)] // the members of one statement
    pub(crate) fn create_view(
        &self,
        db: &str,
        name: &str,
        columns: Vec<(String, String)>,
        comment: String,
        select: &str,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        state.db(db)?;
        let settled = view_columns::settle(&state.catalog, qualify(select, db), columns)?;
        let view_columns::Settled {
            definition,
            columns,
        } = settled;
        let database = state.db_mut(db)?;
        let db_id = database.id;
        if let Some(old) = database
            .views
            .values_mut()
            .find(|v| v.name == name)
            .filter(|_| or_replace)
        {
            old.definition = definition;
            old.columns = columns;
            let said = (!comment.is_empty()).then(|| comment.clone());
            old.comment = comment;
            let record = record_view::view_def(db_id, old, said.as_deref());
            state.emit(record, now);
            return Ok(());
        }
        if database.has_name(name) {
            return if if_not_exists {
                Ok(())
            } else {
                Err(SqlError::new(
                    1050,
                    format!("Table '{name}' already exists"),
                ))
            };
        }
        let id = state.new_id();
        let view = view(id, name, columns, comment, definition);
        let record = record_view::create_view(db_id, db, &view, &show_create::create_view(&view));
        state.db_mut(db)?.views.insert(id, view);
        state.emit(record, now);
        Ok(())
    }

    pub(crate) fn alter_view(
        &self,
        db: &str,
        name: &str,
        columns: Vec<(String, String)>,
        select: Option<&str>,
        comment: Option<String>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        state.db(db)?;
        let settled = match select {
            Some(select) => {
                let definition = qualify(select, db);
                Some(view_columns::settle(&state.catalog, definition, columns)?)
            }
            None => None,
        };
        let database = state.db_mut(db)?;
        let db_id = database.id;
        let view = database
            .views
            .values_mut()
            .find(|v| v.name == name)
            .ok_or_else(|| SqlError::unknown_table(name))?;
        if let Some(comment) = &comment {
            view.comment.clone_from(comment);
        }
        let record = if let Some(settled) = settled {
            view.definition = settled.definition;
            view.columns = settled.columns;
            record_view::view_def(db_id, view, comment.as_deref())
        } else {
            record_view::view_comment(db_id, view.id, &view.comment)
        };
        state.emit(record, now);
        Ok(())
    }

    pub(crate) fn drop_view(&self, db: &str, name: &str, if_exists: bool) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let Ok(database) = state.db_mut(db) else {
            return if if_exists {
                Ok(())
            } else {
                Err(SqlError::unknown_db(db))
            };
        };
        if database.table(name).is_some() {
            return Err(SqlError::new(
                1347,
                format!("'{db}.{name}' is not VIEW. Use 'DROP TABLE {db}.{name}'."),
            ));
        }
        let db_id = database.id;
        let Some(id) = database.view(name).map(|v| v.id) else {
            return if if_exists {
                Ok(())
            } else {
                Err(SqlError::unknown_table_in(name, db))
            };
        };
        database.views.remove(&id);
        let seq = state.emit(record::drop_table(db_id, id, name, true), now);
        state.streams.note_dropped(db_id, seq, &[], &[id], &[]);
        Ok(())
    }
}
