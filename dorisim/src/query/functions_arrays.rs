//! Arrays with lambdas (as `desugar::lambda` leaves them), by pairs, and as vectors.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::functions::{ANY, define, integer, size, text};
use super::functions_nested::{array, given, nested, value_of};
use super::nested::Nested;

pub(super) fn register(connection: &Connection) -> Result<()> {
    lambdas(connection)?;
    masked(connection)?;
    counted(connection)?;
    vectors(connection)
}

/// Answers of a lambda, in the order of the elements.
struct Answers;

impl Aggregate<Vec<(i64, Nested)>, String> for Answers {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<(i64, Nested)>> {
        Ok(Vec::new())
    }

    fn step(&self, ctx: &mut Context<'_>, answers: &mut Vec<(i64, Nested)>) -> Result<()> {
        answers.push((integer(ctx, 1).unwrap_or(0), nested(ctx.get_raw(0))));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, answers: Option<Vec<(i64, Nested)>>) -> Result<String> {
        let mut answers = answers.unwrap_or_default();
        answers.sort_by_key(|(at, _)| *at);
        let answers = answers.into_iter().map(|(_, answer)| answer).collect();
        Ok(Nested::Array(answers).to_string())
    }
}

fn lambdas(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function("lambda_list_", 2, flags, Answers)?;
    // One row per place: the elements of all arrays there, as text inside JSON.
    define(connection, &["lambda_rows_"], ANY, |ctx| {
        let arrays: Option<Vec<_>> = (0..ctx.len()).map(|at| array(ctx, at)).collect();
        let arrays = arrays?;
        let rows: Vec<serde_json::Value> = (0..arrays.first()?.len())
            .map(|at| {
                let row = arrays
                    .iter()
                    .map(|array| array.get(at).cloned().unwrap_or(Nested::Null))
                    .collect();
                serde_json::Value::String(Nested::Array(row).to_string())
            })
            .collect();
        Some(serde_json::Value::Array(rows).to_string())
    })?;
    define(connection, &["lambda_item_"], 2, |ctx| {
        let row = array(ctx, 0);
        let at = integer(ctx, 1).and_then(|at| usize::try_from(at).ok());
        row.zip(at)
            .map_or(Value::Null, |(row, at)| match row.get(at) {
                Some(Nested::Bare(text)) if text.contains(['.', 'e', 'E']) => text
                    .parse()
                    .map_or_else(|_| Value::Text(text.clone()), Value::Real),
                other => value_of(other),
            })
    })?;
    // Both sides of all pairs of elements, and the elements in the order that the answers for these pairs say.
    define(connection, &["lambda_left_"], 1, |ctx| {
        let elements = array(ctx, 0)?;
        let copies = elements.len();
        given(elements.into_iter().flat_map(|e| vec![e; copies]).collect())
    })?;
    define(connection, &["lambda_right_"], 1, |ctx| {
        let elements = array(ctx, 0)?;
        let copies = elements.len();
        given(std::iter::repeat_n(elements, copies).flatten().collect())
    })?;
    define(connection, &["array_sort_pairs_"], 2, |ctx| {
        let (elements, answers) = (array(ctx, 0)?, array(ctx, 1)?);
        let length = elements.len();
        let before = |a: usize, b: usize| {
            let answer = answers.get(a * length + b).and_then(Nested::number);
            answer.is_some_and(|answer| answer < 0.0)
        };
        let mut sorted: Vec<usize> = Vec::with_capacity(length);
        for at in 0..length {
            let place = sorted.iter().position(|other| before(at, *other));
            sorted.insert(place.unwrap_or(sorted.len()), at);
        }
        given(sorted.into_iter().map(|at| elements[at].clone()).collect())
    })?;
    // NULL when one of the arrays is.
    define(connection, &["lambda_answer_"], ANY, |ctx| {
        for at in 1..ctx.len() {
            text(ctx, at)?;
        }
        text(ctx, 0)
    })
}

fn is_true(value: &Nested) -> bool {
    match value {
        Nested::Bare(text) => {
            text.eq_ignore_ascii_case("true") || text.parse::<f64>().is_ok_and(|n| n != 0.0)
        }
        Nested::Null | Nested::Quoted(_) | Nested::Array(_) | Nested::Map(_) => false,
    }
}

/// Functions of an array and a list of answers, or of the answers alone.
fn masked(connection: &Connection) -> Result<()> {
    define(connection, &["array_filter"], 2, |ctx| {
        let (elements, mask) = (array(ctx, 0)?, array(ctx, 1)?);
        let kept = elements.into_iter().zip(mask);
        given(
            kept.filter(|(_, yes)| is_true(yes))
                .map(|(e, _)| e)
                .collect(),
        )
    })?;
    define(connection, &["array_exists"], 1, |ctx| {
        let answers = array(ctx, 0)?.into_iter().map(|answer| match answer {
            Nested::Null => Nested::Null,
            answer => Nested::Bare(u8::from(is_true(&answer)).to_string()),
        });
        given(answers.collect())
    })?;
    define(connection, &["array_count"], 1, |ctx| {
        // NULL counts nothing.
        Some(array(ctx, 0).map_or(0, |answers| {
            size(answers.iter().filter(|answer| is_true(answer)).count())
        }))
    })?;
    define(connection, &["array_first_index"], 1, |ctx| {
        let at = array(ctx, 0)?.iter().position(is_true);
        Some(at.map_or(0, |at| size(at) + 1))
    })?;
    define(connection, &["array_last_index"], 1, |ctx| {
        let at = array(ctx, 0)?.iter().rposition(is_true);
        Some(at.map_or(0, |at| size(at) + 1))
    })?;
    define(
        connection,
        &["array_match_any", "any_match", "array_any_match"],
        1,
        |ctx| {
            let answers = array(ctx, 0)?;
            if answers.iter().any(is_true) {
                return Some(true);
            }
            (!answers.contains(&Nested::Null)).then_some(false)
        },
    )?;
    define(connection, &["array_match_all", "all_match"], 1, |ctx| {
        let answers = array(ctx, 0)?;
        if answers.iter().any(|a| *a != Nested::Null && !is_true(a)) {
            return Some(false);
        }
        (!answers.contains(&Nested::Null)).then_some(true)
    })?;
    define(connection, &["array_first"], 2, |ctx| {
        let found = array(ctx, 0)
            .zip(array(ctx, 1))
            .and_then(|(elements, mask)| {
                let at = mask.iter().position(is_true)?;
                elements.get(at).cloned()
            });
        value_of(found.as_ref())
    })?;
    define(connection, &["array_last"], 2, |ctx| {
        let found = array(ctx, 0)
            .zip(array(ctx, 1))
            .and_then(|(elements, mask)| {
                let at = mask.iter().rposition(is_true)?;
                elements.get(at).cloned()
            });
        value_of(found.as_ref())
    })?;
    define(connection, &["array_sortby"], 2, |ctx| {
        let mut pairs: Vec<_> = array(ctx, 1)?.into_iter().zip(array(ctx, 0)?).collect();
        pairs.sort_by(|(a, _), (b, _)| a.order(b));
        given(pairs.into_iter().map(|(_, element)| element).collect())
    })?;
    define(connection, &["array_split"], 2, |ctx| {
        let mut parts: Vec<Vec<Nested>> = Vec::new();
        for (at, (element, cut)) in array(ctx, 0)?.into_iter().zip(array(ctx, 1)?).enumerate() {
            if at == 0 || is_true(&cut) {
                parts.push(Vec::new());
            }
            if let Some(last) = parts.last_mut() {
                last.push(element);
            }
        }
        given(parts.into_iter().map(Nested::Array).collect())
    })?;
    define(connection, &["array_reverse_split"], 2, |ctx| {
        let mut parts: Vec<Vec<Nested>> = Vec::new();
        let mut fresh = true;
        for (element, cut) in array(ctx, 0)?.into_iter().zip(array(ctx, 1)?) {
            if fresh {
                parts.push(Vec::new());
            }
            if let Some(last) = parts.last_mut() {
                last.push(element);
            }
            fresh = is_true(&cut);
        }
        given(parts.into_iter().map(Nested::Array).collect())
    })
}

/// A number as an element: whole numbers without a fraction.
fn element(number: f64) -> Nested {
    Nested::Bare(if number.fract() == 0.0 && number.abs() < 9e15 {
        format!("{number:.0}")
    } else {
        super::numbers::double_text(number)
    })
}

fn counted(connection: &Connection) -> Result<()> {
    define(connection, &["array_enumerate"], 1, |ctx| {
        let length = array(ctx, 0)?.len();
        given(
            (1..=length)
                .map(|at| Nested::Bare(at.to_string()))
                .collect(),
        )
    })?;
    define(connection, &["array_enumerate_uniq"], ANY, |ctx| {
        let arrays: Option<Vec<_>> = (0..ctx.len()).map(|at| array(ctx, at)).collect();
        let arrays = arrays?;
        let rows: Vec<Vec<Option<String>>> = (0..arrays.first()?.len())
            .map(|at| {
                arrays
                    .iter()
                    .map(|array| array.get(at).and_then(Nested::cell))
                    .collect()
            })
            .collect();
        given(
            (0..rows.len())
                .map(|at| {
                    let seen = rows[..=at].iter().filter(|row| **row == rows[at]).count();
                    Nested::Bare(seen.to_string())
                })
                .collect(),
        )
    })?;
    define(connection, &["array_cum_sum"], 1, |ctx| {
        let mut sum: Option<f64> = None;
        given(
            array(ctx, 0)?
                .iter()
                .map(|value| {
                    match value.number() {
                        Some(number) => sum = Some(sum.unwrap_or(0.0) + number),
                        None if sum.is_none() => return Nested::Null,
                        None => {}
                    }
                    sum.map_or(Nested::Null, element)
                })
                .collect(),
        )
    })?;
    define(connection, &["array_difference"], 1, |ctx| {
        let numbers: Vec<_> = array(ctx, 0)?.iter().map(Nested::number).collect();
        given(
            (0..numbers.len())
                .map(
                    |at| match (at.checked_sub(1).map(|before| numbers[before]), numbers[at]) {
                        (None, Some(_)) => element(0.0),
                        (Some(Some(before)), Some(number)) => element(number - before),
                        (_, None) | (Some(None), Some(_)) => Nested::Null,
                    },
                )
                .collect(),
        )
    })?;
    define(connection, &["array_zip"], ANY, |ctx| {
        let arrays: Option<Vec<_>> = (0..ctx.len()).map(|at| array(ctx, at)).collect();
        let arrays = arrays?;
        given(
            (0..arrays.first()?.len())
                .map(|at| {
                    Nested::Map(
                        arrays
                            .iter()
                            .enumerate()
                            .map(|(field, array)| {
                                let name = Nested::Quoted((field + 1).to_string());
                                (name, array.get(at).cloned().unwrap_or(Nested::Null))
                            })
                            .collect(),
                    )
                })
                .collect(),
        )
    })?;
    define(connection, &["array_flatten"], 1, |ctx| {
        let mut flat = Vec::new();
        flatten(array(ctx, 0)?, &mut flat);
        given(flat)
    })?;
    define(connection, &["array_apply"], 3, |ctx| {
        let (how, wanted) = (text(ctx, 1)?, nested(ctx.get_raw(2)));
        let mut elements = array(ctx, 0)?;
        elements.retain(|element| {
            if *element == Nested::Null {
                return false;
            }
            let order = element.order(&wanted);
            match how.as_str() {
                "=" => element.same(&wanted),
                "!=" => !element.same(&wanted),
                ">" => order.is_gt(),
                ">=" => order.is_ge(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                _ => false,
            }
        });
        given(elements)
    })?;
    define(connection, &["array_shuffle", "shuffle"], ANY, |ctx| {
        given(array(ctx, 0)?)
    })
}

fn flatten(elements: Vec<Nested>, flat: &mut Vec<Nested>) {
    for element in elements {
        match element {
            Nested::Array(inner) => flatten(inner, flat),
            other @ (Nested::Null | Nested::Bare(_) | Nested::Quoted(_) | Nested::Map(_)) => {
                flat.push(other);
            }
        }
    }
}

fn vectors(connection: &Connection) -> Result<()> {
    let pair = |ctx: &Context<'_>| -> Option<Vec<(f64, f64)>> {
        let read =
            |at| -> Option<Vec<f64>> { array(ctx, at)?.iter().map(Nested::number).collect() };
        let (a, b) = (read(0)?, read(1)?);
        (a.len() == b.len()).then(|| a.into_iter().zip(b).collect())
    };
    define(connection, &["l1_distance"], 2, move |ctx| {
        Some(pair(ctx)?.iter().map(|(a, b)| (a - b).abs()).sum::<f64>())
    })?;
    define(connection, &["l2_distance"], 2, move |ctx| {
        Some(
            pair(ctx)?
                .iter()
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f64>()
                .sqrt(),
        )
    })?;
    define(connection, &["inner_product"], 2, move |ctx| {
        Some(pair(ctx)?.iter().map(|(a, b)| a * b).sum::<f64>())
    })?;
    define(connection, &["cosine_distance"], 2, move |ctx| {
        let pairs = pair(ctx)?;
        let dot: f64 = pairs.iter().map(|(a, b)| a * b).sum();
        let length = |part: fn(&(f64, f64)) -> f64| {
            pairs.iter().map(|p| part(p).powi(2)).sum::<f64>().sqrt()
        };
        Some(1.0 - dot / (length(|p| p.0) * length(|p| p.1)))
    })
}
