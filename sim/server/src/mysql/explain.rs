//! EXPLAIN: a plan in the shape of Doris' text. It names tables, indexes, partitions and tablets, and with VERBOSE the
//! slots of every scan with the unique ids of their columns. Nothing of it is executed.

use super::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_model::column::DELETE_SIGN;
use dorisim_model::{Column, DistributionKind, OlapTable};
use dorisim_query::ResultSet;
use dorisim_sql::{Token, TokenKind, tokenize};

/// Version of a partition that nothing was loaded into.
const INITIAL_VERSION: i64 = 1;
const HEADING: &str = "Explain String(Nereids Planner)";
/// Words between EXPLAIN and the statement.
const LEVELS: [&str; 14] = [
    "VERBOSE",
    "PARSED",
    "ANALYZED",
    "REWRITTEN",
    "LOGICAL",
    "OPTIMIZED",
    "PHYSICAL",
    "SHAPE",
    "MEMO",
    "DISTRIBUTED",
    "ALL",
    "GRAPH",
    "PROCESS",
    "PLAN",
];

fn word(token: Option<&Token>) -> Option<String> {
    match &token?.kind {
        TokenKind::Word(word) => Some(word.to_ascii_uppercase()),
        TokenKind::Quoted(_)
        | TokenKind::Str(_)
        | TokenKind::Number(_)
        | TokenKind::Symbol(_)
        | TokenKind::Eof => None,
    }
}

fn name(token: Option<&Token>) -> Option<&str> {
    match &token?.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    }
}

/// The plan of a statement.
pub(super) async fn explain(session: &SqlSession, text: &str) -> Result<ResultSet, SqlError> {
    let tokens = tokenize(text).map_err(|error| SqlError::analysis(error.message))?;
    let skipped = tokens
        .iter()
        .take_while(|token| word(Some(token)).is_some_and(|word| LEVELS.contains(&word.as_str())))
        .count();
    let verbose = tokens[..skipped]
        .iter()
        .any(|token| word(Some(token)).as_deref() == Some("VERBOSE"));
    let statement = &text[tokens[skipped].start..];
    let first = word(tokens.get(skipped)).unwrap_or_default();
    let is_query = ["SELECT", "WITH"].contains(&first.as_str())
        || tokens[skipped].kind == TokenKind::Symbol("(");
    let columns = if is_query {
        session.describe(statement).await?
    } else {
        Vec::new()
    };
    let mut plan = vec!["PLAN FRAGMENT 0".to_owned(), "  OUTPUT EXPRS:".to_owned()];
    for (at, column) in columns.iter().enumerate() {
        plan.push(format!("    {}[#{at}]", column.name));
    }
    plan.push("  PARTITION: UNPARTITIONED".to_owned());
    plan.push(String::new());
    plan.push("  HAS_COLO_PLAN_NODE: false".to_owned());
    plan.push(String::new());
    if is_query {
        plan.push("  VRESULT SINK".to_owned());
        plan.push("     MYSQL_PROTOCAL".to_owned());
    } else {
        plan.push("  OLAP TABLE SINK".to_owned());
    }
    plan.push(String::new());
    let prunes = prunes_empty_partitions(session, statement);
    let mut tuples = Tuples::default();
    for (node, scan) in scans(session, &tokens[skipped..]).into_iter().enumerate() {
        plan.extend(scan.lines(node, prunes));
        let ids = tuples.add(&scan, prunes);
        if verbose {
            plan.push(format!("     tuple ids: {ids}"));
        }
        plan.push(String::new());
    }
    if verbose {
        plan.push("Tuples:".to_owned());
        plan.append(&mut tuples.lines);
    }
    let mut answer = ResultSet::of_text(&[HEADING]);
    for line in plan {
        answer.push(vec![line]);
    }
    Ok(answer)
}

/// Returns false where the session or a hint of the statement switches the optimizer's rule off.
///
/// The rule replaces the scan of a table without data (all partitions have the version that they are created with) by an
/// empty set.
fn prunes_empty_partitions(session: &SqlSession, statement: &str) -> bool {
    const RULE: &str = "PRUNE_EMPTY_PARTITION";
    let switched_off = |text: &str| text.to_ascii_uppercase().contains(RULE);
    let by_session = session
        .variable("disable_nereids_rules")
        .is_some_and(switched_off);
    let by_hint = statement
        .split("/*+")
        .skip(1)
        .filter_map(|hint| hint.split("*/").next())
        .any(switched_off);
    !(by_session || by_hint)
}

/// A table that is read.
struct Scan {
    table: String,
    has_data: bool,
    /// Lines below the node's name.
    details: Vec<String>,
    /// Columns that are read, in the order of the index.
    columns: Vec<Column>,
}

impl Scan {
    fn is_pruned(&self, prunes: bool) -> bool {
        prunes && !self.has_data
    }

    fn lines(&self, node: usize, prunes: bool) -> Vec<String> {
        if self.is_pruned(prunes) {
            return vec![format!("  {node}:VEMPTYSET({node})")];
        }
        let mut lines = vec![format!("  {node}:VOlapScanNode({node})")];
        lines.extend(self.details.iter().cloned());
        lines
    }
}

/// Descriptors of tuples and slots, which VERBOSE adds to the plan.
#[derive(Default)]
struct Tuples {
    next_tuple: usize,
    next_slot: usize,
    lines: Vec<String>,
}

impl Tuples {
    /// Adds the tuples of a scan and returns the id of the one that it reads. Hidden columns are read for the scan's own
    /// conditions alone: a second tuple has what is passed on.
    fn add(&mut self, scan: &Scan, prunes: bool) -> usize {
        let read = self.next_tuple;
        let visible: Vec<&Column> = scan.columns.iter().filter(|c| c.visible).collect();
        if scan.is_pruned(prunes) {
            self.tuple("null", &visible);
            return read;
        }
        self.tuple(&scan.table, &scan.columns.iter().collect::<Vec<_>>());
        if visible.len() < scan.columns.len() {
            self.tuple(&scan.table, &visible);
        }
        read
    }

    fn tuple(&mut self, table: &str, columns: &[&Column]) {
        self.lines.push(format!(
            "TupleDescriptor{{id={}, tbl={table}}}",
            self.next_tuple
        ));
        self.next_tuple += 1;
        for column in columns {
            self.lines.push(format!(
                "  SlotDescriptor{{id={}, col={}, colUniqueId={}, type={}, nullable={}, isAutoIncrement={}, subColPath=null, \
                 virtualColumn=null}}",
                self.next_slot,
                column.name,
                column.unique_id,
                column.data_type.internal_name(),
                column.nullable,
                column.auto_inc.is_some()
            ));
            self.next_slot += 1;
        }
        self.lines.push(String::new());
    }
}

/// Every table that FROM or JOIN names.
fn scans(session: &SqlSession, tokens: &[Token]) -> Vec<Scan> {
    let mut scans = Vec::new();
    for at in 0..tokens.len() {
        let opens = matches!(word(tokens.get(at)).as_deref(), Some("FROM" | "JOIN"));
        let Some(mut table) = name(tokens.get(at + 1)).filter(|_| opens) else {
            continue;
        };
        let mut db = None;
        let mut next = at + 1;
        while tokens.get(next + 1).map(|t| &t.kind) == Some(&TokenKind::Symbol(".")) {
            let Some(part) = name(tokens.get(next + 2)) else {
                break;
            };
            db = Some(table);
            table = part;
            next += 2;
        }
        let Ok(db) = session.db_of(db) else {
            continue;
        };
        scans.extend(session.frontend().with_catalog(|catalog| {
            let table = catalog.database(&db)?.table(table)?;
            Some(scan(&db, table, tokens))
        }));
    }
    scans
}

fn scan(db: &str, table: &OlapTable, tokens: &[Token]) -> Scan {
    let star = has_star(tokens);
    let index = if star {
        table.base_index_id()
    } else {
        chosen(table, tokens)
    };
    let named = |column: &Column| {
        tokens
            .iter()
            .any(|token| name(Some(token)).is_some_and(|name| column.is_named(name)))
    };
    let columns = table
        .index_schema(index)
        .columns
        .iter()
        .filter(|column| {
            if column.visible {
                star || named(column)
            } else {
                column.is_named(DELETE_SIGN)
            }
        })
        .cloned()
        .collect();
    let partitions: Vec<_> = table.partitions.values().filter(|p| !p.is_temp).collect();
    let tablets: Vec<String> = partitions
        .iter()
        .flat_map(|p| p.indexes.iter().filter(|i| i.id == index))
        .flat_map(|i| i.tablets.iter().map(|t| t.id.to_string()))
        .collect();
    let meta = table.indexes.iter().find(|meta| meta.id == index);
    let names: Vec<&str> = partitions.iter().map(|p| p.name.as_str()).collect();
    let shown = tablets
        .iter()
        .take(3)
        .cloned()
        .collect::<Vec<_>>()
        .join(",");
    let hash = match &table.distribution.kind {
        DistributionKind::Hash(columns) => format!("HASH({})", columns.join(", ")),
        DistributionKind::Random => "RANDOM".to_owned(),
    };
    let details = vec![
        format!(
            "     TABLE: {db}.{}({}), PREAGGREGATION: ON",
            table.name,
            meta.map_or(table.name.as_str(), |meta| meta.name.as_str())
        ),
        format!(
            "     partitions={}/{} ({})",
            names.len(),
            names.len(),
            names.join(",")
        ),
        format!(
            "     tablets={}/{}, tabletList={shown}{}",
            tablets.len(),
            tablets.len(),
            if tablets.len() > 3 { " ..." } else { "" }
        ),
        "     cardinality=1, avgRowSize=0.0, numNodes=1".to_owned(),
        "     pushAggOp=NONE".to_owned(),
        format!("     distribution: {hash}"),
    ];
    Scan {
        table: table.name.clone(),
        has_data: partitions
            .iter()
            .any(|p| p.visible_version > INITIAL_VERSION),
        details,
        columns,
    }
}

fn has_star(tokens: &[Token]) -> bool {
    tokens.iter().enumerate().any(|(at, token)| {
        token.kind == TokenKind::Symbol("*")
            && !matches!(
                tokens.get(at.wrapping_sub(1)).map(|t| &t.kind),
                Some(TokenKind::Symbol("("))
            )
    })
}

/// The index with the fewest columns that has all columns of the table the statement names. Aggregating views serve
/// grouping statements alone.
fn chosen(table: &OlapTable, tokens: &[Token]) -> i64 {
    let base = table.base_index_id();
    let grouped = tokens
        .iter()
        .any(|t| word(Some(t)).as_deref() == Some("GROUP"));
    let wanted: Vec<&str> = table
        .schema
        .visible()
        .map(|column| column.name.as_str())
        .filter(|column| {
            tokens
                .iter()
                .any(|t| name(Some(t)).is_some_and(|n| n.eq_ignore_ascii_case(column)))
        })
        .collect();
    let serves = |id: i64| {
        let schema = table.index_schema(id);
        let aggregates = schema.columns.iter().any(|c| c.generated.is_some());
        (!aggregates || grouped)
            && wanted.iter().all(|column| {
                schema.visible().any(|c| {
                    c.is_named(column)
                        || c.is_named(&format!("mv_{column}"))
                        || c.name.ends_with(&format!("__`{column}`"))
                })
            })
    };
    table
        .indexes
        .iter()
        .filter(|meta| meta.id == base || serves(meta.id))
        .min_by_key(|meta| (table.index_schema(meta.id).visible().count(), meta.id))
        .map_or(base, |meta| meta.id)
}
