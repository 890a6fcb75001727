//! `LIKE`, as Doris means it: case matters, `\` escapes.

/// True when the whole of `text` matches `pattern`.
#[must_use]
pub fn matches(pattern: &str, text: &str, escape: char) -> bool {
    let pattern: Vec<Step> = steps(pattern, escape);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut step) = (0, 0);
    // Where to go on when a later literal does not fit: behind the last `%`, one character further.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(step) {
            Some(Step::Many) => {
                retry = Some((at, step));
                step += 1;
            }
            Some(Step::One) => {
                at += 1;
                step += 1;
            }
            Some(Step::Exactly(c)) if *c == text[at] => {
                at += 1;
                step += 1;
            }
            Some(Step::Exactly(_)) | None => match &mut retry {
                Some((from, many)) => {
                    *from += 1;
                    at = *from;
                    step = *many + 1;
                }
                None => return false,
            },
        }
    }
    pattern[step..].iter().all(|step| *step == Step::Many)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Many,
    One,
    Exactly(char),
}

fn steps(pattern: &str, escape: char) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        steps.push(match c {
            '%' => Step::Many,
            '_' => Step::One,
            _ if c == escape => Step::Exactly(chars.next().unwrap_or(escape)),
            _ => Step::Exactly(c),
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_and_escapes() {
        for (pattern, text, wanted) in [
            ("a%", "abc", true),
            ("A%", "abc", false),
            ("%b_", "abc", true),
            ("a\\_c", "abc", false),
            ("a\\_c", "a_c", true),
            ("%%x%", "aaxb", true),
            ("", "", true),
            ("%", "", true),
            ("_", "", false),
            ("%ab%ab", "abxab", true),
            ("%ab%ab", "abxa", false),
        ] {
            assert_eq!(
                matches(pattern, text, '\\'),
                wanted,
                "{text} LIKE {pattern}"
            );
        }
    }
}
