//! Statements as a source printed them -> statements for a destination.

use ccr_schemas::shape::Distribution;
use thiserror::Error;

use super::columns::quoted_field_comments;
use super::token::{Kind, Token, tokens};
use super::{ObjectName, buckets, distribution, ident};

/// A statement of a source whose head is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the source's statement does not begin like {expected}: {head}")]
pub struct NotUnderstood {
    /// What was expected.
    pub expected: &'static str,
    /// How the statement begins.
    pub head: String,
}

/// How a CREATE statement is rewritten.
#[derive(Clone, Copy, Debug)]
pub struct CreateRewrite<'a> {
    /// Database the statement comes from; names qualified with it become the destination's.
    pub source_database: &'a str,
    /// The object at the destination; its database also takes the place of the source's inside a view.
    pub target: ObjectName<'a>,
    /// Number of replicas, instead of the source's.
    pub replication_num: Option<u16>,
    /// Do nothing when the object exists.
    pub if_not_exists: bool,
}

/// Properties that name disks, policies or groups of the source.
const SOURCE_PROPERTIES: &[&str] = &[
    "storage_medium",
    "storage_policy",
    "colocate_with",
    "dynamic_partition.storage_policy",
];

/// The text of a CREATE_TABLE record -> the statement for the destination.
///
/// The name becomes the destination's. Of a table, properties of the source's disks, policies and groups are left out, and
/// `MAXVALUEMAXVALUE` (printed by some 2.1 releases) is taken apart, and a comment with an apostrophe is escaped. Of a view, names of the source database become the
/// destination's.
///
/// # Errors
/// [`NotUnderstood`] when it is neither CREATE TABLE nor CREATE VIEW.
pub fn create_for_destination(sql: &str, how: &CreateRewrite<'_>) -> Result<String, NotUnderstood> {
    let readable = super::comment::readable(sql);
    let all = tokens(&readable);
    let mut cursor = Cursor::new(&all, "CREATE TABLE or CREATE VIEW");
    cursor.word("CREATE")?;
    if cursor.skip_word("OR") {
        cursor.word("REPLACE")?;
    }
    let _ = cursor.skip_word("EXTERNAL");
    let is_view = cursor.skip_word("VIEW");
    if !is_view {
        cursor.word("TABLE")?;
    }
    if cursor.skip_word("IF") {
        cursor.word("NOT")?;
        cursor.word("EXISTS")?;
    }
    cursor.name()?;
    let rest = cursor.rest();
    let (object, rest) = if is_view {
        let database = how.target.database.unwrap_or(how.source_database);
        ("VIEW", requalified(rest, how.source_database, database))
    } else {
        ("TABLE", table_body(rest, how.replication_num))
    };
    let guard = if how.if_not_exists {
        "IF NOT EXISTS "
    } else {
        ""
    };
    Ok(format!("CREATE {object} {guard}{}{rest}", how.target))
}

/// Names of the source database become the destination's, outside of strings and comments. Doris spells them
/// `` `internal`.`db`. ``, `` `default_cluster:db`. `` (2.0) or `` `db`. `` (some 3.x).
pub fn requalify(sql: &str, source: &str, destination: &str) -> String {
    requalified(&tokens(sql), source, destination)
}

fn requalified(all: &[Token<'_>], source: &str, destination: &str) -> String {
    let old_spelling = format!("default_cluster:{source}");
    let names_source = |token: &Token<'_>| token.identifier().is_some_and(|name| name == source);
    let with_catalog: Vec<usize> = (0..all.len())
        .filter(|at| {
            all[*at].identifier().is_some_and(|name| name == "internal")
                && all.get(at + 1).is_some_and(|dot| dot.is_sign("."))
                && all.get(at + 2).is_some_and(names_source)
                && all.get(at + 3).is_some_and(|dot| dot.is_sign("."))
                && !(*at > 0 && all[at - 1].is_sign("."))
        })
        .collect();
    let mut sql = String::new();
    let mut at = 0;
    while at < all.len() {
        let token = &all[at];
        let starts_path = !(at > 0 && all[at - 1].is_sign("."))
            && all.get(at + 1).is_some_and(|dot| dot.is_sign("."));
        if with_catalog.contains(&at) {
            sql.push_str(&format!("`internal`.{}", ident(destination)));
            at += 3;
            continue;
        }
        let is_old = token.identifier().is_some_and(|name| name == old_spelling);
        // A statement uses one spelling: where the catalog is written, a bare `db` can only be an alias of that name.
        let is_bare = with_catalog.is_empty() && names_source(token);
        if starts_path && (is_old || is_bare) {
            sql.push_str(&format!("`internal`.{}", ident(destination)));
        } else {
            sql.push_str(token.text);
        }
        at += 1;
    }
    sql
}

/// ``ALTER TABLE `db`.`t` rest`` of a light schema change -> the same on the destination's table. Defaults that some releases
/// print wrongly and comments of fields, which all print without quotes, are repaired.
///
/// # Errors
/// [`NotUnderstood`] when it is not ALTER TABLE.
pub fn retarget_alter(sql: &str, target: ObjectName<'_>) -> Result<String, NotUnderstood> {
    let all = tokens(sql);
    let mut cursor = Cursor::new(&all, "ALTER TABLE");
    cursor.word("ALTER")?;
    cursor.word("TABLE")?;
    cursor.name()?;
    let repaired = quoted_field_comments(&repaired_defaults(cursor.rest()));
    Ok(format!("ALTER TABLE {target}{repaired}"))
}

/// Functions that are printed as strings, and `null` where there is no default.
fn repaired_defaults(all: &[Token<'_>]) -> String {
    let mut sql = String::new();
    let mut words: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let token = &all[at];
        let value = all
            .get(at + 1..)
            .unwrap_or_default()
            .iter()
            .position(|next| next.kind != Kind::Space)
            .map(|skip| at + 1 + skip);
        if token.is_word("DEFAULT")
            && let Some(value) = value
            && let Some(content) = all[value].content()
        {
            let function = content.split('(').next().unwrap_or(content);
            if ["CURRENT_TIMESTAMP", "BITMAP_EMPTY"]
                .iter()
                .any(|known| function.eq_ignore_ascii_case(known))
            {
                sql.push_str("DEFAULT ");
                sql.push_str(content);
                at = value + 1;
                continue;
            }
            let replaces = words
                .iter()
                .rev()
                .take(2)
                .any(|word| word.eq_ignore_ascii_case("REPLACE_IF_NOT_NULL"));
            if content == "null" && replaces {
                at = value + 1;
                continue;
            }
        }
        if token.kind == Kind::Word {
            words.push(token.text);
        }
        sql.push_str(token.text);
        at += 1;
    }
    sql
}

/// The clause of an ADD_PARTITION record -> the clause for the destination: with IF NOT EXISTS, and with the distribution that
/// sources leave out. Shapes that old releases print wrongly are repaired.
///
/// # Errors
/// [`NotUnderstood`] when it is not ADD PARTITION.
pub fn add_partition_clause(sql: &str, wanted: &Distribution) -> Result<String, NotUnderstood> {
    let all = tokens(sql);
    let mut cursor = Cursor::new(&all, "ADD PARTITION");
    cursor.word("ADD")?;
    let temporary = if cursor.skip_word("TEMPORARY") {
        "TEMPORARY "
    } else {
        ""
    };
    cursor.word("PARTITION")?;
    if cursor.skip_word("IF") {
        cursor.word("NOT")?;
        cursor.word("EXISTS")?;
    }
    let name = cursor.name()?;
    let mut rest = cursor.rest();
    while let Some((last, before)) = rest.split_last() {
        if last.kind != Kind::Space && !last.is_sign(";") {
            break;
        }
        rest = before;
    }
    let rest = partition_values(rest);
    let distributed = {
        let words: Vec<_> = rest
            .iter()
            .filter(|token| token.kind == Kind::Word)
            .collect();
        words
            .windows(2)
            .any(|pair| pair[0].is_word("DISTRIBUTED") && pair[1].is_word("BY"))
    };
    let mut clause = format!("ADD {temporary}PARTITION IF NOT EXISTS {}", ident(&name));
    let mut after_buckets = false;
    for token in &rest {
        if after_buckets && token.is_word("AUTO") && wanted.buckets > 0 {
            clause.push_str(&buckets(wanted));
        } else {
            clause.push_str(token.text);
        }
        if token.kind != Kind::Space {
            after_buckets = token.is_word("BUCKETS");
        }
    }
    if !distributed && wanted.buckets > 0 {
        clause.push(' ');
        clause.push_str(&distribution(wanted));
    }
    Ok(clause)
}

/// Repairs VALUES: `[(), ())` of an unpartitioned table goes, and one of three opening brackets of list items.
fn partition_values<'a>(rest: &[Token<'a>]) -> Vec<Token<'a>> {
    let significant: Vec<usize> = (0..rest.len())
        .filter(|at| rest[*at].kind != Kind::Space)
        .collect();
    let signs_from = |from: usize, signs: &[&str]| {
        signs.iter().enumerate().all(|(offset, sign)| {
            significant
                .get(from + offset)
                .is_some_and(|at| rest[*at].is_sign(sign))
        })
    };
    if significant
        .first()
        .is_some_and(|at| rest[*at].is_word("VALUES"))
        && signs_from(1, &["[", "(", ")", ",", "(", ")", ")"])
    {
        return rest[significant[7] + 1..].to_vec();
    }
    let is_list = significant
        .first()
        .is_some_and(|at| rest[*at].is_word("VALUES"))
        && significant.get(1).is_some_and(|at| rest[*at].is_word("IN"));
    if !is_list || !signs_from(2, &["(", "(", "("]) {
        return rest.to_vec();
    }
    let surplus = significant[2];
    let mut depth = 0_usize;
    let mut partner = None;
    for (at, token) in rest.iter().enumerate().skip(surplus) {
        if token.is_sign("(") {
            depth += 1;
        } else if token.is_sign(")") {
            depth -= 1;
            if depth == 0 {
                partner = Some(at);
                break;
            }
        }
    }
    let kept = (0..rest.len()).filter(|at| *at != surplus && Some(*at) != partner);
    kept.map(|at| rest[at]).collect()
}

/// What follows the name of a CREATE TABLE.
fn table_body(rest: &[Token<'_>], replicas: Option<u16>) -> String {
    let mut sql = String::new();
    let mut replicas_set = false;
    let mut at = 0;
    while at < rest.len() {
        if rest[at].is_word("MAXVALUEMAXVALUE") {
            sql.push_str("MAXVALUE, MAXVALUE");
            at += 1;
            continue;
        }
        let Some((pairs, end)) = property_list(rest, at) else {
            sql.push_str(rest[at].text);
            at += 1;
            continue;
        };
        let mut changed = false;
        let kept: Vec<String> = pairs
            .iter()
            .filter(|(key, _)| {
                let key = key.content().unwrap_or_default();
                let unfit = replicas.is_some() && key == "min_load_replica_num";
                !(unfit || SOURCE_PROPERTIES.contains(&key))
            })
            .map(|(key, value)| {
                let name = key.content().unwrap_or_default();
                let new = replicas.and_then(|number| replica_value(name, number));
                replicas_set |= new.is_some();
                changed |= new.is_some();
                format!(
                    "{} = {}",
                    key.text,
                    new.unwrap_or_else(|| value.text.to_owned())
                )
            })
            .collect();
        if kept.is_empty() {
            // Neither the list nor the word PROPERTIES in front of it may stay.
            let head = sql.trim_end();
            if head.to_ascii_uppercase().ends_with("PROPERTIES") {
                sql.truncate(head.len() - "PROPERTIES".len());
            }
        } else if changed || kept.len() < pairs.len() {
            sql.push_str(&format!("(\n{}\n)", kept.join(",\n")));
        } else {
            sql.extend(rest[at..end].iter().map(|token| token.text));
        }
        at = end;
    }
    match replicas {
        Some(number) if !replicas_set => with_replicas(&sql, number),
        Some(_) | None => sql,
    }
}

type Pair<'a, 'b> = (&'b Token<'a>, &'b Token<'a>);

/// `("k" = "v", ...)` from a token on: its pairs, and where it ends.
fn property_list<'a, 'b>(rest: &'b [Token<'a>], from: usize) -> Option<(Vec<Pair<'a, 'b>>, usize)> {
    if !rest.get(from)?.is_sign("(") {
        return None;
    }
    let mut significant = (from + 1..rest.len()).filter(|at| rest[*at].kind != Kind::Space);
    let mut pairs = Vec::new();
    loop {
        let key = &rest[significant.next()?];
        let equals = &rest[significant.next()?];
        let value = &rest[significant.next()?];
        if key.kind != Kind::Text || !equals.is_sign("=") || value.kind != Kind::Text {
            return None;
        }
        pairs.push((key, value));
        let end = significant.next()?;
        if rest[end].is_sign(")") {
            return Some((pairs, end + 1));
        }
        if !rest[end].is_sign(",") {
            return None;
        }
    }
}

fn replica_value(key: &str, number: u16) -> Option<String> {
    let key = key.strip_prefix("dynamic_partition.").unwrap_or(key);
    let key = key.strip_prefix("default.").unwrap_or(key);
    match key {
        "replication_allocation" => Some(format!("\"tag.location.default: {number}\"")),
        "replication_num" => Some(format!("\"{number}\"")),
        _ => None,
    }
}

/// Adds a property to the table's own list, which is the last one, or a list.
fn with_replicas(sql: &str, number: u16) -> String {
    let property = format!("\"replication_num\" = \"{number}\"");
    let all = tokens(sql);
    let mut depth = 0_usize;
    let mut offset = 0;
    let mut open = None;
    let mut after_word = false;
    for token in &all {
        offset += token.text.len();
        if token.is_sign("(") {
            if depth == 0 && after_word {
                open = Some(offset);
            }
            depth += 1;
        } else if token.is_sign(")") {
            depth = depth.saturating_sub(1);
        }
        if token.kind != Kind::Space {
            after_word = token.is_word("PROPERTIES");
        }
    }
    match open {
        Some(open) => format!("{}\n{property},{}", &sql[..open], &sql[open..]),
        None => {
            let body = sql.trim_end_matches([';', ' ', '\n']);
            format!("{body}\nPROPERTIES ({property})")
        }
    }
}

/// Reads the head of a statement.
struct Cursor<'a, 'b> {
    all: &'b [Token<'a>],
    at: usize,
    expected: &'static str,
}

impl<'a, 'b> Cursor<'a, 'b> {
    fn new(all: &'b [Token<'a>], expected: &'static str) -> Self {
        Self {
            all,
            at: 0,
            expected,
        }
    }

    fn next(&mut self) -> Option<&'b Token<'a>> {
        while self.all.get(self.at)?.kind == Kind::Space {
            self.at += 1;
        }
        self.all.get(self.at)
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let found = self.next().is_some_and(|token| token.is_word(word));
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> Result<(), NotUnderstood> {
        match self.skip_word(word) {
            true => Ok(()),
            false => Err(self.not_understood()),
        }
    }

    /// A possibly qualified name; its last part.
    fn name(&mut self) -> Result<String, NotUnderstood> {
        loop {
            let Some(part) = self.next().and_then(Token::identifier) else {
                return Err(self.not_understood());
            };
            self.at += 1;
            if !self.all.get(self.at).is_some_and(|dot| dot.is_sign(".")) {
                return Ok(part);
            }
            self.at += 1;
        }
    }

    fn rest(&self) -> &'b [Token<'a>] {
        self.all.get(self.at..).unwrap_or_default()
    }

    fn not_understood(&self) -> NotUnderstood {
        let head: String = self.all.iter().take(12).map(|token| token.text).collect();
        NotUnderstood {
            expected: self.expected,
            head: head.chars().take(100).collect(),
        }
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
