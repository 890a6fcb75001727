//! Types and columns.

use serde_json::{Value, json};

use dorisim_model::{Aggregation, Column, DataType, DefaultValue};

/// `len` of STRING.
const STRING_LENGTH: i64 = 2_147_483_643;
/// `len` of HLL.
const HLL_LENGTH: i64 = 16_385;

/// A scalar type by its name.
pub fn scalar(name: &str, length: i64, precision: u8, scale: u8) -> Value {
    json!({"clazz": "ScalarType", "type": name, "len": length, "precision": precision, "scale": scale})
}

/// A type.
pub fn type_json(ty: &DataType) -> Value {
    let name = ty.primitive_name();
    match ty {
        DataType::Array(item) => {
            json!({"clazz": "ArrayType", "itemType": type_json(item), "containsNull": true})
        }
        DataType::Map(key, value) => json!({
            "clazz": "MapType", "keyType": type_json(key), "isKeyContainsNull": true,
            "valueType": type_json(value), "isValueContainsNull": true,
        }),
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields
                .iter()
                .enumerate()
                .map(|(at, (name, ty))| {
                    json!({"name": name, "type": type_json(ty), "comment": "", "position": at, "containsNull": true})
                })
                .collect();
            let map: serde_json::Map<String, Value> = fields
                .iter()
                .map(|f| (f["name"].as_str().unwrap_or_default().to_owned(), f.clone()))
                .collect();
            json!({"clazz": "StructType", "fieldMap": map, "fields": fields})
        }
        DataType::AggState(function) => {
            let (name, arguments) = state_arguments(function);
            json!({
                "clazz": "AggStateType", "functionName": name, "resultIsNullable": true,
                "subTypes": arguments.iter().map(|(ty, _)| type_json(ty)).collect::<Vec<_>>(),
                "subTypeNullables": arguments.iter().map(|(_, null)| *null).collect::<Vec<_>>(),
            })
        }
        DataType::Variant => json!({
            "clazz": "VariantType", "fieldMap": {}, "fields": [], "variantMaxSubcolumnsCount": 0,
            "enableTypedPathsToSparse": false, "variantMaxSparseColumnStatisticsSize": 10_000,
            "variantSparseHashShardCount": 0, "type": "VARIANT", "len": -1, "precision": 0, "scale": 0,
        }),
        DataType::Json => scalar("JSONB", -1, 0, 0),
        DataType::String => scalar(name, STRING_LENGTH, 0, 0),
        DataType::Hll => scalar(name, HLL_LENGTH, 0, 0),
        DataType::Decimal(precision, scale) => scalar(name, -1, *precision, *scale),
        DataType::DateTime(scale) => scalar(name, -1, 18, *scale),
        DataType::Char(length) | DataType::Varchar(length) => {
            scalar(name, i64::from(*length), 0, 0)
        }
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Float
        | DataType::Double
        | DataType::Date
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Ipv4
        | DataType::Ipv6 => scalar(name, -1, 0, 0),
    }
}

/// Name and arguments of `max_by(int not null, text null)`.
fn state_arguments(function: &str) -> (&str, Vec<(DataType, bool)>) {
    let Some((name, rest)) = function.split_once('(') else {
        return (function, Vec::new());
    };
    let inner = rest.strip_suffix(')').unwrap_or(rest);
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let arguments = parts
        .into_iter()
        .filter_map(|part| {
            let part = part.trim();
            let (text, null) = match part.strip_suffix(" not null") {
                Some(text) => (text, false),
                None => (part.strip_suffix(" null").unwrap_or(part), true),
            };
            Some((DataType::parse(text).ok()?, null))
        })
        .collect();
    (name, arguments)
}

/// A type that was read. Errors name what is not known.
pub fn read_type(json: &Value) -> Result<DataType, String> {
    let class = json["clazz"].as_str().unwrap_or("ScalarType");
    let number = |name: &str| json[name].as_i64().unwrap_or(0);
    let small = |name: &str| u8::try_from(number(name)).unwrap_or(0);
    let length = || u32::try_from(number("len")).unwrap_or(1);
    Ok(match class {
        "ArrayType" => DataType::Array(Box::new(read_type(&json["itemType"])?)),
        "MapType" => DataType::Map(
            Box::new(read_type(&json["keyType"])?),
            Box::new(read_type(&json["valueType"])?),
        ),
        "StructType" => {
            let fields = list(&json["fields"])
                .map(|field| Ok((text(&field["name"]), read_type(&field["type"])?)));
            DataType::Struct(fields.collect::<Result<_, String>>()?)
        }
        "AggStateType" => {
            let nullable = list(&json["subTypeNullables"]).map(|v| v.as_bool().unwrap_or(true));
            let arguments = list(&json["subTypes"]).zip(nullable).map(|(ty, null)| {
                Ok(format!(
                    "{} {}",
                    read_type(ty)?,
                    if null { "null" } else { "not null" }
                ))
            });
            let arguments = arguments.collect::<Result<Vec<_>, String>>()?.join(", ");
            DataType::AggState(format!("{}({arguments})", text(&json["functionName"])))
        }
        "VariantType" => DataType::Variant,
        _ => match json["type"].as_str().unwrap_or_default() {
            "DECIMALV2" | "DECIMAL32" | "DECIMAL64" | "DECIMAL128" | "DECIMAL256" => {
                DataType::Decimal(small("precision"), small("scale"))
            }
            "DATETIME" | "DATETIMEV2" => DataType::DateTime(small("scale")),
            "CHAR" => DataType::Char(length()),
            "VARCHAR" => DataType::Varchar(length()),
            other => DataType::parse(other)?,
        },
    })
}

/// A column. `implicit`: its aggregation follows from the key model of a duplicate table.
pub fn column_json(column: &Column, implicit: bool) -> Value {
    let mut json = json!({
        "name": column.name,
        "type": type_json(&column.data_type),
        "isAggregationTypeImplicit": implicit && !column.is_key,
        "isKey": column.is_key,
        "isAllowNull": column.nullable,
        "isAutoInc": column.auto_inc.is_some(),
        "autoIncInitValue": column.auto_inc.unwrap_or(-1),
        "visible": column.visible,
        "uniqueId": column.unique_id,
        "clusterKeyId": -1,
        "hasOnUpdateDefaultValue": column.on_update.is_some(),
    });
    if !column.is_key {
        json["aggregationType"] = column
            .aggregation
            .map_or("NONE", Aggregation::as_str)
            .into();
    }
    if !column.comment.is_empty() {
        json["comment"] = column.comment.as_str().into();
    }
    let children = children(&column.data_type);
    if !children.is_empty() {
        json["children"] = children.into();
    }
    let default = match &column.default {
        None | Some(DefaultValue::Constant(None)) => None,
        Some(DefaultValue::Constant(Some(text))) => Some((text.clone(), None)),
        Some(DefaultValue::CurrentTimestamp(0)) => {
            Some(("CURRENT_TIMESTAMP".to_owned(), Some(now(0))))
        }
        Some(DefaultValue::CurrentTimestamp(n)) => {
            Some((format!("CURRENT_TIMESTAMP({n})"), Some(now(*n))))
        }
        Some(DefaultValue::Function(name)) => {
            let value = match name.as_str() {
                "BITMAP_EMPTY" | "HLL_EMPTY" => "\0",
                "PI" => "3.141592653589793",
                "E" => "2.718281828459045",
                other => other,
            };
            Some((value.to_owned(), Some(json!({"exprName": name}))))
        }
    };
    if let Some((value, expression)) = default {
        json["defaultValue"] = value.as_str().into();
        json["realDefaultValue"] = value.into();
        if let Some(expression) = expression {
            json["defaultValueExprDef"] = expression;
        }
    }
    if let Some(precision) = column.on_update {
        json["onUpdateDefaultValueExprDef"] = now(precision);
    }
    if let Some(expression) = &column.generated {
        json["gci"] = json!({"t": "STORED", "es": expression});
    }
    json
}

fn now(precision: u8) -> Value {
    match precision {
        0 => json!({"exprName": "now"}),
        n => json!({"exprName": "now", "precision": n}),
    }
}

/// Columns inside a nested type.
fn children(ty: &DataType) -> Vec<Value> {
    let child = |name: &str, ty: &DataType, null: bool| {
        let column = Column {
            is_key: true,
            nullable: null,
            ..Column::new(name, ty.clone())
        };
        let mut json = column_json(&column, false);
        json["isKey"] = false.into();
        json
    };
    match ty {
        DataType::Array(item) => vec![child("item", item, true)],
        DataType::Map(key, value) => vec![child("key", key, true), child("value", value, true)],
        DataType::Struct(fields) => fields.iter().map(|(n, ty)| child(n, ty, true)).collect(),
        DataType::AggState(function) => {
            let (_, arguments) = state_arguments(function);
            let arguments = arguments.iter();
            arguments
                .map(|(ty, null)| child("argument", ty, *null))
                .collect()
        }
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Float
        | DataType::Double
        | DataType::Decimal(..)
        | DataType::Date
        | DataType::DateTime(_)
        | DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Bitmap
        | DataType::Hll
        | DataType::QuantileState
        | DataType::Ipv4
        | DataType::Ipv6 => Vec::new(),
    }
}

/// A column that was read.
pub fn read_column(json: &Value) -> Result<Column, String> {
    let name = text(&json["name"]);
    let is = |member: &str| json[member].as_bool().unwrap_or(false);
    let data_type = read_type(&json["type"]).map_err(|e| format!("column {name}: {e}"))?;
    let precision = |member: &str| {
        let n = json[member]["precision"].as_u64();
        n.and_then(|n| u8::try_from(n).ok()).unwrap_or(0)
    };
    let default = match json["defaultValueExprDef"]["exprName"].as_str() {
        Some(f) if f.eq_ignore_ascii_case("now") || f.eq_ignore_ascii_case("current_timestamp") => {
            Some(DefaultValue::CurrentTimestamp(precision(
                "defaultValueExprDef",
            )))
        }
        Some(function) => Some(DefaultValue::Function(function.to_ascii_uppercase())),
        None => json["defaultValue"]
            .as_str()
            .map(|value| DefaultValue::Constant(Some(value.to_owned()))),
    };
    Ok(Column {
        data_type,
        is_key: is("isKey"),
        nullable: is("isAllowNull"),
        default,
        aggregation: json["aggregationType"]
            .as_str()
            .and_then(Aggregation::parse),
        comment: text(&json["comment"]),
        unique_id: small_id(&json["uniqueId"]),
        visible: json["visible"].as_bool().unwrap_or(true),
        auto_inc: is("isAutoInc").then(|| json["autoIncInitValue"].as_i64().unwrap_or(1)),
        generated: json["gci"]["es"].as_str().map(str::to_owned),
        copied: false,
        on_update: is("hasOnUpdateDefaultValue").then(|| precision("onUpdateDefaultValueExprDef")),
        name,
    })
}

/// Columns of a list member.
pub fn read_columns(json: &Value) -> Result<Vec<Column>, String> {
    list(json).map(read_column).collect()
}

/// Text of a member, empty without one.
pub fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// Members of a list, none without one.
pub fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

/// A number of 32 bits, -1 without one.
pub fn small_id(json: &Value) -> i32 {
    json.as_i64()
        .and_then(|n| i32::try_from(n).ok())
        .unwrap_or(-1)
}
