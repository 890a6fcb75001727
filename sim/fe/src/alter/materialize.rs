//! Rows of a table in the shape of one of its rollups or materialized views, filtered and computed where the view says so.

use crate::api::SqlError;
use crate::frontend::Frontend;
use dorisim_model::projection::{Misfit, expressions, project};
use dorisim_model::{Row, TableSchema};
use dorisim_query::{Input, QueryEngine, SessionInfo, compute};

impl Frontend {
    /// As [`project`], under the condition of a materialized view and with its expressions.
    ///
    /// # Errors
    /// The reason: a value that does not fit, or an expression that can not be computed.
    pub(crate) fn materialize(
        &self,
        from: &TableSchema,
        to: &TableSchema,
        filter: Option<&str>,
        rows: &[Row],
        misfit: Misfit,
    ) -> Result<Vec<Row>, String> {
        let expressions = expressions(from, to);
        if rows.is_empty() || (expressions.is_empty() && filter.is_none()) {
            return project(from, to, rows, misfit);
        }
        let engine = self.engine().map_err(|error| error.text)?;
        compute_view(engine, from, to, &expressions, filter, rows, misfit)
    }

    /// What a view would make of no rows: refuses expressions that name unknown columns or functions.
    pub(crate) fn check_view(
        &self,
        from: &TableSchema,
        to: &TableSchema,
        filter: Option<&str>,
    ) -> Result<(), SqlError> {
        let engine = self.engine()?;
        let texts: Vec<&str> = expressions(from, to).into_iter().map(|(_, t)| t).collect();
        let input = Input::of_types(&typed(from), &[]);
        compute(engine, &SessionInfo::default(), &input, &texts, filter).map(|_| ())
    }
}

impl Frontend {
    /// Refuses generated columns over columns that the table does not have.
    pub(crate) fn check_generated(&self, schema: &TableSchema) -> Result<(), SqlError> {
        let texts: Vec<&str> = schema
            .visible()
            .filter_map(|c| c.generated.as_deref())
            .collect();
        if texts.is_empty() {
            return Ok(());
        }
        let input = Input::of_types(&typed(schema), &[]);
        match compute(
            self.engine()?,
            &SessionInfo::default(),
            &input,
            &texts,
            None,
        ) {
            // Functions that only the engine lacks are Doris' matter.
            Err(error) if error.code == 1054 => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn typed(schema: &TableSchema) -> Vec<(String, dorisim_model::DataType)> {
    let columns = schema.columns.iter();
    columns
        .map(|c| (c.name.clone(), c.data_type.clone()))
        .collect()
}

fn compute_view(
    engine: &QueryEngine,
    from: &TableSchema,
    to: &TableSchema,
    expressions: &[(usize, &str)],
    filter: Option<&str>,
    rows: &[Row],
    misfit: Misfit,
) -> Result<Vec<Row>, String> {
    let texts: Vec<&str> = expressions.iter().map(|(_, text)| *text).collect();
    let input = Input::of_types(&typed(from), rows);
    let computed = compute(engine, &SessionInfo::default(), &input, &texts, filter)
        .map_err(|error| error.text)?;
    let chosen: Vec<Row> = computed.iter().map(|(n, _)| rows[*n].clone()).collect();
    let mut out = project(from, to, &chosen, misfit)?;
    for (row, (_, values)) in out.iter_mut().zip(computed) {
        for ((at, _), value) in expressions.iter().zip(values) {
            let column = &to.columns[*at];
            row[*at] = match column.data_type.parse_cell(value.as_deref()) {
                Ok(cell) => cell,
                Err(_) if misfit == Misfit::Null => None,
                Err(reason) => return Err(format!("column {}: {reason}", column.name)),
            };
        }
    }
    Ok(out)
}
