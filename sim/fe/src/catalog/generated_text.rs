//! Expressions of generated columns as Doris prints them: analysed, so with back quotes, parentheses and the casts of
//! integer arithmetic.

use dorisim_model::{DataType, TableSchema};
use dorisim_sql::{Token, TokenKind, tokenize};

/// The expression as Doris prints it. What is more than columns, integers, arithmetic, CAST and calls stays as it was
/// written.
#[must_use]
pub fn printed(expression: &str, schema: &TableSchema) -> String {
    let Ok(tokens) = tokenize(expression) else {
        return expression.to_owned();
    };
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        schema,
    };
    match reader.sum() {
        Some(tree) if reader.kind() == &TokenKind::Eof => tree.text,
        Some(_) | None => expression.to_owned(),
    }
}

/// A part of an expression. Only integers have a type that is known here.
struct Part {
    text: String,
    data_type: Option<DataType>,
    literal: bool,
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    schema: &'a TableSchema,
}

impl Reader<'_> {
    fn kind(&self) -> &TokenKind {
        self.tokens
            .get(self.at)
            .map_or(&TokenKind::Eof, |token| &token.kind)
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = matches!(self.kind(), TokenKind::Symbol(s) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.kind(), TokenKind::Word(w) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn sum(&mut self) -> Option<Part> {
        let mut left = self.product()?;
        loop {
            let operator = if self.accept("+") {
                "+"
            } else if self.accept("-") {
                "-"
            } else {
                return Some(left);
            };
            left = combined(&left, operator, &self.product()?)?;
        }
    }

    fn product(&mut self) -> Option<Part> {
        let mut left = self.one()?;
        loop {
            let operator = if self.accept("*") {
                "*"
            } else if self.accept("%") {
                "%"
            } else {
                return Some(left);
            };
            left = combined(&left, operator, &self.one()?)?;
        }
    }

    fn one(&mut self) -> Option<Part> {
        if self.accept("(") {
            let inner = self.sum()?;
            return self.accept(")").then_some(inner);
        }
        match self.kind().clone() {
            TokenKind::Number(text) => {
                self.at += 1;
                let data_type = literal_type(&text)?;
                Some(Part {
                    text,
                    data_type: Some(data_type),
                    literal: true,
                })
            }
            TokenKind::Quoted(name) => {
                self.at += 1;
                self.column(&name)
            }
            TokenKind::Word(name) => {
                self.at += 1;
                if !self.accept("(") {
                    return self.column(&name);
                }
                if name.eq_ignore_ascii_case("CAST") {
                    return self.cast();
                }
                self.call(&name)
            }
            TokenKind::Str(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
        }
    }

    fn column(&self, name: &str) -> Option<Part> {
        let column = self.schema.column(name)?;
        let data_type = Some(column.data_type.clone()).filter(DataType::is_integer);
        Some(Part {
            text: format!("`{}`", column.name),
            data_type,
            literal: false,
        })
    }

    fn cast(&mut self) -> Option<Part> {
        let inner = self.sum()?;
        if !self.accept_word("AS") {
            return None;
        }
        let TokenKind::Word(name) = self.kind().clone() else {
            return None;
        };
        self.at += 1;
        let data_type = DataType::parse(&name).ok().filter(DataType::is_integer)?;
        self.accept(")").then_some(())?;
        Some(cast(&inner, data_type))
    }

    fn call(&mut self, name: &str) -> Option<Part> {
        let mut arguments = Vec::new();
        while !self.accept(")") {
            arguments.push(self.sum()?.text);
            if !self.accept(",") && self.kind() != &TokenKind::Symbol(")") {
                return None;
            }
        }
        Some(Part {
            text: format!("{}({})", name.to_ascii_lowercase(), arguments.join(", ")),
            data_type: None,
            literal: false,
        })
    }
}

/// Both sides in the next larger type than the larger of the two.
fn combined(left: &Part, operator: &str, right: &Part) -> Option<Part> {
    let common = rank(left.data_type.as_ref()?)?.max(rank(right.data_type.as_ref()?)?);
    let data_type = INTEGERS.get(common + 1).or(INTEGERS.last())?.clone();
    let left = cast(left, data_type.clone());
    let right = cast(right, data_type.clone());
    Some(Part {
        text: format!("({} {operator} {})", left.text, right.text),
        data_type: Some(data_type),
        literal: false,
    })
}

fn cast(part: &Part, to: DataType) -> Part {
    let same = part.data_type.as_ref() == Some(&to);
    Part {
        text: if same || part.literal {
            part.text.clone()
        } else {
            format!("CAST({} AS {to})", part.text)
        },
        data_type: Some(to),
        literal: part.literal,
    }
}

/// Integers that arithmetic widens to, smallest first. LARGEINT is not reached from smaller ones.
const INTEGERS: [DataType; 4] = [
    DataType::TinyInt,
    DataType::SmallInt,
    DataType::Int,
    DataType::BigInt,
];

fn rank(data_type: &DataType) -> Option<usize> {
    INTEGERS.iter().position(|one| one == data_type)
}

/// The smallest type that a literal fits into.
fn literal_type(text: &str) -> Option<DataType> {
    let value: i64 = text.parse().ok()?;
    Some(if i8::try_from(value).is_ok() {
        DataType::TinyInt
    } else if i16::try_from(value).is_ok() {
        DataType::SmallInt
    } else if i32::try_from(value).is_ok() {
        DataType::Int
    } else {
        DataType::BigInt
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_model::{Column, KeysModel};

    #[test]
    fn integer_arithmetic_is_printed_with_its_casts_and_printing_again_changes_nothing() {
        let columns = [
            ("a", DataType::Int),
            ("b", DataType::TinyInt),
            ("s", DataType::String),
        ];
        let schema = TableSchema {
            columns: columns.map(|(n, t)| Column::new(n, t)).to_vec(),
            keys: KeysModel::Duplicate,
            schema_hash: 0,
            schema_version: 0,
            indexes: Default::default(),
        };
        for (written, expected) in [
            ("a + 1", "(CAST(`a` AS bigint) + 1)"),
            ("b*b", "(CAST(`b` AS smallint) * CAST(`b` AS smallint))"),
            ("b + a", "(CAST(`b` AS bigint) + CAST(`a` AS bigint))"),
            ("(A + 1) * 2", "((CAST(`a` AS bigint) + 1) * 2)"),
            (
                "abs(a + b)",
                "abs((CAST(`a` AS bigint) + CAST(`b` AS bigint)))",
            ),
            ("Upper(s)", "upper(`s`)"),
            ("concat(s, 'x')", "concat(s, 'x')"),
            ("abs(a) + 1", "abs(a) + 1"),
        ] {
            let once = printed(written, &schema);
            assert_eq!(once, expected, "{written}");
            // Smaller integers grow with every reading, as in Doris.
            if once.contains("bigint") {
                assert_eq!(printed(&once, &schema), once);
            }
        }
    }
}
