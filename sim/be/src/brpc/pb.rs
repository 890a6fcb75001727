//! Messages of `PBackendService`, written by hand: numbers from internal_service.proto and types.proto of Doris (master, January 2026).
//! Members that are not read or set here are left out; readers skip them.

use prost::Message;

/// `PUniqueId`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct UniqueIdPb {
    /// Upper half.
    #[prost(int64, required, tag = "1")]
    pub hi: i64,
    /// Lower half.
    #[prost(int64, required, tag = "2")]
    pub lo: i64,
}

/// `PStatus`
#[derive(Clone, PartialEq, Message)]
pub struct StatusPb {
    /// A `TStatusCode`.
    #[prost(int32, required, tag = "1")]
    pub status_code: i32,
    /// Texts; the first is shown.
    #[prost(string, repeated, tag = "2")]
    pub error_msgs: Vec<String>,
}

/// A message without members that are read or set.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct EmptyPb {}

/// An answer that is a status alone, as first member.
#[derive(Clone, PartialEq, Message)]
pub struct StatusAnswerPb {
    /// How it went.
    #[prost(message, required, tag = "1")]
    pub status: StatusPb,
}

/// `PExecPlanFragmentRequest`
#[derive(Clone, PartialEq, Message)]
pub struct ExecPlanFragmentPb {
    /// A Thrift struct; which one tells `version`.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub request: Option<Vec<u8>>,
    /// Compact protocol, not binary.
    #[prost(bool, optional, tag = "2")]
    pub compact: Option<bool>,
    /// `PFragmentRequestVersion`: 3 is `TPipelineFragmentParamsList`. Absent is 2.
    #[prost(int32, optional, tag = "3")]
    pub version: Option<i32>,
}

/// `PExecPlanFragmentStartRequest`
#[derive(Clone, PartialEq, Message)]
pub struct ExecPlanFragmentStartPb {
    /// Query.
    #[prost(message, optional, tag = "1")]
    pub query_id: Option<UniqueIdPb>,
}

/// `PCancelPlanFragmentRequest`
#[derive(Clone, PartialEq, Message)]
pub struct CancelPlanFragmentPb {
    /// Set, but of no meaning.
    #[prost(message, required, tag = "1")]
    pub finst_id: UniqueIdPb,
    /// Query.
    #[prost(message, optional, tag = "3")]
    pub query_id: Option<UniqueIdPb>,
    /// Why.
    #[prost(message, optional, tag = "5")]
    pub cancel_status: Option<StatusPb>,
}

/// `PFetchDataRequest`
#[derive(Clone, PartialEq, Message)]
pub struct FetchDataPb {
    /// Instance of the fragment with the result sink; the query when result sinks are parallel.
    #[prost(message, required, tag = "1")]
    pub finst_id: UniqueIdPb,
}

/// `PFetchDataResult`
#[derive(Clone, PartialEq, Message)]
pub struct FetchedDataPb {
    /// How it went.
    #[prost(message, required, tag = "1")]
    pub status: StatusPb,
    /// Number of this answer, from 0 on.
    #[prost(int64, optional, tag = "2")]
    pub packet_seq: Option<i64>,
    /// Nothing comes behind this one.
    #[prost(bool, optional, tag = "3")]
    pub eos: Option<bool>,
    /// `TResultBatch`, binary Thrift.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub row_batch: Option<Vec<u8>>,
}

/// `PHandShakeRequest` and its answer.
#[derive(Clone, PartialEq, Message)]
pub struct HandShakePb {
    /// Set in answers.
    #[prost(message, optional, tag = "1")]
    pub status: Option<StatusPb>,
    /// Echoed.
    #[prost(string, optional, tag = "2")]
    pub hello: Option<String>,
}

/// `PCacheResponse` and `PFetchCacheResult` of the cache of whole results, which is not kept here.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct CacheAnswerPb {
    /// A `PCacheStatus`: 1 is done, 4 is "no such key".
    #[prost(int32, required, tag = "1")]
    pub status: i32,
}
