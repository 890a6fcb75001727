//! What a partition holds: ranges and lists of literals.

use serde_json::{Value, json};

use super::shape::{list, scalar, type_json};
use dorisim_model::partition::MAX_OF_LIST;
use dorisim_model::{Bound, Cell, DataType, PartitionItem};

/// The mark at the end of a key, and at the end of the key of a default partition.
const PLAIN_KEY: &str = "[false,\"unused\"]";
const DEFAULT_KEY: &str = "[true,\"unused\"]";

/// An item of a table whose partition columns have these types. `None` for tables without partitions.
pub fn item_json(item: &PartitionItem, types: &[DataType]) -> Option<Value> {
    match item {
        PartitionItem::All => None,
        PartitionItem::Range { lower, upper } => Some(json!({
            "clazz": "RangePartitionItem",
            "range": [
                {"type": "CLOSED", "value": range_key(lower, types)},
                {"type": "OPEN", "value": range_key(upper, types)},
            ],
        })),
        PartitionItem::List(tuples) => {
            let keys: Vec<Value> = tuples.iter().map(|tuple| list_key(tuple, types)).collect();
            Some(json!({"clazz": "ListPartitionItem", "partitionKeys": keys, "idp": false}))
        }
        PartitionItem::ListDefault => {
            let mut key: Vec<Value> = types
                .iter()
                .map(|ty| json!([ty.primitive_name(), literal(&ty.minimum_text(), ty)]))
                .collect();
            key.push(DEFAULT_KEY.into());
            Some(json!({"clazz": "ListPartitionItem", "partitionKeys": [key], "idp": true}))
        }
    }
}

fn range_key(bounds: &[Bound], types: &[DataType]) -> Value {
    let mut key: Vec<Value> = bounds
        .iter()
        .zip(types)
        .map(|(bound, ty)| {
            let value = match bound {
                Bound::Value(value) => literal(value, ty),
                Bound::Min => literal(&ty.minimum_text(), ty),
                Bound::Max => max_literal(),
            };
            json!([ty.primitive_name(), value])
        })
        .collect();
    key.push(PLAIN_KEY.into());
    key.into()
}

fn list_key(tuple: &[Cell], types: &[DataType]) -> Value {
    let mut key: Vec<Value> = tuple
        .iter()
        .zip(types)
        .map(|(cell, ty)| {
            let value = match cell.as_deref() {
                None => expression(json!({"clazz": "NullLiteral", "type": type_json(ty)})),
                Some(MAX_OF_LIST) => max_literal(),
                Some(value) => literal(value, ty),
            };
            json!([ty.primitive_name(), value])
        })
        .collect();
    key.push(PLAIN_KEY.into());
    key.into()
}

/// What every expression has.
pub fn expression(mut json: Value) -> Value {
    json["opcode"] = "INVALID_OPCODE".into();
    json["children"] = json!([]);
    json
}

fn max_literal() -> Value {
    expression(json!({"clazz": "MaxLiteral", "type": scalar("BIGINT", -1, 0, 0)}))
}

fn literal(value: &str, ty: &DataType) -> Value {
    expression(match ty {
        DataType::Date | DataType::DateTime(_) => {
            let numbers: Vec<i64> = value
                .split(|c: char| !c.is_ascii_digit())
                .map(|part| part.parse().unwrap_or(0))
                .collect();
            let at = |i: usize| numbers.get(i).copied().unwrap_or(0);
            let fraction = value.split_once('.').map_or("", |(_, rest)| rest);
            let micros: i64 = format!("{fraction:0<6}").parse().unwrap_or(0);
            json!({
                "clazz": "DateLiteral", "y": at(0), "m": at(1), "d": at(2), "h": at(3), "M": at(4), "s": at(5),
                "ms": micros, "type": type_json(ty),
            })
        }
        DataType::Boolean => {
            json!({"clazz": "BoolLiteral", "v": matches!(value, "1" | "true"), "type": type_json(ty)})
        }
        // Wider than the numbers of this JSON; Gson reads a number from a text, too.
        DataType::LargeInt => match value.parse::<i64>() {
            Ok(number) => json!({"clazz": "LargeIntLiteral", "v": number, "type": type_json(ty)}),
            Err(_) => json!({"clazz": "LargeIntLiteral", "v": value, "type": type_json(ty)}),
        },
        ty if ty.is_integer() => {
            json!({"clazz": "IntLiteral", "v": value.parse::<i64>().unwrap_or(0), "type": type_json(ty)})
        }
        _ => json!({"clazz": "StringLiteral", "v": value, "type": scalar("VARCHAR", -1, 0, 0)}),
    })
}

/// An item that was read; `types` are those of the partition columns.
pub fn read_item(json: &Value, types: &[DataType]) -> PartitionItem {
    if json["clazz"] == "RangePartitionItem" {
        let bound = |at: usize| {
            read_key(&json["range"][at]["value"], types)
                .into_iter()
                .map(|cell| match cell {
                    Some(max) if max == MAX_OF_LIST => Bound::Max,
                    Some(value) => Bound::Value(value),
                    None => Bound::Min,
                })
                .collect::<Vec<_>>()
        };
        let lower = bound(0)
            .into_iter()
            .zip(types)
            .map(|(bound, ty)| match bound {
                Bound::Value(value) if value == ty.minimum_text() => Bound::Min,
                other => other,
            });
        return PartitionItem::Range {
            lower: lower.collect(),
            upper: bound(1),
        };
    }
    if json["idp"] == true {
        return PartitionItem::ListDefault;
    }
    let keys = list(&json["partitionKeys"]);
    PartitionItem::List(keys.map(|key| read_key(key, types)).collect())
}

fn read_key(key: &Value, types: &[DataType]) -> Vec<Cell> {
    let pairs = list(key).filter(|pair| pair.is_array()).zip(types);
    pairs.map(|(pair, ty)| read_literal(&pair[1], ty)).collect()
}

fn read_literal(json: &Value, ty: &DataType) -> Cell {
    let value = &json["v"];
    let number = |name: &str| json[name].as_i64().unwrap_or(0);
    match json["clazz"].as_str().unwrap_or_default() {
        "NullLiteral" => None,
        "MaxLiteral" => Some(MAX_OF_LIST.to_owned()),
        "BoolLiteral" => Some(if value == &json!(true) { "1" } else { "0" }.to_owned()),
        "DateLiteral" => {
            let day = format!("{:04}-{:02}-{:02}", number("y"), number("m"), number("d"));
            let time = format!("{:02}:{:02}:{:02}", number("h"), number("M"), number("s"));
            let micros = format!("{:06}", number("ms"));
            Some(match ty {
                DataType::DateTime(0) => format!("{day} {time}"),
                DataType::DateTime(n) => format!("{day} {time}.{}", &micros[..usize::from(*n)]),
                _ => day,
            })
        }
        _ => Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        ),
    }
}
