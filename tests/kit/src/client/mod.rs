//! A process's client of a cluster: the traits of the product over the model, with the network between them.

mod backend;
mod frontend;
mod session;

use std::fmt::Debug;
use std::sync::Arc;

use ccr_doris::Error;

use crate::doris::{Cluster, Refused};
use crate::net::Fate;
use crate::process::Process;
use crate::world::{State, World};

/// A client of one cluster, used by one process.
#[derive(Clone, Debug)]
pub struct Client {
    process: Arc<Process>,
    cluster: String,
}

/// A request on its way. Dropped before it arrived, it may arrive all the same.
struct InFlight<'a, F, T>
where
    F: FnOnce(&mut State, i64) -> T,
{
    world: &'a World,
    effect: Option<F>,
    cannot_be_recalled: bool,
}

impl<F, T> InFlight<'_, F, T>
where
    F: FnOnce(&mut State, i64) -> T,
{
    fn arrive(&mut self) -> Option<T> {
        let effect = self.effect.take()?;
        Some(self.world.with(effect))
    }
}

impl<F, T> Drop for InFlight<'_, F, T>
where
    F: FnOnce(&mut State, i64) -> T,
{
    fn drop(&mut self) {
        if self.cannot_be_recalled && self.effect.is_some() && !self.world.is_closed() {
            self.world
                .reach("a request arrives after its caller went away");
            self.arrive();
        }
    }
}

/// How a call shows in the trace.
enum Shown {
    /// Not at all: calls that are made again and again.
    Quiet,
    /// With what it is about.
    Noted(String),
}

impl Client {
    /// A client for a process.
    pub fn new(process: Arc<Process>, cluster: &str) -> Self {
        Self {
            process,
            cluster: cluster.to_owned(),
        }
    }

    fn world(&self) -> &World {
        &self.process.world
    }

    fn connection(&self, call: &str, why: &str) -> Error {
        Error::Connection {
            call: call.to_owned(),
            address: self.cluster.clone(),
            source: why.into(),
        }
    }

    fn refused(&self, call: &str, refused: Refused) -> Error {
        Error::Refused {
            call: call.to_owned(),
            address: self.cluster.clone(),
            code: 1,
            cause: refused.cause,
            text: refused.text,
        }
    }

    /// A call of the frontend.
    async fn call<T: Debug + Send>(
        &self,
        call: &'static str,
        shown: Shown,
        effect: impl FnOnce(&mut Cluster, i64) -> Result<T, Refused> + Send,
    ) -> Result<T, Error> {
        let strike = self.process.enter(call).await;
        let (fate, no_master) = self.world().with(|state, now| {
            let no_master = state
                .clusters
                .get(&self.cluster)
                .is_some_and(|cluster| now < cluster.no_master_until);
            (state.net.fate(&self.cluster, now), no_master)
        });
        if no_master {
            self.world().sleep_ms(5).await;
            self.process.leave(strike).await;
            return Err(Error::NoMaster {
                tried: self.cluster.clone(),
                last: "FE is not master".to_owned(),
            });
        }
        let answer = match fate {
            Fate::Refused { after_ms } => {
                self.world().sleep_ms(after_ms).await;
                self.world().reach("net: refused");
                Err(self.connection(call, "connection refused"))
            }
            Fate::RequestLost { after_ms } => {
                self.world().sleep_ms(after_ms).await;
                self.lost(call, &shown, "request lost");
                Err(self.gave_up(call, after_ms))
            }
            Fate::Delivered {
                out_ms,
                back_ms,
                answer_lost,
                cannot_be_recalled,
            } => {
                let mut request = InFlight {
                    world: self.world(),
                    effect: Some(|state: &mut State, now: i64| {
                        state
                            .clusters
                            .get_mut(&self.cluster)
                            .map(|cluster| effect(cluster, now))
                    }),
                    cannot_be_recalled,
                };
                if out_ms > 0 {
                    self.world().sleep_ms(out_ms).await;
                }
                let answer = request.arrive().flatten();
                let answer =
                    answer.unwrap_or_else(|| Err(Refused::other("there is no such cluster")));
                self.note(call, &shown, &answer);
                self.process.leave(strike).await;
                if back_ms > 0 {
                    self.world().sleep_ms(back_ms).await;
                }
                if answer_lost {
                    self.lost(call, &shown, "answer lost");
                    Err(self.gave_up(call, back_ms))
                } else {
                    answer.map_err(|refused| self.refused(call, refused))
                }
            }
        };
        self.process.leave(strike).await;
        answer
    }

    fn gave_up(&self, call: &str, after_ms: i64) -> Error {
        if after_ms >= 1000 {
            return Error::Timeout {
                call: call.to_owned(),
                address: self.cluster.clone(),
                seconds: u64::try_from(after_ms / 1000).unwrap_or(0),
            };
        }
        self.connection(call, "connection reset")
    }

    fn lost(&self, call: &str, shown: &Shown, what: &str) {
        self.world().reach(&format!("net: {what}: {call}"));
        match shown {
            Shown::Quiet => {}
            Shown::Noted(about) => self
                .world()
                .note(&self.process.name, format_args!("{call} {about}: {what}")),
        }
    }

    fn note<T: Debug>(&self, call: &str, shown: &Shown, answer: &Result<T, Refused>) {
        let about = match shown {
            Shown::Quiet => return,
            Shown::Noted(about) => about,
        };
        let cluster = &self.cluster;
        let text = match answer {
            Ok(value) => {
                let mut text = format!("{value:?}");
                if text.len() > 160 {
                    let mut end = 160;
                    while !text.is_char_boundary(end) {
                        end -= 1;
                    }
                    text.truncate(end);
                }
                text
            }
            Err(refused) => format!("refused ({:?}): {}", refused.cause, refused.text),
        };
        self.world().note(
            &self.process.name,
            format_args!("{call}@{cluster} {about} -> {text}"),
        );
    }
}
