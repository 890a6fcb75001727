//! Statements that Doris runs only when a session variable allows them.

use super::session::SqlSession;
use dorisim_model::DataType;
use dorisim_model::SqlError;
use dorisim_sql::ast::{AlterClause, ColumnDef, Statement};

/// Refuses columns and properties that a variable of the session has to switch on first.
///
/// # Errors
/// Doris' text with the variable's name.
pub(super) fn check(session: &SqlSession, statement: &Statement) -> Result<(), SqlError> {
    match statement {
        Statement::CreateTable(create) => {
            let flattens = create
                .properties
                .get("variant_enable_flatten_nested")
                .is_some_and(|v| v.eq_ignore_ascii_case("true"));
            if flattens && !session.variable_is_on("enable_variant_flatten_nested") {
                return Err(SqlError::analysis(
                    "If you want to enable variant flatten nested, please set session variable: enable_variant_flatten_nested = true",
                ));
            }
            create.columns.iter().try_for_each(|c| column(session, c))
        }
        Statement::AlterTable { clauses, .. } => {
            clauses.iter().try_for_each(|clause| match clause {
                AlterClause::AddColumn { column: c, .. }
                | AlterClause::ModifyColumn { column: c, .. } => column(session, c),
                AlterClause::AddColumns { columns, .. } => {
                    columns.iter().try_for_each(|c| column(session, c))
                }
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    }
}

fn column(session: &SqlSession, column: &ColumnDef) -> Result<(), SqlError> {
    let generic = column
        .aggregation
        .as_deref()
        .is_some_and(|a| a.eq_ignore_ascii_case("generic"));
    if generic && !session.variable_is_on("enable_agg_state") {
        return Err(SqlError::analysis(
            "agg state not enable, need set enable_agg_state=true",
        ));
    }
    match DataType::parse(&column.type_text) {
        Ok(DataType::Decimal(precision, _))
            if precision > 38 && !session.variable_is_on("enable_decimal256") =>
        {
            Err(SqlError::analysis(format!(
                "Datatype DecimalV3 with precision {precision}, which is greater than 38 is disabled by default. set enable_decimal256 = true to enable it."
            )))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}
