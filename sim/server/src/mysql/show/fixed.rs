//! Forms whose answer is the same in every cluster: drivers and tools send them.

use dorisim_query::{ColumnKind, ResultSet};

const ENGINES: [(&str, &str); 7] = [
    ("Olap engine", "Default storage engine of Doris"),
    ("MySQL", "MySQL server which data is in it"),
    ("ELASTICSEARCH", "ELASTICSEARCH cluster which data is in it"),
    ("HIVE", "HIVE database which data is in it"),
    ("ICEBERG", "ICEBERG data lake which data is in it"),
    ("ODBC", "ODBC driver which data we can connect"),
    ("HUDI", "HUDI data lake which data is in it"),
];

/// The answer to a form, by the words behind SHOW in upper case.
pub(super) fn other(text: &str) -> Option<ResultSet> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let owned = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
    Some(match words.as_slice() {
        ["ENGINES"] | ["STORAGE", "ENGINES"] => {
            let mut answer = ResultSet::of_text(&[
                "Engine",
                "Support",
                "Comment",
                "Transactions",
                "XA",
                "Savepoints",
            ]);
            for (name, comment) in ENGINES {
                answer.push(owned(&[name, "YES", comment, "NO", "NO", "NO"]));
            }
            answer
        }
        ["COLLATION", ..] => {
            let mut answer = ResultSet::of_text(&[
                "Collation",
                "Charset",
                "Id",
                "Default",
                "Compiled",
                "Sortlen",
            ]);
            answer.push(owned(&[
                "utf8mb4_0900_bin",
                "utf8mb4",
                "309",
                "Yes",
                "Yes",
                "1",
            ]));
            answer.push(owned(&[
                "utf8mb3_general_ci",
                "utf8mb3",
                "33",
                "Yes",
                "Yes",
                "1",
            ]));
            answer
        }
        ["CHARSET" | "CHARACTER", ..] => {
            let mut answer =
                ResultSet::of_text(&["Charset", "Description", "Default collation", "Maxlen"]);
            answer.push(owned(&[
                "utf8mb4",
                "UTF-8 Unicode",
                "utf8mb4_0900_bin",
                "4",
            ]));
            answer
        }
        ["CATALOGS", ..] => {
            let mut answer = ResultSet::of_strings(&[
                "CatalogId",
                "CatalogName",
                "Type",
                "IsCurrent",
                "CreateTime",
                "LastUpdateTime",
                "Comment",
                "ErrorMsg",
            ]);
            answer.columns[0].kind = ColumnKind::Integer;
            answer.columns[1].kind = ColumnKind::Text;
            let cell = |text: &str| Some(text.to_owned());
            answer.rows.push(vec![
                cell("0"),
                cell("internal"),
                cell("internal"),
                cell("Yes"),
                None,
                None,
                cell("Doris internal catalog"),
                cell(""),
            ]);
            answer
        }
        ["CREATE", "CATALOG", "INTERNAL" | "`INTERNAL`"] => {
            let mut answer = ResultSet::of_text(&["Catalog", "CreateCatalog"]);
            answer.push(owned(&[
                "internal",
                "\nCREATE CATALOG `internal`\nCOMMENT \"Doris internal catalog\"\n",
            ]));
            answer
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::other;

    #[test]
    fn answers_that_drivers_read() {
        let rows = |text: &str| other(text).map(|answer| answer.rows.len());
        assert_eq!(rows("ENGINES"), Some(7));
        assert_eq!(rows("STORAGE ENGINES"), Some(7));
        assert_eq!(rows("COLLATION"), Some(2));
        assert_eq!(
            rows("CREATE CATALOG internal".to_uppercase().as_str()),
            Some(1)
        );
        assert_eq!(rows("STORAGE POLICY"), None);
        let catalogs = other("CATALOGS").unwrap();
        assert_eq!(catalogs.columns.last().unwrap().name, "ErrorMsg");
        assert_eq!(catalogs.rows[0][4], None);
    }
}
