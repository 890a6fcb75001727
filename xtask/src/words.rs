//! Words that an operator cannot search for, with the word of docs/glossary.md to use instead.

/// Folders and files that are checked. Add one as soon as its texts are plain.
const CHECKED: &[&str] = &[
    "cli/",
    "doris/",
    "log/",
    "ops/",
    "producer/",
    "schemas/src/",
    "schemas/tests/",
    "xtask/",
];

/// Left out: it lists the words.
const THIS_FILE: &str = "xtask/src/words.rs";

/// Kinds of files that hold texts of ours.
const EXTENSIONS: &[&str] = &["rs", "md", "avsc", "toml", "sh", "py", "yml"];

/// Words of other programs, which are quoted as they are.
const QUOTED: &[&str] = &["is in restore process. Can not load into it"];

/// A banned text.
struct Banned {
    /// One word or two, in small letters. A `*` at the end covers every ending.
    words: &'static str,
    /// What to write.
    instead: &'static str,
}

const BANNED: &[Banned] = &[
    banned("can not", "`cannot`"),
    banned("for ever", "`without limit`, or until what"),
    banned("renew*", "`re-sync`, `recreate` or `replace`"),
    banned("anew", "`again`; for a table `re-sync`"),
    banned("aside", "`staging`, `into a staging table`"),
    banned("told", "`reported`, `notified` or `asked`"),
    banned("stand", HALT),
    banned("stands", HALT),
    banned("standing", HALT),
    banned("stood", HALT),
    banned("life", LIFE),
    banned("lives", LIFE),
];

const HALT: &str = "`is`, `is halted`, or `state` and `position`";
const LIFE: &str = "`run`, `incarnation` or `lifetime`";

const fn banned(words: &'static str, instead: &'static str) -> Banned {
    Banned { words, instead }
}

/// Returns a finding for each banned word of a checked file: comments, strings and names alike.
pub fn of_file(path: &str, text: &str) -> Vec<String> {
    let checked = CHECKED.iter().any(|folder| path.starts_with(folder));
    let ours = path
        .rsplit_once('.')
        .is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
    if !checked || !ours || path == THIS_FILE || path.contains("/generated/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (word, instead) in of_line(line) {
            findings.push(format!("{path}:{}: `{word}`, use {instead}", index + 1));
        }
    }
    findings
}

fn of_line(line: &str) -> Vec<(&'static str, &'static str)> {
    let mut line = line.to_owned();
    for quote in QUOTED {
        line = line.replace(quote, ".");
    }
    let words = words(&line);
    let mut found = Vec::new();
    for ban in BANNED {
        let wanted: Vec<&str> = ban.words.split(' ').collect();
        let hit = words
            .windows(wanted.len())
            .any(|run| run.iter().zip(&wanted).all(|(word, ban)| fits(word, ban)));
        if hit {
            found.push((ban.words, ban.instead));
        }
    }
    if words.iter().any(|word| word == "MOST") {
        found.push(("MOST", "`MAX_` in the name of a limit"));
    }
    found
}

fn fits(word: &str, ban: &str) -> bool {
    let word = word.to_lowercase();
    match ban.strip_suffix('*') {
        Some(begin) => word.starts_with(begin),
        None => word == ban,
    }
}

/// Splits text and names (`snake_case`, `CamelCase`) into words. A sign other than space and `_` between two words becomes a word of
/// its own, so that no pair reaches over it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small_before = false;
    for letter in line.chars() {
        let camel = letter.is_uppercase() && small_before;
        if !letter.is_alphabetic() || camel {
            words.push(String::new());
        }
        if !matches!(letter, ' ' | '_')
            && let Some(last) = words.last_mut()
        {
            last.push(letter);
        }
        if !letter.is_alphabetic() {
            words.push(String::new());
        }
        small_before = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<&'static str> {
        of_line(line).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn comments_strings_and_names_are_checked() {
        assert_eq!(found("// A table that stands."), ["stands"]);
        assert_eq!(found("\"file can not be read\""), ["can not"]);
        assert_eq!(found("Error::CanNotOpen => {}"), ["can not"]);
        assert_eq!(found("fn can_not_open() {}"), ["can not"]);
        assert_eq!(found("struct TableRenewal;"), ["renew*"]);
        assert_eq!(
            found("let told = renewed(aside);"),
            ["renew*", "aside", "told"]
        );
        assert_eq!(found("const MOST_BYTES: u64 = 1;"), ["MOST"]);
    }

    #[test]
    fn longer_words_and_other_pairs_are_no_finding() {
        for line in [
            "standalone understands the standard of a standby",
            "base64::STANDARD",
            "the lifetime of a lifecycle, alive, delivers",
            "at most 3, Most bytes",
            "as it can. Not now",
            "what it is for, ever since",
            "state: cannot",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn texts_of_other_programs_are_quoted_as_they_are() {
        let doris = "Table t is in restore process. Can not load into it";
        assert_eq!(found(doris), [""; 0]);
        assert_eq!(found(&format!("{doris} or can not")), ["can not"]);
    }

    #[test]
    fn a_finding_names_the_place_and_the_word_to_use() {
        let text = "// fine\n// it can not\n";
        assert_eq!(
            of_file("log/src/error.rs", text),
            ["log/src/error.rs:2: `can not`, use `cannot`"]
        );
        for path in [
            "elsewhere/a.rs",
            "log/a.png",
            "log/src/generated/a.rs",
            THIS_FILE,
        ] {
            assert_eq!(of_file(path, text), [""; 0], "{path}");
        }
    }
}
