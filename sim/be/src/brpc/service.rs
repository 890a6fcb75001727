//! The methods of `PBackendService` that are answered, and those that backends of this kind call on each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dorisim_wire::TStatusCode;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use super::pb::{
    CacheAnswerPb, CancelPlanFragmentPb, EmptyPb, ExecPlanFragmentPb, ExecPlanFragmentStartPb,
    FetchDataPb, HandShakePb, StatusAnswerPb, StatusPb,
};
use super::status;
use crate::agent::Agent;
use crate::exec::peer::{self, RowsPb, TabletPb};
use crate::exec::{ExecError, Executor};
use dorisim_net::faults::Verdict;

type Answer = BoxFuture<http::Response<Body>, std::convert::Infallible>;

/// Largest message of a frontend: a statement of many rows.
const MAX_MESSAGE: usize = 256 << 20;

/// `PBackendService`
#[derive(Clone, Debug)]
pub struct BackendRpc {
    agent: Arc<Agent>,
    executor: Arc<Executor>,
}

impl BackendRpc {
    /// Answers by `executor`.
    #[must_use]
    pub fn new(agent: Arc<Agent>, executor: Arc<Executor>) -> Self {
        BackendRpc { agent, executor }
    }

    fn status(&self, done: Result<(), ExecError>) -> StatusPb {
        match done {
            Ok(()) => status::ok(),
            Err(error) => {
                let host = &self.agent.backend().listens_at().host;
                let text = status::text(host, error.code(), &error.to_string());
                tracing::info!(error = text, "request refused");
                status::of(error.code().0, text)
            }
        }
    }

    fn answer(&self, done: Result<(), ExecError>) -> Response<StatusAnswerPb> {
        Response::new(StatusAnswerPb {
            status: self.status(done),
        })
    }

    /// Asks the faults about a call.
    async fn admit(&self, method: &'static str) -> Result<(), Status> {
        let backend = self.agent.backend();
        let verdict = backend.faults().before(method, Some(backend.id())).await;
        match verdict {
            Verdict::Proceed | Verdict::Truncate { .. } | Verdict::Corrupt => Ok(()),
            Verdict::Fail { message, .. } => Err(Status::internal(message)),
            Verdict::ResetBefore | Verdict::ResetAfter | Verdict::Garbage => {
                Err(Status::unavailable("connection reset by an injected fault"))
            }
        }
    }
}

impl NamedService for BackendRpc {
    const NAME: &'static str = "doris.PBackendService";
}

impl Service<http::Request<Body>> for BackendRpc {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        let path = request.uri().path().to_owned();
        let method = path.rsplit('/').next().unwrap_or_default();
        match method {
            "exec_plan_fragment" | "exec_plan_fragment_prepare" => {
                let park = method == "exec_plan_fragment_prepare";
                unary(request, move |asked: ExecPlanFragmentPb| async move {
                    this.admit("brpc.exec_plan_fragment").await?;
                    Ok(this.answer(this.executor.accept(&asked, park)))
                })
            }
            "exec_plan_fragment_start" => {
                unary(request, move |asked: ExecPlanFragmentStartPb| async move {
                    let query = asked.query_id.unwrap_or_default();
                    Ok(this.answer(this.executor.start(query)))
                })
            }
            "cancel_plan_fragment" => {
                unary(request, move |asked: CancelPlanFragmentPb| async move {
                    let (code, text) = match asked.cancel_status {
                        Some(status) => (status.status_code, status.error_msgs.join("; ")),
                        None => (TStatusCode::CANCELLED.0, "cancelled".to_owned()),
                    };
                    let query = asked.query_id.unwrap_or(asked.finst_id);
                    this.executor.cancel(query, code, text);
                    Ok(this.answer(Ok(())))
                })
            }
            "fetch_data" => unary(request, move |asked: FetchDataPb| async move {
                this.admit("brpc.fetch_data").await?;
                Ok(Response::new(this.executor.fetch(asked.finst_id).await))
            }),
            "hand_shake" => unary(request, move |asked: HandShakePb| async move {
                Ok(Response::new(HandShakePb {
                    status: Some(status::ok()),
                    hello: asked.hello,
                }))
            }),
            // Answers that are a status alone, and lists and queues that are empty here.
            "glob" | "get_be_resource" | "get_wal_queue_size" => unary(
                request,
                move |_: EmptyPb| async move { Ok(this.answer(Ok(()))) },
            ),
            // The cache of whole results: everything is forgotten at once.
            "update_cache" | "clear_cache" => unary(request, |_: EmptyPb| async {
                Ok(Response::new(CacheAnswerPb { status: 1 }))
            }),
            "fetch_cache" => unary(request, |_: EmptyPb| async {
                Ok(Response::new(CacheAnswerPb { status: 4 }))
            }),
            other => {
                tracing::debug!(method = other, "no such method here");
                Box::pin(async { Ok(Status::unimplemented("not served by dorisim").into_http()) })
            }
        }
    }
}

/// The service of [`peer`].
#[derive(Clone, Debug)]
pub struct PeerRpc(pub BackendRpc);

impl NamedService for PeerRpc {
    const NAME: &'static str = peer::SERVICE;
}

impl Service<http::Request<Body>> for PeerRpc {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.0.clone();
        let token = request.headers().get(peer::TOKEN);
        let token = token.and_then(|token| token.to_str().ok());
        if !token.is_some_and(|token| this.agent.backend().token_matches(token)) {
            let refused = Status::unauthenticated("the token is not that of this cluster");
            return Box::pin(async { Ok(refused.into_http()) });
        }
        let path = request.uri().path().to_owned();
        match path.rsplit('/').next().unwrap_or_default() {
            "transmit_rows" => unary(request, move |asked: RowsPb| async move {
                let rows = serde_json::from_slice(&asked.rows)
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                let taken = this
                    .executor
                    .take_rows(asked.query, asked.node, rows, asked.ended);
                Ok(this.answer(taken))
            }),
            "write_tablet" => unary(request, move |asked: TabletPb| async move {
                let load = serde_json::from_slice(&asked.load)
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                let executor = Arc::clone(&this.executor);
                let taken = tokio::task::spawn_blocking(move || executor.take_tablet(load))
                    .await
                    .map_err(|error| Status::internal(error.to_string()))?;
                Ok(this.answer(taken))
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

/// A method with one message in and one out.
fn unary<Q, A, F, W>(request: http::Request<Body>, work: F) -> Answer
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: FnOnce(Q) -> W + Send + 'static,
    W: Future<Output = Result<Response<A>, Status>> + Send + 'static,
{
    let method = Method {
        work: Some(work),
        messages: std::marker::PhantomData,
    };
    Box::pin(async move {
        let codec = tonic_prost::ProstCodec::<A, Q>::default();
        let mut grpc = Grpc::new(codec)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Ok(grpc.unary(method, request).await)
    })
}

struct Method<F, Q, A> {
    work: Option<F>,
    messages: std::marker::PhantomData<fn(Q) -> A>,
}

impl<Q, A, F, W> UnaryService<Q> for Method<F, Q, A>
where
    Q: Send + 'static,
    A: Send + 'static,
    F: FnOnce(Q) -> W,
    W: Future<Output = Result<Response<A>, Status>> + Send + 'static,
{
    type Response = A;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        match self.work.take() {
            Some(work) => Box::pin(work(request.into_inner())),
            None => Box::pin(async { Err(Status::internal("called twice")) }),
        }
    }
}
