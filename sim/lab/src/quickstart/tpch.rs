//! The eight TPC-H tables with mixed models and partitioning, and their rows in loadable pieces.

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

/// Name of the source database.
pub const DATABASE: &str = "tpch";

/// One table: how it is made and in which order the generator writes its columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table {
    /// Name.
    pub name: &'static str,
    /// CREATE TABLE without the database.
    pub ddl: &'static str,
    /// Columns in the order of the generated lines.
    pub columns: &'static str,
    /// Share of the rows loaded before the jobs are created.
    pub first_share: f64,
}

/// All eight, parents before children.
pub const TABLES: [Table; 8] = [
    Table {
        name: "region",
        ddl: "CREATE TABLE region (
            r_regionkey INT NOT NULL, r_name VARCHAR(25) NOT NULL, r_comment VARCHAR(152)
        ) DUPLICATE KEY(r_regionkey) DISTRIBUTED BY RANDOM BUCKETS 1
        PROPERTIES (\"replication_num\" = \"1\")",
        columns: "r_regionkey,r_name,r_comment",
        first_share: 1.0,
    },
    Table {
        name: "nation",
        ddl: "CREATE TABLE nation (
            n_nationkey INT NOT NULL, n_name VARCHAR(25) NOT NULL, n_regionkey INT NOT NULL, n_comment VARCHAR(152)
        ) UNIQUE KEY(n_nationkey) DISTRIBUTED BY HASH(n_nationkey) BUCKETS 1
        PROPERTIES (\"replication_num\" = \"2\", \"enable_unique_key_merge_on_write\" = \"true\")",
        columns: "n_nationkey,n_name,n_regionkey,n_comment",
        first_share: 1.0,
    },
    Table {
        name: "supplier",
        ddl: "CREATE TABLE supplier (
            s_suppkey BIGINT NOT NULL, s_name CHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL, s_nationkey INT NOT NULL,
            s_phone CHAR(15) NOT NULL, s_acctbal DECIMAL(15,2) NOT NULL, s_comment VARCHAR(101)
        ) UNIQUE KEY(s_suppkey) DISTRIBUTED BY HASH(s_suppkey) BUCKETS 2
        PROPERTIES (\"replication_num\" = \"1\", \"enable_unique_key_merge_on_write\" = \"true\")",
        columns: "s_suppkey,s_name,s_address,s_nationkey,s_phone,s_acctbal,s_comment",
        first_share: 0.5,
    },
    Table {
        name: "customer",
        ddl: "CREATE TABLE customer (
            c_custkey BIGINT NOT NULL, c_mktsegment VARCHAR(10) NOT NULL, c_name VARCHAR(25) NOT NULL,
            c_address VARCHAR(40) NOT NULL, c_nationkey INT NOT NULL, c_phone CHAR(15) NOT NULL,
            c_acctbal DECIMAL(15,2) NOT NULL, c_comment VARCHAR(117)
        ) UNIQUE KEY(c_custkey, c_mktsegment)
        PARTITION BY LIST(c_mktsegment) (
            PARTITION p_auto VALUES IN (\"AUTOMOBILE\"), PARTITION p_build VALUES IN (\"BUILDING\"),
            PARTITION p_home VALUES IN (\"FURNITURE\", \"HOUSEHOLD\"), PARTITION p_mach VALUES IN (\"MACHINERY\")
        ) DISTRIBUTED BY HASH(c_custkey) BUCKETS 2
        PROPERTIES (\"replication_num\" = \"1\", \"enable_unique_key_merge_on_write\" = \"true\")",
        columns: "c_custkey,c_name,c_address,c_nationkey,c_phone,c_acctbal,c_mktsegment,c_comment",
        first_share: 0.5,
    },
    Table {
        name: "part",
        ddl: "CREATE TABLE part (
            p_partkey BIGINT NOT NULL, p_name VARCHAR(55) NOT NULL, p_mfgr CHAR(25) NOT NULL, p_brand CHAR(10) NOT NULL,
            p_type VARCHAR(25) NOT NULL, p_size INT NOT NULL, p_container CHAR(10) NOT NULL,
            p_retailprice DECIMAL(15,2) NOT NULL, p_comment VARCHAR(23)
        ) DUPLICATE KEY(p_partkey) DISTRIBUTED BY HASH(p_partkey) BUCKETS 3
        PROPERTIES (\"replication_num\" = \"1\")",
        columns: "p_partkey,p_name,p_mfgr,p_brand,p_type,p_size,p_container,p_retailprice,p_comment",
        first_share: 0.5,
    },
    Table {
        name: "partsupp",
        ddl: "CREATE TABLE partsupp (
            ps_partkey BIGINT NOT NULL, ps_suppkey BIGINT NOT NULL, ps_availqty BIGINT SUM NOT NULL,
            ps_supplycost DECIMAL(15,2) REPLACE NOT NULL, ps_comment VARCHAR(199) REPLACE
        ) AGGREGATE KEY(ps_partkey, ps_suppkey) DISTRIBUTED BY HASH(ps_partkey) BUCKETS 2
        PROPERTIES (\"replication_num\" = \"1\")",
        columns: "ps_partkey,ps_suppkey,ps_availqty,ps_supplycost,ps_comment",
        first_share: 0.4,
    },
    Table {
        name: "orders",
        ddl: "CREATE TABLE orders (
            o_orderkey BIGINT NOT NULL, o_orderdate DATE NOT NULL, o_custkey BIGINT NOT NULL, o_orderstatus CHAR(1) NOT NULL,
            o_totalprice DECIMAL(15,2) NOT NULL, o_orderpriority CHAR(15) NOT NULL, o_clerk CHAR(15) NOT NULL,
            o_shippriority INT NOT NULL, o_comment VARCHAR(79)
        ) UNIQUE KEY(o_orderkey, o_orderdate)
        PARTITION BY RANGE(o_orderdate) (
            PARTITION p1992 VALUES LESS THAN (\"1993-01-01\"), PARTITION p1993 VALUES LESS THAN (\"1994-01-01\"),
            PARTITION p1994 VALUES LESS THAN (\"1995-01-01\"), PARTITION p1995 VALUES LESS THAN (\"1996-01-01\"),
            PARTITION p1996 VALUES LESS THAN (\"1997-01-01\"), PARTITION p1998 VALUES LESS THAN (\"1999-01-01\")
        ) DISTRIBUTED BY HASH(o_orderkey) BUCKETS 2
        PROPERTIES (\"replication_num\" = \"1\", \"enable_unique_key_merge_on_write\" = \"true\")",
        columns: "o_orderkey,o_custkey,o_orderstatus,o_totalprice,o_orderdate,o_orderpriority,o_clerk,o_shippriority,o_comment",
        first_share: 0.3,
    },
    Table {
        name: "lineitem",
        ddl: "CREATE TABLE lineitem (
            l_shipdate DATE NOT NULL, l_orderkey BIGINT NOT NULL, l_linenumber INT NOT NULL, l_partkey BIGINT NOT NULL,
            l_suppkey BIGINT NOT NULL, l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL,
            l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL, l_returnflag VARCHAR(1) NOT NULL,
            l_linestatus VARCHAR(1) NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
            l_shipinstruct VARCHAR(25) NOT NULL, l_shipmode VARCHAR(10) NOT NULL, l_comment VARCHAR(44)
        ) DUPLICATE KEY(l_shipdate, l_orderkey, l_linenumber)
        PARTITION BY RANGE(l_shipdate) (
            PARTITION s1992 VALUES [(\"1992-01-01\"), (\"1993-01-01\")), PARTITION s1993 VALUES [(\"1993-01-01\"), (\"1994-01-01\")),
            PARTITION s1994 VALUES [(\"1994-01-01\"), (\"1995-01-01\")), PARTITION s1995 VALUES [(\"1995-01-01\"), (\"1996-01-01\")),
            PARTITION s1996 VALUES [(\"1996-01-01\"), (\"1997-01-01\")), PARTITION s1997 VALUES [(\"1997-01-01\"), (\"1998-01-01\")),
            PARTITION s1998 VALUES [(\"1998-01-01\"), (\"1999-01-01\"))
        ) DISTRIBUTED BY HASH(l_orderkey) BUCKETS 4
        PROPERTIES (\"replication_num\" = \"1\")",
        columns: "l_orderkey,l_partkey,l_suppkey,l_linenumber,l_quantity,l_extendedprice,l_discount,l_tax,\
                  l_returnflag,l_linestatus,l_shipdate,l_commitdate,l_receiptdate,l_shipinstruct,l_shipmode,l_comment",
        first_share: 0.3,
    },
];

/// Rows of one table, `|`-separated, ready for a stream load.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Table.
    pub table: Table,
    /// Lines, each ended by a line feed.
    pub csv: String,
    /// Number of lines.
    pub rows: u64,
}

/// All rows of all tables, those for the start and those for the live part. `scale` 1.0 is one gigabyte.
pub fn batches(scale: f64, rows_per_batch: usize) -> (Vec<Batch>, Vec<Batch>) {
    let mut first = Vec::new();
    let mut rest: Vec<Vec<Batch>> = Vec::new();
    for table in TABLES {
        let lines = lines(table.name, scale);
        let split = share(lines.len(), table.first_share);
        let (early, late) = lines.split_at(split);
        first.extend(cut(table, early, rows_per_batch));
        rest.push(cut(table, late, rows_per_batch));
    }
    (first, interleave(rest))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn share(count: usize, share: f64) -> usize {
    ((count as f64 * share).round() as usize).min(count)
}

fn lines(table: &str, scale: f64) -> Vec<String> {
    fn all<T: std::fmt::Display>(rows: impl Iterator<Item = T>) -> Vec<String> {
        rows.map(|row| row.to_string().trim_end_matches('|').to_owned())
            .collect()
    }
    match table {
        "region" => all(RegionGenerator::new(scale, 1, 1).iter()),
        "nation" => all(NationGenerator::new(scale, 1, 1).iter()),
        "supplier" => all(SupplierGenerator::new(scale, 1, 1).iter()),
        "customer" => all(CustomerGenerator::new(scale, 1, 1).iter()),
        "part" => all(PartGenerator::new(scale, 1, 1).iter()),
        "partsupp" => all(PartSuppGenerator::new(scale, 1, 1).iter()),
        "orders" => all(OrderGenerator::new(scale, 1, 1).iter()),
        "lineitem" => all(LineItemGenerator::new(scale, 1, 1).iter()),
        _ => Vec::new(),
    }
}

fn cut(table: Table, lines: &[String], rows_per_batch: usize) -> Vec<Batch> {
    lines
        .chunks(rows_per_batch.max(1))
        .map(|chunk| Batch {
            table,
            csv: chunk.iter().fold(String::new(), |mut csv, line| {
                csv.push_str(line);
                csv.push('\n');
                csv
            }),
            rows: chunk.len() as u64,
        })
        .collect()
}

/// Takes turns between tables, longer queues more often, so that the live part writes to all of them at once.
fn interleave(mut queues: Vec<Vec<Batch>>) -> Vec<Batch> {
    for queue in &mut queues {
        queue.reverse();
    }
    let total: usize = queues.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(total);
    while let Some(longest) = queues
        .iter_mut()
        .filter(|queue| !queue.is_empty())
        .max_by_key(|queue| queue.len())
    {
        out.extend(longest.pop());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_exactly_one_batch() {
        let (first, rest) = batches(0.001, 100);
        for table in TABLES {
            let in_batches: u64 = first
                .iter()
                .chain(&rest)
                .filter(|batch| batch.table == table)
                .map(|batch| batch.rows)
                .sum();
            assert!(in_batches > 0, "{} has no generator", table.name);
            assert_eq!(
                in_batches,
                lines(table.name, 0.001).len() as u64,
                "{}",
                table.name
            );
            let fields = table.columns.split(',').count();
            for batch in first.iter().chain(&rest).filter(|b| b.table == table) {
                for line in batch.csv.lines() {
                    assert_eq!(line.split('|').count(), fields, "{line}");
                }
            }
        }
        assert!(rest.iter().any(|batch| batch.table.name == "lineitem"));
    }
}
