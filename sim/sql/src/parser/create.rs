//! CREATE and DROP.

use super::cursor::Parser;
use crate::ast::{CreateTable, KeysDef, KeysModel, Properties, Statement};
use crate::error::SyntaxError;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Read<Statement> {
        if self.accept_any(&["DATABASE", "SCHEMA"]).is_some() {
            let if_not_exists = self.if_not_exists();
            let name = self.object_name()?.name;
            return Ok(Statement::CreateDatabase {
                if_not_exists,
                name,
                properties: self.properties()?,
            });
        }
        let or_replace = self.accept_all(&["OR", "REPLACE"]);
        if self.accept("VIEW") {
            return self.create_view(or_replace);
        }
        if self.accept_all(&["MATERIALIZED", "VIEW"]) {
            return self.create_materialized_view();
        }
        if self.accept("INDEX") {
            let if_not_exists = self.if_not_exists();
            let name = self.name()?;
            self.expect("ON")?;
            let table = self.object_name()?;
            let index = self.index_after_name(if_not_exists, name)?;
            return Ok(Statement::CreateIndex {
                if_not_exists,
                table,
                index,
            });
        }
        if self.accept("USER") {
            return self.create_user();
        }
        if self.accept("TABLE") {
            return self.create_table();
        }
        if self.is_function() {
            return self.create_function();
        }
        self.unexpected("{'DATABASE', 'TABLE', 'VIEW', 'INDEX', 'USER'}")
    }

    fn create_table(&mut self) -> Read<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        if self.accept("LIKE") {
            let like = self.object_name()?;
            let with_rollup = if self.accept_all(&["WITH", "ROLLUP"]) {
                Some(if self.is_symbol("(") {
                    self.name_list()?
                } else {
                    Vec::new()
                })
            } else {
                None
            };
            return Ok(Statement::CreateTableLike {
                if_not_exists,
                name,
                like,
                with_rollup,
            });
        }
        let mut table = CreateTable {
            if_not_exists,
            name,
            ..CreateTable::default()
        };
        if self.is_symbol("(") {
            self.table_elements(&mut table)?;
        }
        self.table_options(&mut table)?;
        if self.accept("AS") || self.is_any_word(&["SELECT", "WITH"]) {
            let select = self.rest().to_owned();
            return Ok(Statement::CreateTableAsSelect {
                table: Box::new(table),
                select,
            });
        }
        if let Some(column) = table
            .columns
            .iter()
            .find(|column| column.type_text.is_empty())
        {
            return self.fail(format!("column {} has no type", column.name));
        }
        Ok(Statement::CreateTable(Box::new(table)))
    }

    fn table_elements(&mut self, table: &mut CreateTable) -> Read<()> {
        self.list(|parser| {
            // The grammar lets a comma stand behind the last element.
            if parser.is_symbol(")") && !table.columns.is_empty() {
                return Ok(());
            }
            if parser.is_word("INDEX") && !parser.is_symbol_nth(1, "(") && parser.is_index_element()
            {
                parser.skip();
                table.indexes.push(parser.index_body()?);
            } else if parser.is_symbol_nth(1, ",") || parser.is_symbol_nth(1, ")") {
                let name = parser.name()?;
                table.columns.push(crate::ast::ColumnDef {
                    name,
                    ..Default::default()
                });
            } else {
                table.columns.push(parser.column()?);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// `INDEX i (c)` against a column that is called `index`.
    fn is_index_element(&self) -> bool {
        self.is_word_nth(1, "IF") || self.is_symbol_nth(2, "(") && !self.is_number_nth(3)
    }

    fn is_number_nth(&self, ahead: usize) -> bool {
        matches!(self.peek_nth(ahead), crate::lexer::TokenKind::Number(_))
    }

    fn table_options(&mut self, table: &mut CreateTable) -> Read<()> {
        loop {
            if self.accept("ENGINE") {
                self.accept_symbol("=");
                table.engine = Some(self.name_or_string()?.to_ascii_uppercase());
            } else if let Some(model) = self.keys_model() {
                let columns = self.name_list()?;
                table.keys = Some(KeysDef { model, columns });
            } else if self.accept_all(&["CLUSTER", "BY"]) {
                table.cluster_by = self.name_list()?;
            } else if self.is_word("COMMENT") {
                table.comment = self.comment()?;
            } else if self.is_any_word(&["AUTO", "PARTITION"]) {
                table.partition = self.partition_by()?;
            } else if self.is_word("DISTRIBUTED") {
                table.distribution = self.distribution()?;
            } else if self.accept("ROLLUP") {
                table.rollups = self.list(Self::rollup)?;
            } else if self.is_word("PROPERTIES") {
                table.properties = self.properties()?;
            } else if self.accept("BROKER") {
                self.properties()?;
            } else {
                return Ok(());
            }
        }
    }

    fn keys_model(&mut self) -> Option<KeysModel> {
        if self.accept_all(&["DUPLICATE", "KEY"]) {
            Some(KeysModel::Duplicate)
        } else if self.accept_all(&["UNIQUE", "KEY"]) {
            Some(KeysModel::Unique)
        } else if self.accept_all(&["AGGREGATE", "KEY"]) {
            Some(KeysModel::Aggregate)
        } else {
            None
        }
    }

    fn create_view(&mut self, or_replace: bool) -> Read<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let columns = self.view_columns()?;
        let comment = self.comment()?;
        self.expect("AS")?;
        let select = self.rest().to_owned();
        Ok(Statement::CreateView {
            or_replace,
            if_not_exists,
            name,
            columns,
            comment,
            select,
        })
    }

    pub(super) fn view_columns(&mut self) -> Read<Vec<(String, Option<String>)>> {
        if !self.is_symbol("(") {
            return Ok(Vec::new());
        }
        self.list(|parser| {
            let name = parser.name()?;
            let comment = if parser.is_word("COMMENT") {
                Some(parser.comment()?)
            } else {
                None
            };
            Ok((name, comment))
        })
    }

    fn create_materialized_view(&mut self) -> Read<Statement> {
        self.if_not_exists();
        let name = self.object_name()?.name;
        if !self.is_word("AS") {
            return self.fail("asynchronous materialized views are not supported");
        }
        self.skip();
        let select = self.text_until(&["PROPERTIES"]).to_owned();
        let properties = self.properties()?;
        Ok(Statement::CreateMaterializedView {
            name,
            select,
            properties,
        })
    }

    fn create_user(&mut self) -> Read<Statement> {
        let if_not_exists = self.if_not_exists();
        let user = self.user()?;
        let mut password = String::new();
        if self.accept_all(&["IDENTIFIED", "BY"]) {
            self.accept("PASSWORD");
            password = self.string()?;
        }
        // Roles, password policies and comments have no meaning here.
        self.rest();
        Ok(Statement::CreateUser {
            if_not_exists,
            user,
            password,
        })
    }

    /// `'name'[@'host']`: the name.
    pub(super) fn user(&mut self) -> Read<String> {
        let name = self.name_or_string()?;
        if self.accept_symbol("@") {
            if self.is_symbol("(") {
                self.bracketed_text()?;
            } else {
                self.name_or_string()?;
            }
        }
        Ok(name)
    }

    pub(super) fn drop(&mut self) -> Read<Statement> {
        if self.accept_any(&["DATABASE", "SCHEMA"]).is_some() {
            let if_exists = self.if_exists();
            let name = self.object_name()?.name;
            return Ok(Statement::DropDatabase {
                if_exists,
                name,
                force: self.accept("FORCE"),
            });
        }
        if self.accept("TABLE") {
            let if_exists = self.if_exists();
            let name = self.object_name()?;
            return Ok(Statement::DropTable {
                if_exists,
                name,
                force: self.accept("FORCE"),
            });
        }
        if self.accept("VIEW") {
            let if_exists = self.if_exists();
            return Ok(Statement::DropView {
                if_exists,
                name: self.object_name()?,
            });
        }
        if self.accept_all(&["MATERIALIZED", "VIEW"]) {
            let if_exists = self.if_exists();
            let name = self.object_name()?.name;
            if if_exists && self.at_end() {
                // An asynchronous view, of which there are none.
                return Ok(Statement::NoEffect {
                    kind: "DROP MATERIALIZED VIEW".to_owned(),
                });
            }
            self.expect("ON")?;
            return Ok(Statement::DropMaterializedView {
                if_exists,
                name,
                table: self.object_name()?,
            });
        }
        if self.accept("INDEX") {
            let if_exists = self.if_exists();
            let index = self.name()?;
            self.expect("ON")?;
            return Ok(Statement::DropIndex {
                if_exists,
                table: self.object_name()?,
                index,
            });
        }
        if self.accept("USER") {
            let if_exists = self.if_exists();
            return Ok(Statement::DropUser {
                if_exists,
                user: self.user()?,
            });
        }
        if self.is_function() {
            return self.drop_function();
        }
        self.unexpected(
            "{'DATABASE', 'TABLE', 'VIEW', 'MATERIALIZED', 'INDEX', 'USER', 'FUNCTION'}",
        )
    }

    pub(super) fn truncate(&mut self) -> Read<Statement> {
        self.accept("TABLE");
        let name = self.object_name()?;
        let (partitions, _) = self.partitions()?;
        Ok(Statement::TruncateTable {
            name,
            partitions,
            force: self.accept("FORCE"),
        })
    }

    /// Swap flag and properties of `REPLACE WITH TABLE`: default is to swap.
    pub(super) fn swap_of(properties: &Properties) -> bool {
        properties
            .get("swap")
            .is_none_or(|value| value.eq_ignore_ascii_case("true"))
    }
}
