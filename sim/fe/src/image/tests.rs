use serde_json::json;

use super::item::{item_json, read_item};
use super::shape::{column_json, read_column, read_type, type_json};
use dorisim_model::{Aggregation, Bound, Column, DataType, DefaultValue, PartitionItem};

#[test]
fn types_come_back() {
    for text in [
        "boolean",
        "largeint",
        "decimal(27,9)",
        "datetime(3)",
        "char(5)",
        "varchar(65533)",
        "text",
        "json",
        "variant",
        "array<int>",
        "map<text,decimal(5,2)>",
        "struct<a:int,b:datetime(2)>",
        "hll",
        "bitmap",
        "ipv6",
        "agg_state<max_by(int null, text not null)>",
    ] {
        let ty = DataType::parse(text).unwrap();
        assert_eq!(read_type(&type_json(&ty)).as_ref(), Ok(&ty), "{text}");
    }
    // As an FE wrote them.
    assert_eq!(
        type_json(&DataType::String),
        json!({"clazz": "ScalarType", "type": "STRING", "len": 2_147_483_643_i64, "precision": 0, "scale": 0})
    );
    assert_eq!(type_json(&DataType::Json)["type"], json!("JSONB"));
    assert!(read_type(&json!({"clazz": "ScalarType", "type": "FROB"})).is_err());
}

#[test]
fn columns_come_back_with_their_defaults() {
    let mut column = Column::new("c", DataType::DateTime(3));
    for default in [
        None,
        Some(DefaultValue::CurrentTimestamp(3)),
        Some(DefaultValue::CurrentTimestamp(0)),
        Some(DefaultValue::Constant(Some(
            "2026-01-01 00:00:00.000".to_owned(),
        ))),
    ] {
        column.default = default;
        column.aggregation = Some(Aggregation::Max);
        let json = column_json(&column, false);
        assert_eq!(read_column(&json).as_ref(), Ok(&column), "{json}");
    }
    column = Column::new("b", DataType::Bitmap);
    column.default = Some(DefaultValue::Function("BITMAP_EMPTY".to_owned()));
    let json = column_json(&column, true);
    assert_eq!(json["defaultValue"], json!("\0"));
    assert_eq!(json["aggregationType"], json!("NONE"));
    assert_eq!(read_column(&json), Ok(column));
}

#[test]
fn partition_items_come_back() {
    let value = |text: &str| Bound::Value(text.to_owned());
    let types = [DataType::DateTime(0), DataType::BigInt];
    let range = PartitionItem::Range {
        lower: vec![value("2020-01-01 00:00:00"), Bound::Min],
        upper: vec![Bound::Max, Bound::Max],
    };
    let json = item_json(&range, &types).unwrap();
    assert_eq!(read_item(&json, &types), range);
    assert_eq!(
        json["range"][0]["value"][1],
        json!(["BIGINT", {
            "clazz": "IntLiteral", "v": i64::MIN, "type": {"clazz": "ScalarType", "type": "BIGINT", "len": -1, "precision": 0, "scale": 0},
            "opcode": "INVALID_OPCODE", "children": [],
        }])
    );
    let cell = |text: &str| Some(text.to_owned());
    let types = [DataType::Int, DataType::Varchar(9)];
    for list in [
        PartitionItem::List(vec![vec![cell("1"), cell("x")], vec![None, cell("y")]]),
        PartitionItem::ListDefault,
    ] {
        let json = item_json(&list, &types).unwrap();
        assert_eq!(read_item(&json, &types), list);
    }
    assert_eq!(item_json(&PartitionItem::All, &[]), None);
}
