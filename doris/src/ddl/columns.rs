//! What sources leave out of column clauses, or print so that no frontend can read it.

use super::string;
use super::token::{Kind, Token, tokens};

/// Comments of the fields of a STRUCT, which a source prints without quotes (`STRUCT<a:INT COMMENT of a,b:INT>`), in quotes. A
/// comment ends at the comma or bracket behind it.
pub(super) fn quoted_field_comments(sql: &str) -> String {
    let all = tokens(sql);
    let mut out = String::with_capacity(sql.len());
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(token) = all.get(at) {
        out.push_str(token.text);
        at += 1;
        if token.is_sign("<") {
            depth += 1;
        } else if token.is_sign(">") {
            depth = depth.saturating_sub(1);
        } else if depth > 0 && token.is_word("COMMENT") {
            let rest = all.get(at..).unwrap_or_default();
            let ends = |t: &Token<'_>| t.is_sign(",") || t.is_sign(">");
            let Some(length) = rest.iter().position(ends) else {
                continue;
            };
            let text: String = rest[..length].iter().map(|t| t.text).collect();
            let is_quoted = rest[..length].iter().any(|t| t.kind == Kind::Text);
            if !is_quoted && !text.trim().is_empty() {
                out.push(' ');
                out.push_str(&string(text.trim()));
                at += length;
            }
        }
    }
    out
}

/// The clause of `column` with ON UPDATE, which no source prints: it precedes the column's COMMENT. `digits`: precision
/// of the time. A statement without such a clause stays as it is.
pub fn with_on_update(sql: &str, column: &str, digits: u8) -> String {
    let all = tokens(sql);
    let solid = |from: usize| (from..all.len()).find(|at| all[*at].kind != Kind::Space);
    let begins = |at: &usize| {
        let before = all[..*at].iter().rev().find(|t| t.kind != Kind::Space);
        let opens = before.is_some_and(|t| t.is_word("COLUMN") || t.is_sign("(") || t.is_sign(","));
        let typed = solid(at + 1).is_some_and(|next| all[next].kind == Kind::Word);
        opens && typed && all[*at].kind == Kind::Quoted
    };
    let named = |at: &usize| {
        all[*at]
            .identifier()
            .is_some_and(|name| name.eq_ignore_ascii_case(column))
    };
    let Some(start) = (0..all.len()).find(|at| named(at) && begins(at)) else {
        return sql.to_owned();
    };
    let rest = start..all.len();
    let comment = rest.clone().find(|at| all[*at].is_word("COMMENT"));
    let present = rest.into_iter().find(|at| all[*at].is_word("UPDATE"));
    let Some(comment) = comment.filter(|comment| present.is_none_or(|at| at > *comment)) else {
        return sql.to_owned();
    };
    let precision = match digits {
        0 => String::new(),
        digits => format!("({digits})"),
    };
    let text = |tokens: &[Token<'_>]| tokens.iter().map(|t| t.text).collect::<String>();
    format!(
        "{}ON UPDATE CURRENT_TIMESTAMP{precision} {}",
        text(&all[..comment]),
        text(&all[comment..])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_fields_get_quotes() {
        for (source, wanted) in [
            (
                "ADD COLUMN `s` STRUCT<a:INT COMMENT it is a,b:ARRAY<STRUCT<c:INT COMMENT c c>>> NULL COMMENT \"x\"",
                "ADD COLUMN `s` STRUCT<a:INT COMMENT 'it is a',b:ARRAY<STRUCT<c:INT COMMENT 'c c'>>> NULL COMMENT \"x\"",
            ),
            (
                "ADD COLUMN `s` STRUCT<a:INT COMMENT 'fine'> NULL COMMENT \"a < b\"",
                "ADD COLUMN `s` STRUCT<a:INT COMMENT 'fine'> NULL COMMENT \"a < b\"",
            ),
            (
                "ADD COLUMN `n` INT COMMENT \"\"",
                "ADD COLUMN `n` INT COMMENT \"\"",
            ),
        ] {
            assert_eq!(quoted_field_comments(source), wanted);
        }
    }

    #[test]
    fn on_update_precedes_the_comment() {
        let one = "ALTER TABLE `d`.`t` ADD COLUMN `x` DATETIMEV2(3) NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT \"\"";
        assert_eq!(
            with_on_update(one, "x", 3),
            "ALTER TABLE `d`.`t` ADD COLUMN `x` DATETIMEV2(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3) COMMENT \"\""
        );
        let two = "ALTER TABLE `d`.`t` ADD COLUMN (`a` INT NULL COMMENT \"x\", `x` DATETIMEV2(0) NULL DEFAULT CURRENT_TIMESTAMP COMMENT \"y\")";
        assert_eq!(
            with_on_update(two, "X", 0),
            "ALTER TABLE `d`.`t` ADD COLUMN (`a` INT NULL COMMENT \"x\", `x` DATETIMEV2(0) NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP COMMENT \"y\")"
        );
        for same in [
            "ALTER TABLE `d`.`t` DROP COLUMN `x`",
            "ALTER TABLE `d`.`x` ADD COLUMN `a` INT COMMENT \"\" AFTER `x`",
            "ALTER TABLE `d`.`t` ADD COLUMN `x` DATETIME ON UPDATE CURRENT_TIMESTAMP COMMENT \"\"",
        ] {
            assert_eq!(with_on_update(same, "x", 0), same);
        }
    }
}
