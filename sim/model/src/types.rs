//! Column types: their Doris spellings and the class names of the FE's JSON.

use std::fmt;

/// A column type of Doris.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// BOOLEAN; values are `0` and `1`.
    Boolean,
    /// 8-bit integer.
    TinyInt,
    /// 16-bit integer.
    SmallInt,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    BigInt,
    /// 128-bit integer.
    LargeInt,
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
    /// Fixed point with precision and scale.
    Decimal(u8, u8),
    /// DATE (DATEV2 in range texts).
    Date,
    /// DATETIME with 0..=6 fractional digits (DATETIMEV2 in range texts).
    DateTime(u8),
    /// CHAR with a length in bytes.
    Char(u32),
    /// VARCHAR with a length in bytes; 65533 stands for `varchar(*)`.
    Varchar(u32),
    /// STRING (also TEXT).
    String,
    /// JSON.
    Json,
    /// VARIANT; kept as text.
    Variant,
    /// ARRAY; kept as text.
    Array(Box<DataType>),
    /// MAP; kept as text.
    Map(Box<DataType>, Box<DataType>),
    /// STRUCT of named fields; kept as text.
    Struct(Vec<(String, DataType)>),
    /// BITMAP; kept as text.
    Bitmap,
    /// HLL; kept as text.
    Hll,
    /// QUANTILE_STATE; kept as text.
    QuantileState,
    /// IPV4; kept as text.
    Ipv4,
    /// IPV6; kept as text.
    Ipv6,
    /// `AGG_STATE<function(types)>`; function and types as text, lower case. States are kept as text.
    AggState(String),
}

/// The longest VARCHAR, written `varchar(*)` by newer statements.
pub const MAX_VARCHAR: u32 = 65_533;

/// The longest CHAR.
pub const MAX_CHAR: u32 = 255;

/// Digits of the widest DECIMAL.
const MAX_PRECISION: u8 = 76;

impl DataType {
    /// Parses a type as written in DDL, e.g. `decimal(18, 2)`, `array<int>`, `varchar(*)`.
    ///
    /// # Errors
    /// A text naming the type that is not known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (head, args) = split_args(text)?;
        let int = |i: usize, default: u32| -> Result<u32, String> {
            match args.get(i).map(|a| a.trim()) {
                None | Some("") => Ok(default),
                Some("*") => Ok(MAX_VARCHAR),
                Some(n) => n
                    .parse()
                    .map_err(|_| format!("Unknown type parameter '{n}' in {text}")),
            }
        };
        let small = |i: usize, default: u32| -> Result<u8, String> {
            u8::try_from(int(i, default)?)
                .map_err(|_| format!("Type parameter too large in {text}"))
        };
        Ok(match head.to_ascii_uppercase().as_str() {
            "BOOLEAN" | "BOOL" => Self::Boolean,
            "TINYINT" if args.len() == 1 && args[0].trim() == "1" => Self::TinyInt,
            "TINYINT" => Self::TinyInt,
            "SMALLINT" => Self::SmallInt,
            "INT" | "INTEGER" => Self::Int,
            "BIGINT" => Self::BigInt,
            "LARGEINT" => Self::LargeInt,
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "DECIMAL" | "DECIMALV3" | "DECIMALV2" | "NUMERIC" => Self::Decimal(
                small(0, 38)?,
                small(1, if args.is_empty() { 9 } else { 0 })?,
            )
            .checked()?,
            "DATE" | "DATEV2" | "DATEV1" => Self::Date,
            "DATETIME" | "DATETIMEV2" | "DATETIMEV1" | "TIMESTAMP" => {
                Self::DateTime(small(0, 0)?.min(6))
            }
            "CHAR" | "CHARACTER" => Self::Char(match args.first().map(|a| a.trim()) {
                Some("*") => MAX_CHAR,
                _ => int(0, 1)?,
            }),
            "VARCHAR" => Self::Varchar(int(0, MAX_VARCHAR)?),
            "STRING" | "TEXT" => Self::String,
            "JSON" | "JSONB" => Self::Json,
            "VARIANT" => Self::Variant,
            "ARRAY" => Self::Array(Box::new(Self::parse(
                args.first().ok_or("ARRAY needs an element type")?,
            )?)),
            "MAP" => match args.as_slice() {
                [key, value] => {
                    Self::Map(Box::new(Self::parse(key)?), Box::new(Self::parse(value)?))
                }
                _ => return Err("MAP needs a key and a value type".to_owned()),
            },
            "STRUCT" => Self::Struct(
                args.iter()
                    .map(|field| parse_field(field))
                    .collect::<Result<_, _>>()?,
            ),
            "BITMAP" => Self::Bitmap,
            "HLL" => Self::Hll,
            "QUANTILE_STATE" => Self::QuantileState,
            "IPV4" => Self::Ipv4,
            "IPV6" => Self::Ipv6,
            "AGG_STATE" => Self::AggState(agg_state(&args.join(","))),
            _ => return Err(format!("Unknown type: {text}")),
        })
    }

    /// Refuses decimals of impossible precision or scale.
    fn checked(self) -> Result<Self, String> {
        match self {
            Self::Decimal(precision, _) if !(1..=MAX_PRECISION).contains(&precision) => Err(
                format!("DECIMAL's precision should be in range [1, {MAX_PRECISION}]"),
            ),
            Self::Decimal(precision, scale) if scale > precision => Err(format!(
                "DECIMAL scale should be less than or equal to precision, but was scale: {scale}, precision: {precision}"
            )),
            fine => Ok(fine),
        }
    }

    /// The name of the primitive type as range texts and the FE's JSON show it.
    #[must_use]
    pub fn primitive_name(&self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Int => "INT",
            Self::BigInt => "BIGINT",
            Self::LargeInt => "LARGEINT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal(p, _) if *p <= 9 => "DECIMAL32",
            Self::Decimal(p, _) if *p <= 18 => "DECIMAL64",
            Self::Decimal(p, _) if *p <= 38 => "DECIMAL128",
            Self::Decimal(..) => "DECIMAL256",
            Self::Date => "DATEV2",
            Self::DateTime(_) => "DATETIMEV2",
            Self::Char(_) => "CHAR",
            Self::Varchar(_) => "VARCHAR",
            Self::String => "STRING",
            Self::Json => "JSON",
            Self::Variant => "VARIANT",
            Self::Array(_) => "ARRAY",
            Self::Map(..) => "MAP",
            Self::Struct(_) => "STRUCT",
            Self::Bitmap => "BITMAP",
            Self::Hll => "HLL",
            Self::QuantileState => "QUANTILE_STATE",
            Self::Ipv4 => "IPV4",
            Self::Ipv6 => "IPV6",
            Self::AggState(_) => "AGG_STATE",
        }
    }

    /// The name with the version of the implementation, as SHOW COLUMNS and `InternalType` of DESC ALL show it.
    #[must_use]
    pub fn internal_name(&self) -> String {
        match self {
            Self::Decimal(precision, scale) => format!("decimalv3({precision},{scale})"),
            Self::Date => "datev2".to_owned(),
            Self::DateTime(scale) => format!("datetimev2({scale})"),
            Self::Array(item) => format!("array<{}>", item.internal_name()),
            Self::Map(key, value) => {
                format!("map<{},{}>", key.internal_name(), value.internal_name())
            }
            Self::Struct(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, ty)| format!("{name}:{}", ty.internal_name()))
                    .collect();
                format!("struct<{}>", fields.join(","))
            }
            other => other.to_string(),
        }
    }

    /// True for the integer types.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt | Self::LargeInt
        )
    }

    /// True for integers, floats and decimals.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || matches!(self, Self::Float | Self::Double | Self::Decimal(..))
    }
}

/// The spelling of column clauses in the `rawSql` of records, e.g. `DECIMALV3(18, 2)`.
#[derive(Debug, Clone, Copy)]
pub struct ClauseSpelling<'a>(pub &'a DataType);

impl fmt::Display for ClauseSpelling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DataType::Decimal(precision, scale) => write!(f, "DECIMALV3({precision}, {scale})"),
            DataType::Date => f.write_str("DATEV2"),
            DataType::DateTime(digits) => write!(f, "DATETIMEV2({digits})"),
            DataType::Variant => f.write_str("variant"),
            DataType::Array(item) => write!(f, "ARRAY<{}>", Self(item)),
            DataType::Map(key, value) => write!(f, "MAP<{},{}>", Self(key), Self(value)),
            DataType::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (at, (name, ty)) in fields.iter().enumerate() {
                    write!(f, "{}{name}:{}", if at == 0 { "" } else { "," }, Self(ty))?;
                }
                f.write_str(">")
            }
            plain => f.write_str(&plain.to_string().to_uppercase()),
        }
    }
}

/// The lower-case spelling of SHOW CREATE TABLE and DESC, e.g. `decimal(18,2)`.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::LargeInt => f.write_str("largeint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal(p, s) => write!(f, "decimal({p},{s})"),
            Self::Date => f.write_str("date"),
            Self::DateTime(0) => f.write_str("datetime"),
            Self::DateTime(scale) => write!(f, "datetime({scale})"),
            // The longest CHAR goes under its long name.
            Self::Char(MAX_CHAR) => write!(f, "character({MAX_CHAR})"),
            Self::Char(n) => write!(f, "char({n})"),
            Self::Varchar(n) => write!(f, "varchar({n})"),
            Self::String => f.write_str("text"),
            Self::Json => f.write_str("json"),
            Self::Variant => f.write_str("variant"),
            Self::Array(item) => write!(f, "array<{item}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    write!(f, "{}{name}:{ty}", if i == 0 { "" } else { "," })?;
                }
                f.write_str(">")
            }
            Self::Bitmap => f.write_str("bitmap"),
            Self::Hll => f.write_str("hll"),
            Self::QuantileState => f.write_str("quantile_state"),
            Self::Ipv4 => f.write_str("ipv4"),
            Self::Ipv6 => f.write_str("ipv6"),
            Self::AggState(function) => write!(f, "agg_state<{function}>"),
        }
    }
}

impl serde::Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// `name(a, b)` or `name<a, b>` into name and top-level arguments.
fn split_args(text: &str) -> Result<(&str, Vec<&str>), String> {
    let Some(open) = text.find(['(', '<']) else {
        return Ok((text, Vec::new()));
    };
    let inner = text[open + 1..]
        .strip_suffix([')', '>'])
        .ok_or_else(|| format!("Unknown type: {text}"))?;
    let mut args = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (i, c) in inner.char_indices() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                args.push(&inner[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    args.push(&inner[start..]);
    Ok((text[..open].trim(), args))
}

/// `MAX_BY(INT NOT NULL, int)` → `max_by(int not null, int null)`.
fn agg_state(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let Some((name, rest)) = text.split_once('(') else {
        return text;
    };
    let inner = rest.strip_suffix(')').unwrap_or(rest);
    let wrapped = format!("x<{inner}>");
    let arguments = split_args(&wrapped).map_or_else(|_| vec![inner], |(_, args)| args);
    let arguments: Vec<String> = arguments
        .iter()
        .map(|a| a.trim())
        .filter(|a| !a.is_empty())
        .map(|a| {
            let (base, null) = match (a.strip_suffix(" not null"), a.strip_suffix(" null")) {
                (Some(base), _) => (base, "not null"),
                (None, Some(base)) => (base, "null"),
                (None, None) => (a, "null"),
            };
            let base = DataType::parse(base).map_or_else(|_| base.to_owned(), |ty| ty.to_string());
            format!("{base} {null}")
        })
        .collect();
    format!("{}({})", name.trim(), arguments.join(", "))
}

fn parse_field(field: &str) -> Result<(String, DataType), String> {
    let field = field.trim();
    let at = field
        .find([':', ' '])
        .ok_or_else(|| format!("Unknown struct field: {field}"))?;
    Ok((
        field[..at].trim().trim_matches('`').to_owned(),
        DataType::parse(field[at + 1..].trim().trim_start_matches(':'))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip() {
        for text in [
            "int",
            "largeint",
            "decimal(18,2)",
            "datetime(6)",
            "datetime",
            "varchar(64)",
            "text",
            "array<decimal(9,2)>",
            "map<varchar(10),array<int>>",
            "struct<a:int,b:text>",
            "decimal(76,20)",
            "agg_state<max_by(int not null, varchar(20) null)>",
            "agg_state<group_concat(text null)>",
        ] {
            assert_eq!(DataType::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            DataType::parse("varchar(*)").unwrap(),
            DataType::Varchar(MAX_VARCHAR)
        );
        assert_eq!(
            DataType::parse("DECIMAL(27, 9)").unwrap(),
            DataType::Decimal(27, 9)
        );
        assert_eq!(
            DataType::parse("AGG_STATE<MAX_BY(INT NOT NULL, DECIMAL(9, 2))>")
                .unwrap()
                .to_string(),
            "agg_state<max_by(int not null, decimal(9,2) null)>"
        );
        assert!(DataType::parse("frob").is_err());
        assert!(DataType::parse("decimal(77,2)").is_err());
        assert!(DataType::parse("decimal(9,10)").is_err());
    }
}
