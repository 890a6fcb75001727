//! A value over time in one line of text.

/// Heights of a column, lowest first.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns the samples as `width` columns at most: each shows the largest sample of its span, relative to `top`. A span in
/// which the value is unknown is `·`.
pub fn columns(samples: &[Option<i64>], width: usize, top: i64) -> String {
    let width = width.min(samples.len());
    (0..width)
        .map(|column| {
            let span =
                &samples[column * samples.len() / width..(column + 1) * samples.len() / width];
            span.iter().flatten().max().map_or('·', |value| {
                let steps = BLOCKS.len() as i64 - 1;
                // A top of zero leaves every column at its lowest.
                let step = value.saturating_mul(steps).checked_div(top).unwrap_or(0);
                BLOCKS[usize::try_from(step.clamp(0, steps)).unwrap_or_default()]
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_show_the_largest_sample_of_their_span() {
        assert_eq!(
            columns(&[Some(0), Some(70), Some(35), Some(0)], 2, 70),
            "█▄"
        );
        assert_eq!(columns(&[None, None, Some(10), None], 2, 10), "·█");
        assert_eq!(columns(&[Some(0), Some(0)], 80, 0), "▁▁");
        assert_eq!(columns(&[], 80, 10), "");
    }
}
