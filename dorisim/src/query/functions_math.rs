//! Functions of real numbers, rounding, and bits of number theory.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::functions::{ANY, define, integer, text};

fn real(ctx: &Context<'_>, at: usize) -> Option<f64> {
    text(ctx, at)?.trim().parse().ok()
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    reals(connection)?;
    rounding(connection)?;
    whole(connection)?;
    statistics(connection)
}

type Unary = (&'static [&'static str], fn(f64) -> Option<f64>);

fn reals(connection: &Connection) -> Result<()> {
    let all: [Unary; 22] = [
        (&["sqrt", "dsqrt"], |x| (x >= 0.0).then(|| x.sqrt())),
        (&["exp", "dexp"], |x| Some(x.exp())),
        (&["ln", "dlog1"], |x| (x > 0.0).then(|| x.ln())),
        (&["log2"], |x| (x > 0.0).then(|| x.log2())),
        (&["log10", "dlog10"], |x| (x > 0.0).then(|| x.log10())),
        (&["sin"], |x| Some(x.sin())),
        (&["cos"], |x| Some(x.cos())),
        (&["tan"], |x| Some(x.tan())),
        (&["sinh"], |x| Some(x.sinh())),
        (&["cosh"], |x| Some(x.cosh())),
        (&["tanh"], |x| Some(x.tanh())),
        (&["asin"], |x| (-1.0..=1.0).contains(&x).then(|| x.asin())),
        (&["acos"], |x| (-1.0..=1.0).contains(&x).then(|| x.acos())),
        (&["atan"], |x| Some(x.atan())),
        (&["asinh"], |x| Some(x.asinh())),
        (&["acosh"], |x| (x >= 1.0).then(|| x.acosh())),
        (&["atanh"], |x| (x.abs() < 1.0).then(|| x.atanh())),
        (&["cot"], |x| Some(1.0 / x.tan())),
        (&["sec"], |x| Some(1.0 / x.cos())),
        (&["csc", "cosec"], |x| Some(1.0 / x.sin())),
        (&["degrees"], |x| Some(x.to_degrees())),
        (&["radians"], |x| Some(x.to_radians())),
    ];
    for (names, function) in all {
        define(connection, names, 1, move |ctx| function(real(ctx, 0)?))?;
    }
    define(connection, &["atan2"], 2, |ctx| {
        Some(real(ctx, 0)?.atan2(real(ctx, 1)?))
    })?;
    define(connection, &["atan"], 2, |ctx| {
        Some(real(ctx, 0)?.atan2(real(ctx, 1)?))
    })?;
    define(connection, &["pow", "power", "dpow", "fpow"], 2, |ctx| {
        Some(real(ctx, 0)?.powf(real(ctx, 1)?))
    })?;
    define(connection, &["log"], 2, |ctx| {
        let (base, x) = (real(ctx, 0)?, real(ctx, 1)?);
        (base > 0.0 && x > 0.0 && (base - 1.0).abs() > 1e-9).then(|| x.ln() / base.ln())
    })?;
    define(connection, &["log"], 1, |ctx| {
        real(ctx, 0).filter(|x| *x > 0.0).map(f64::ln)
    })?;
    define(connection, &["pi"], 0, |_| std::f64::consts::PI)?;
    define(connection, &["signbit"], 1, |ctx| {
        real(ctx, 0).map(f64::is_sign_negative)
    })?;
    define(connection, &["isnan"], 1, |ctx| {
        real(ctx, 0).map(f64::is_nan)
    })?;
    define(connection, &["isinf"], 1, |ctx| {
        real(ctx, 0).map(f64::is_infinite)
    })?;
    define(connection, &["even"], 1, |ctx| {
        let x = real(ctx, 0)?;
        let away = x.abs().ceil();
        let away = if away % 2.0 == 0.0 { away } else { away + 1.0 };
        Some(if x < 0.0 { -away } else { away })
    })
}

/// Rounds the text of a decimal, or a real number, to `places` digits.
fn rounded(ctx: &Context<'_>, how: fn(f64) -> f64) -> Value {
    let places = match ctx.len() {
        1 => 0,
        _ => match integer(ctx, 1) {
            Some(places) => i32::try_from(places.clamp(-30, 30)).unwrap_or(0),
            None => return Value::Null,
        },
    };
    match ctx.get_raw(0) {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) if places >= 0 => Value::Integer(value),
        _ => {
            let Some(value) = real(ctx, 0) else {
                return Value::Null;
            };
            let scale = 10_f64.powi(places.abs());
            // The nearest text of a decimal, not of its binary neighbour.
            let near = |x: f64| {
                let rounded = x.round();
                if (x - rounded).abs() < 1e-9 * x.abs().max(1.0) {
                    rounded
                } else {
                    x
                }
            };
            Value::Real(if places >= 0 {
                how(near(value * scale)) / scale
            } else {
                how(near(value / scale)) * scale
            })
        }
    }
}

fn rounding(connection: &Connection) -> Result<()> {
    for arguments in [1, 2] {
        define(connection, &["floor", "dfloor"], arguments, |ctx| {
            rounded(ctx, f64::floor)
        })?;
        define(
            connection,
            &["ceil", "ceiling", "dceil"],
            arguments,
            |ctx| rounded(ctx, f64::ceil),
        )?;
        define(connection, &["dround"], arguments, |ctx| {
            rounded(ctx, f64::round)
        })?;
        define(connection, &["round_bankers"], arguments, |ctx| {
            rounded(ctx, f64::round_ties_even)
        })?;
        define(connection, &["round"], arguments, |ctx| {
            rounded(ctx, f64::round)
        })?;
    }
    Ok(())
}

fn whole(connection: &Connection) -> Result<()> {
    fn gcd(a: i128, b: i128) -> i128 {
        if b == 0 { a.abs() } else { gcd(b, a % b) }
    }
    let number = |ctx: &Context<'_>, at| -> Option<i128> { text(ctx, at)?.trim().parse().ok() };
    let shown = |value: i128| {
        i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer)
    };
    define(connection, &["gcd"], 2, move |ctx| {
        Some(shown(gcd(number(ctx, 0)?, number(ctx, 1)?)))
    })?;
    define(connection, &["lcm"], 2, move |ctx| {
        let (a, b) = (number(ctx, 0)?, number(ctx, 1)?);
        let common = gcd(a, b);
        if common == 0 {
            return Some(Value::Integer(0));
        }
        (a / common).checked_mul(b).map(|lcm| shown(lcm.abs()))
    })?;
    define(connection, &["factorial"], 1, |ctx| {
        let n = integer(ctx, 0).filter(|n| (0..=20).contains(n))?;
        Some((1..=n).product::<i64>())
    })?;
    define(connection, &["bit_length"], 1, |ctx| {
        text(ctx, 0).map(|text| super::functions::size(text.len() * 8))
    })?;
    define(connection, &["bit_test", "bit_test_all"], ANY, |ctx| {
        let value = integer(ctx, 0)?;
        let mut all = true;
        for at in 1..ctx.len() {
            let bit = integer(ctx, at)?;
            all &= (0..64).contains(&bit) && value >> bit & 1 == 1;
        }
        Some(i64::from(all))
    })
}

fn statistics(connection: &Connection) -> Result<()> {
    define(connection, &["width_bucket"], 4, |ctx| {
        let number = |at| -> Option<f64> {
            let text = text(ctx, at)?;
            text.trim().parse().ok().or_else(|| {
                let moment = super::dates::Moment::parse(&text)?;
                #[allow(clippy::cast_precision_loss)] // days and microseconds fit
                Some(moment.days as f64 * 86_400e6 + moment.micros as f64)
            })
        };
        let (value, low, high, count) = (number(0)?, number(1)?, number(2)?, integer(ctx, 3)?);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // buckets are few
        Some(if value < low {
            0
        } else if value >= high {
            count + 1
        } else {
            ((value - low) / ((high - low) / count as f64)) as i64 + 1
        })
    })?;
    define(connection, &["normal_cdf"], 3, |ctx| {
        let (mean, deviation, value) = (real(ctx, 0)?, real(ctx, 1)?, real(ctx, 2)?);
        (deviation > 0.0)
            .then(|| 0.5 * (1.0 + error_function((value - mean) / (deviation * 2_f64.sqrt()))))
    })
}

/// The error function: its series near zero, its continued fraction further out.
fn error_function(x: f64) -> f64 {
    if x.abs() > 3.0 {
        let mut fraction = 0.0;
        for step in (1..60).rev() {
            fraction = f64::from(step) / 2.0 / (x.abs() + fraction);
        }
        let tail = (-x * x).exp() / std::f64::consts::PI.sqrt() / (x.abs() + fraction);
        return x.signum() * (1.0 - tail);
    }
    let (mut term, mut sum) = (x, x);
    for step in 1..80 {
        let step = f64::from(step);
        term *= -x * x / step;
        sum += term / (2.0 * step + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[cfg(test)]
mod tests {
    use super::error_function;

    #[test]
    fn the_error_function_is_exact_on_both_sides_of_its_seam() {
        assert!((error_function(1.0) - 0.842_700_792_949_714_9).abs() < 1e-13);
        assert!((error_function(3.5) - 0.999_999_256_901_627_7).abs() < 1e-13);
        assert!((error_function(-0.5) + 0.520_499_877_813_046_5).abs() < 1e-13);
    }
}
