//! Aggregates of statistics: moments, regression, percentiles in arrays, most frequent values, sets of arrays.

use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::aggregates_more::{Finish, collected, number, percentile};
use super::functions::text_of;
use super::functions_nested::nested;
use super::nested::Nested;
use super::numbers::double_text;

pub(super) fn register(connection: &Connection) -> Result<()> {
    let all: [(&[&str], Finish); 22] = [
        (&["corr", "corr_welford"], |rows| {
            of_pairs(rows, |p| {
                let spread = (p.xx * p.yy).sqrt();
                Some(if spread == 0.0 { 0.0 } else { p.xy / spread })
            })
        }),
        (&["covar", "covar_pop"], |rows| {
            of_pairs(rows, |p| Some(p.xy / p.n))
        }),
        (&["covar_samp"], |rows| {
            of_pairs(rows, |p| {
                Some(if p.n > 1.0 { p.xy / (p.n - 1.0) } else { 0.0 })
            })
        }),
        (&["regr_slope"], |rows| {
            of_pairs(rows, |p| (p.n > 1.0 && p.yy != 0.0).then(|| p.xy / p.yy))
        }),
        (&["regr_intercept"], |rows| {
            of_pairs(rows, |p| {
                (p.n > 1.0 && p.yy != 0.0).then(|| p.mx - p.xy / p.yy * p.my)
            })
        }),
        (&["regr_sxx"], |rows| of_pairs(rows, |p| Some(p.yy))),
        (&["regr_syy"], |rows| of_pairs(rows, |p| Some(p.xx))),
        (&["regr_sxy"], |rows| of_pairs(rows, |p| Some(p.xy))),
        (&["kurtosis", "kurt", "kurt_pop"], |rows| {
            moment(rows, 4, |m2, m4| m4 / (m2 * m2) - 3.0)
        }),
        (&["skewness", "skew", "skew_pop"], |rows| {
            moment(rows, 3, |m2, m3| m3 / m2.powf(1.5))
        }),
        (&["percentile_array"], |rows| {
            let parts = rows.first().and_then(|row| text_of(row.get(1)?.into()));
            let Some(parts) = parts.as_deref().and_then(Nested::elements) else {
                return Value::Null;
            };
            let sorted = sorted(rows);
            let answers = parts.iter().map(|part| {
                let value = part.number().and_then(|part| percentile(&sorted, part));
                value.map_or(Nested::Null, |value| Nested::Bare(double_text(value)))
            });
            Value::Text(Nested::Array(answers.collect()).to_string())
        }),
        (&["percentile_reservoir"], |rows| {
            let part = rows.first().and_then(|row| number(row.get(1)?));
            part.and_then(|part| percentile(&sorted(rows), part))
                .map_or(Value::Null, Value::Real)
        }),
        (&["percentile_approx_weighted"], weighted_percentile),
        (&["topn"], |rows| {
            let entries = frequent(rows, None).into_iter().map(|(value, count)| {
                (
                    serde_json::Value::from(value),
                    serde_json::Value::from(count),
                )
            });
            // Most frequent first: an object of serde_json would sort its keys.
            let pairs: Vec<_> = entries.map(|(k, v)| format!("{k}:{v}")).collect();
            Value::Text(format!("{{{}}}", pairs.join(",")))
        }),
        (&["topn_array"], |rows| top_array(rows, None)),
        (&["topn_weighted"], |rows| top_array(rows, Some(1))),
        (&["avg_weighted"], |rows| {
            let pairs = rows
                .iter()
                .filter_map(|row| Some((number(row.first()?)?, number(row.get(1)?)?)));
            let (sum, weights) = pairs.fold((0.0, 0.0), |(sum, weights), (x, w)| {
                (sum + x * w, weights + w)
            });
            if weights == 0.0 {
                Value::Null
            } else {
                Value::Real(sum / weights)
            }
        }),
        (&["map_agg_v1", "map_agg_v2"], |rows| {
            let mut entries: Vec<(Nested, Nested)> = Vec::new();
            for row in rows {
                if let [key, value, ..] = row.as_slice() {
                    let key = nested(key.into());
                    if key != Nested::Null && !entries.iter().any(|(known, _)| known.same(&key)) {
                        entries.push((key, nested(value.into())));
                    }
                }
            }
            Value::Text(Nested::Map(entries).to_string())
        }),
        (&["group_array_intersect"], |rows| {
            let mut arrays = arrays(rows);
            let mut kept = arrays.next().unwrap_or_default();
            for array in arrays {
                kept.retain(|element| array.iter().any(|other| other.same(element)));
            }
            Value::Text(Nested::Array(distinct(kept)).to_string())
        }),
        (&["group_array_union"], |rows| {
            Value::Text(Nested::Array(distinct(arrays(rows).flatten().collect())).to_string())
        }),
        (&["retention"], |rows| {
            let width = rows.first().map_or(0, Vec::len);
            let met: Vec<bool> = (0..width)
                .map(|at| {
                    rows.iter()
                        .any(|row| row.get(at).and_then(number) == Some(1.0))
                })
                .collect();
            let first = met.first().copied().unwrap_or(false);
            let answers = met
                .iter()
                .map(|met| Nested::Bare(u8::from(first && *met).to_string()));
            Value::Text(Nested::Array(answers.collect()).to_string())
        }),
        (&["multi_distinct_sum"], |rows| {
            let mut seen: Vec<String> = Vec::new();
            let mut sum = super::numbers::Sum::default();
            for text in rows.iter().filter_map(|row| text_of(row.first()?.into())) {
                if !seen.contains(&text) {
                    sum.add_text(&text);
                    seen.push(text);
                }
            }
            if seen.is_empty() {
                return Value::Null;
            }
            match sum.total() {
                super::numbers::Total::Integer(value) => Value::Integer(value),
                super::numbers::Total::Real(value) => Value::Real(value),
                super::numbers::Total::Exact(text) => Value::Text(text),
            }
        }),
    ];
    for (names, finish) in all {
        collected(connection, names, finish)?;
    }
    Ok(())
}

/// Sums over the pairs of numbers: means and products of the distances from them.
struct Pairs {
    n: f64,
    mx: f64,
    my: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

#[allow(clippy::cast_precision_loss)] // no group has that many rows
fn of_pairs(rows: &[Vec<Value>], finish: fn(&Pairs) -> Option<f64>) -> Value {
    let pairs: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((number(row.first()?)?, number(row.get(1)?)?)))
        .collect();
    if pairs.is_empty() {
        return Value::Null;
    }
    let n = pairs.len() as f64;
    let mx = pairs.iter().map(|p| p.0).sum::<f64>() / n;
    let my = pairs.iter().map(|p| p.1).sum::<f64>() / n;
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| of(p.0 - mx, p.1 - my)).sum();
    let sums = Pairs {
        n,
        mx,
        my,
        xx: sum(&|x, _| x * x),
        yy: sum(&|_, y| y * y),
        xy: sum(&|x, y| x * y),
    };
    finish(&sums).map_or(Value::Null, Value::Real)
}

#[allow(clippy::cast_precision_loss)] // no group has that many rows
fn moment(rows: &[Vec<Value>], power: i32, finish: fn(f64, f64) -> f64) -> Value {
    let numbers = sorted(rows);
    if numbers.is_empty() {
        return Value::Null;
    }
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let central = |power| numbers.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / n;
    let second = central(2);
    if second == 0.0 {
        return Value::Null;
    }
    Value::Real(finish(second, central(power)))
}

fn sorted(rows: &[Vec<Value>]) -> Vec<f64> {
    let mut numbers: Vec<f64> = rows.iter().filter_map(|row| number(row.first()?)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

fn weighted_percentile(rows: &[Vec<Value>]) -> Value {
    let mut pairs: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((number(row.first()?)?, number(row.get(1)?)?)))
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let part = rows.first().and_then(|row| number(row.get(2)?));
    let wanted = part.unwrap_or(0.0) * pairs.iter().map(|p| p.1).sum::<f64>();
    let mut so_far = 0.0;
    for (value, weight) in &pairs {
        so_far += weight;
        if so_far >= wanted {
            return Value::Real(*value);
        }
    }
    Value::Null
}

/// Values with their weights, the heaviest first, as many as the argument behind them says.
fn frequent(rows: &[Vec<Value>], weight: Option<usize>) -> Vec<(String, i64)> {
    let mut counts: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for row in rows {
        let Some(value) = row.first().and_then(|value| text_of(value.into())) else {
            continue;
        };
        #[allow(clippy::cast_possible_truncation)] // weights are integers
        let weight = match weight {
            Some(at) => row.get(at).and_then(number).unwrap_or(0.0) as i64,
            None => 1,
        };
        *counts.entry(value).or_default() += weight;
    }
    let limit = rows
        .first()
        .and_then(|row| number(row.get(1 + usize::from(weight.is_some()))?));
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small count
    counts.truncate(limit.unwrap_or(0.0).max(0.0) as usize);
    counts
}

fn top_array(rows: &[Vec<Value>], weight: Option<usize>) -> Value {
    let numbers = matches!(
        rows.first().and_then(|row| row.first()),
        Some(Value::Integer(_) | Value::Real(_))
    );
    let elements = frequent(rows, weight).into_iter().map(|(value, _)| {
        if numbers {
            Nested::Bare(value)
        } else {
            Nested::Quoted(value)
        }
    });
    Value::Text(Nested::Array(elements.collect()).to_string())
}

fn arrays(rows: &[Vec<Value>]) -> impl Iterator<Item = Vec<Nested>> {
    rows.iter()
        .filter_map(|row| Nested::elements(&text_of(row.first()?.into())?))
}

fn distinct(elements: Vec<Nested>) -> Vec<Nested> {
    super::functions_nested::distinct(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(f64, f64)]) -> Vec<Vec<Value>> {
        pairs
            .iter()
            .map(|(x, y)| vec![Value::Real(*x), Value::Real(*y)])
            .collect()
    }

    #[test]
    fn pairs_that_lie_on_a_line_correlate() {
        let rows = rows(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]);
        let corr = of_pairs(&rows, |p| Some(p.xy / (p.xx * p.yy).sqrt()));
        assert_eq!(corr, Value::Real(1.0));
        assert_eq!(of_pairs(&[], |p| Some(p.n)), Value::Null);
    }
}
